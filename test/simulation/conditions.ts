import type { Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** What may befall a request on its way, at the authorization server, or on the way back. */
export const networkFaults = [
  "connection_refused",
  "name_unknown",
  "connect_timeout",
  "reset_before_arrival",
  "silence_before_arrival",
  "reply_lost_by_reset",
  "reply_lost_in_silence",
  "slow_reply",
  "too_slow_reply",
  "bad_gateway_before",
  "bad_gateway_after",
  "gateway_timeout_after",
  "unavailable",
  "unavailable_with_retry_after",
  "internal_error",
  "too_many_requests",
  "html_after",
  "cut_off_after",
  "refused_early",
  "client_refused",
  "wrong_subject",
  "keys_unavailable",
  "arrives_after_timeout",
] as const;
export type NetworkFault = (typeof networkFaults)[number];

export const storeFaults = ["store_away", "store_slow", "acknowledgement_lost", "change_not_told", "change_told_late"] as const;
export type StoreFault = (typeof storeFaults)[number];

/** What a clock that was an hour ahead has written may say so for an hour and some time. */
const staleClockMs = 70 * 60_000;

/** A time in which something is wrong. */
interface Window<Kind> {
  readonly kind: Kind;
  /** Of which authorization server, or of which process; undefined: of all. */
  readonly of: string | undefined;
  readonly probability: number;
  readonly from: number;
  readonly until: number;
}

/** What is wrong in the simulated world now, and what was and when. All times are milliseconds since the world began. */
export class Conditions {
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  #network: Window<NetworkFault>[] = [];
  #store: Window<StoreFault>[] = [];
  /** How often each fault really hit something. */
  readonly hits = new Map<string, number>();
  /** When a fault last hit a request to this authorization server. */
  readonly #lastHits = new Map<string, number[]>();
  /** Times in which the store or a process did not work as it should. */
  readonly #troubles: { readonly from: number; until: number; readonly process: string | undefined }[] = [];
  /** Grants that ended by a reuse alarm of an import: I1 says whether that was avoidable. */
  readonly endedByImports = new Set<string>();
  #healthySince: number | undefined;
  #clocksApart = 0;
  #clocksApartUntil = Number.NEGATIVE_INFINITY;
  #jumpedAt = Number.NEGATIVE_INFINITY;

  constructor(scheduler: Scheduler, random: SeededRandom) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** Since when nothing is wrong and nothing recent can still have an effect; undefined: something is. */
  get healthySince(): number | undefined {
    return this.#healthySince;
  }

  declareHealthy(since: number | undefined): void {
    this.#healthySince = since;
  }

  /** One replica's clock goes an hour wrong, or right again. */
  clocksApart(apart: boolean): void {
    this.#clocksApart += apart ? 1 : -1;
    this.#clocksApartUntil = this.#scheduler.now + staleClockMs;
  }

  /** Whether replicas disagree about the time, or records that say when something is due still do. */
  get areClocksApart(): boolean {
    return this.#clocksApart > 0 || this.#scheduler.now < this.#clocksApartUntil;
  }

  /** The clock of the machine jumps. */
  clockJumped(): void {
    this.#jumpedAt = this.#scheduler.now;
  }

  /** Whether the deadline of an attempt that began then may have been read by another clock than it was written by. */
  areDeadlinesVoid(beganAt: number): boolean {
    return this.areClocksApart || this.#jumpedAt >= beganAt;
  }

  addNetwork(kind: NetworkFault, server: string | undefined, probability: number, lastsMs: number): void {
    this.#network.push(this.#window(kind, server, probability, lastsMs));
  }

  addStore(kind: StoreFault, process: string | undefined, probability: number, lastsMs: number): void {
    const window = this.#window(kind, process, probability, lastsMs);
    this.#store.push(window);
    // That nobody is told of a change must do no harm: it is no excuse (B9).
    if (kind !== "change_not_told" && kind !== "change_told_late") this.addTrouble(process)(window.until);
  }

  /** Trouble of the store or a process begins. Gives the way to say when it ends. `process` undefined: everybody's. */
  addTrouble(process: string | undefined): (until: number) => void {
    const trouble = { from: this.#scheduler.now, until: Number.POSITIVE_INFINITY, process };
    this.#troubles.push(trouble);
    return (until) => {
      trouble.until = until;
    };
  }

  /** Nothing is wrong any more from now on. */
  clear(): void {
    const { now } = this.#scheduler;
    this.#network = [];
    this.#store = [];
    for (const trouble of this.#troubles)
      if (trouble.until !== Number.POSITIVE_INFINITY) trouble.until = Math.min(trouble.until, now + 10_000);
  }

  /** What happens to a request to this authorization server now, if anything. */
  drawNetwork(server: string, can: (kind: NetworkFault) => boolean = () => true): NetworkFault | undefined {
    const { now } = this.#scheduler;
    for (const window of this.#network) {
      if (now >= window.until || !can(window.kind) || (window.of !== undefined && window.of !== server)) continue;
      if (!this.#random.chance(window.probability)) continue;
      this.hit(window.kind);
      const hits = this.#lastHits.get(server) ?? [];
      this.#lastHits.set(server, hits);
      hits.push(now);
      return window.kind;
    }
    return undefined;
  }

  /** Whether no store fault is about. */
  get isStoreWell(): boolean {
    return this.#store.length === 0;
  }

  drawStore(kind: StoreFault, process: string): boolean {
    if (this.#store.length === 0) return false;
    const { now } = this.#scheduler;
    for (const window of this.#store) {
      if (window.kind !== kind || now >= window.until || (window.of !== undefined && window.of !== process)) continue;
      if (!this.#random.chance(window.probability)) continue;
      this.hit(kind);
      return true;
    }
    return false;
  }

  /** Whether this authorization server cannot be used at all for now. */
  isOut(server: string): boolean {
    const { now } = this.#scheduler;
    return this.#network.some((each) => now < each.until && each.probability >= 1 && (each.of === undefined || each.of === server));
  }

  hit(kind: string): void {
    this.hits.set(kind, (this.hits.get(kind) ?? 0) + 1);
  }

  /** How many requests to this authorization server were hit between these moments, unless that is forgotten. */
  hitsBetween(server: string, from: number, until: number): number {
    return (this.#lastHits.get(server) ?? []).filter((at) => at >= from && at <= until).length;
  }

  /** Whether the store or a process was in trouble between these moments. `but`: a process whose own trouble does not count. */
  wasTroubled(from: number, until: number, but?: string): boolean {
    return this.#troubles.some((each) => each.from <= until && each.until >= from && (but === undefined || each.process !== but));
  }

  /** The same for what this process needs: itself and the store. */
  wasTroubledFor(process: string, from: number, until: number): boolean {
    return this.#troubles.some(
      (each) => each.from <= until && each.until >= from && (each.process === undefined || each.process === process),
    );
  }

  /** Forgets what ended long ago. */
  forgetBefore(at: number): void {
    this.#network = this.#network.filter((each) => each.until >= this.#scheduler.now);
    this.#store = this.#store.filter((each) => each.until >= this.#scheduler.now);
    // By time, not by number: an outage hits hundreds, and what was hit before them is asked for when it is over.
    for (const [server, hits] of this.#lastHits) {
      this.#lastHits.set(
        server,
        hits.filter((each) => each >= at),
      );
    }
    const kept = this.#troubles.filter((each) => each.until >= at);
    this.#troubles.splice(0, this.#troubles.length, ...kept);
  }

  #window<Kind>(kind: Kind, of: string | undefined, probability: number, lastsMs: number): Window<Kind> {
    const { now } = this.#scheduler;
    return { kind, of, probability, from: now, until: now + lastsMs };
  }
}
