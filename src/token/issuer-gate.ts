import type { Clock, Timer } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { FailureKind } from "../session/login-session.ts";
import { type GatePriority, GateQueue } from "./gate-queue.ts";
import { RateBudget } from "./rate-budget.ts";
import { backoffMs } from "./times.ts";

export type { GatePriority };

/** How the authorization server behaved while the ticket was held. `neutral`: nothing was asked of it. */
export type GateVerdict =
  /** A refresh succeeded. */
  | { readonly kind: "healthy" }
  /** It answered, if only with a refusal of this one request. */
  | { readonly kind: "answered" }
  | { readonly kind: "sick"; readonly failure?: FailureKind | undefined; readonly retryAfterSeconds?: number | undefined }
  | { readonly kind: "client_broken"; readonly retryAfterSeconds?: number | undefined }
  | { readonly kind: "neutral" };

/** The right to ask the authorization server something. Leaving twice does nothing. */
export interface GateTicket {
  leave(verdict: GateVerdict): void;
}

/** A place in the queue of the gate. */
export interface GatePlace {
  readonly entered: Promise<GateTicket>;
  /** A user is waiting now. */
  promote(): void;
}

export interface IssuerGateOptions {
  /** How many presentations may be under way at one time, in all replicas together. */
  readonly concurrency: number;
  /** How many may begin in a second, in all replicas together; undefined: as many as `concurrency` lets through. */
  readonly perSecond?: number | undefined;
  /** How many replicas share the two limits: this process takes its part of them. Default: it is alone. */
  readonly liveReplicas?: (() => number) | undefined;
  readonly random: () => number;
  /** Told when the gate closes because the client's credentials are refused, and when it works again. */
  readonly onPause?: (paused: boolean) => void;
}

interface Waiter {
  readonly admit: (ticket: GateTicket) => void;
  readonly refuse: (error: LatchkeyError) => void;
}

/** So many failures in a row close the gate. */
const failuresToClose = 5;
/** A closed gate is probed at least this often. */
const longestClosedMs = 5_000;
/** After this long one probe goes although the server asked for a longer rest: refresh tokens may live half an hour only. */
const longestRestMs = 300_000;
const pausedProbeMs = 60_000;
/** So many seconds' worth of the rate budget may queue: the heartbeat brings the others again after its lease of as long. */
const crowdSeconds = 5;
const longestCrowd = 2_500;

/**
 * Guards one authorization server (I13): a concurrency limit, a rate budget, and a breaker that closes after failures in a
 * row and lets one probe through at a time until one succeeds. Users go first, then the soonest expiry.
 */
export class IssuerGate {
  readonly #clock: Clock;
  readonly #options: IssuerGateOptions;
  readonly #waiting = new GateQueue<Waiter>();
  readonly #budget: RateBudget;
  #inside = 0;
  #failures = 0;
  #openAt = 0;
  /** Until then the server asked for rest (Retry-After): a success of an older request does not take that back. */
  #restUntil = 0;
  #paused = false;
  #isShutDown = false;
  #lastHealthyAt: number | undefined;
  #lastFailure: FailureKind | undefined;
  /** When it was, milliseconds since the epoch. */
  #lastFailureAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  /** When the timer fires, on the monotonic clock. */
  #wakesAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, options: IssuerGateOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#budget = new RateBudget(clock, () => this.#share(options.perSecond ?? Number.POSITIVE_INFINITY));
  }

  /** Milliseconds until somebody may ask again; 0: now. A caller that waits for a user need not even queue. */
  get closedForMs(): number {
    return Math.max(0, Math.max(this.#openAt, this.#restUntil) - this.#clock.monotonic());
  }

  /** True while the authorization server refuses this client as such (`invalid_client`). */
  get paused(): boolean {
    return this.#paused;
  }

  /**
   * True when background work had better come back later than queue here. `expiresAt`: as for `enter`. In front of a closed gate
   * one waits, so that it is probed, and whoever would be the better probe; in front of an open one as many as may be let in before
   * they come by again, so that it is never idle meanwhile.
   */
  isCrowdedFor(expiresAt: number): boolean {
    if (this.#isHalfOpen || this.closedForMs > 0) return this.#waiting.goesBefore(expiresAt);
    const servedMeanwhile = this.#share(this.#options.perSecond ?? longestCrowd) * crowdSeconds;
    return this.#waiting.size >= Math.max(2 * this.#concurrency, Math.min(longestCrowd, servedMeanwhile));
  }

  /** True when whoever enters now has to wait. */
  get isBusy(): boolean {
    return this.#waiting.size > 0 || this.#inside >= this.#concurrency || this.closedForMs > 0;
  }

  /** When a refresh last succeeded here. */
  get lastHealthyAt(): number | undefined {
    return this.#lastHealthyAt;
  }

  /** What the last trouble with this authorization server was, whoever had it; undefined since a refresh succeeded. */
  get lastFailure(): FailureKind | undefined {
    return this.#lastFailure;
  }

  /** A login has just gone through there: it answers, and it accepts this client. What waits may try at once. */
  reopen(): void {
    this.#failures = 0;
    this.#openAt = 0;
    this.#setPaused(false);
    this.#admitNext();
  }

  /** Another replica's refresh went through at `at` (ms since the epoch): if that was after the last trouble here, the trouble is over. */
  noticeSuccess(at: number): void {
    this.#lastHealthyAt = Math.max(at, this.#lastHealthyAt ?? at);
    if (this.#failures > 0 && at > this.#lastFailureAt) this.reopen();
  }

  /** Whether there is trouble that somebody else's success would end. */
  get isTroubled(): boolean {
    return this.#failures > 0;
  }

  /**
   * Lets nobody in any more: whoever waits is refused with LatchkeyError `authorization_server_unavailable`, since a process
   * that ends must not wait for an authorization server that is down. Who is inside goes on.
   */
  shutDown(): void {
    this.#isShutDown = true;
    this.#timer?.cancel();
    const message = "The server is shutting down, so the access token was not refreshed. Connect again and repeat the call.";
    const error = new LatchkeyError("authorization_server_unavailable", message, { retryable: true, retryAfterSeconds: 1 });
    for (const waiter of this.#waiting.takeAll()) waiter.refuse(error);
  }

  /** Queues for a ticket. `expiresAt`: when the access token of the one who asks ends; infinity: it can wait for all others. */
  enter(priority: GatePriority, expiresAt: number): GatePlace {
    const { promise, resolve, reject } = Promise.withResolvers<GateTicket>();
    const place = this.#waiting.add({ admit: resolve, refuse: reject }, priority, expiresAt);
    if (this.#isShutDown) this.shutDown();
    else this.#admitNext();
    return {
      entered: promise,
      promote: () => {
        place.promote();
        // A user may borrow from the rate budget.
        this.#admitNext();
      },
    };
  }

  get #isHalfOpen(): boolean {
    return this.#paused || this.#failures >= failuresToClose;
  }

  get #concurrency(): number {
    return Math.max(1, Math.floor(this.#share(this.#options.concurrency)));
  }

  #share(limit: number): number {
    return limit / Math.max(1, this.#options.liveReplicas?.() ?? 1);
  }

  #admitNext(): void {
    for (;;) {
      const priority = this.#waiting.nextPriority;
      if (priority === undefined || this.#inside >= (this.#isHalfOpen ? 1 : this.#concurrency)) return;
      const waitMs = Math.max(this.closedForMs, this.#budget.waitMs(priority));
      if (waitMs > 0) {
        this.#wakeAfter(waitMs);
        return;
      }
      const next = this.#waiting.takeFirst();
      if (next === undefined) return;
      this.#inside += 1;
      this.#budget.take();
      next.admit(this.#ticket());
    }
  }

  #ticket(): GateTicket {
    let held = true;
    return {
      leave: (verdict) => {
        if (!held) return;
        held = false;
        this.#inside -= 1;
        this.#judge(verdict);
        this.#admitNext();
      },
    };
  }

  #judge(verdict: GateVerdict): void {
    switch (verdict.kind) {
      case "healthy":
        this.#failures = 0;
        this.#openAt = 0;
        this.#lastFailure = undefined;
        this.#lastHealthyAt = this.#clock.now();
        this.#setPaused(false);
        return;
      case "answered":
        if (this.#paused) return;
        // Both, or the gate would stay closed without trouble that the success of another replica ends.
        this.#failures = 0;
        this.#openAt = 0;
        return;
      case "sick": {
        this.#failures += 1;
        this.#noteFailure(verdict.failure);
        const over = this.#failures - failuresToClose;
        const breakMs = over >= 0 ? this.#probeAfter(backoffMs(over, this.#options.random, 1_000, longestClosedMs)) : 0;
        this.#rest(verdict.retryAfterSeconds);
        this.#openAt = Math.max(this.#openAt, this.#clock.monotonic() + breakMs);
        return;
      }
      case "client_broken":
        this.#failures += 1;
        this.#noteFailure("client_broken");
        this.#rest(verdict.retryAfterSeconds);
        this.#openAt = this.#clock.monotonic() + this.#probeAfter(backoffMs(this.#failures, this.#options.random, 1_000, pausedProbeMs));
        this.#setPaused(true);
        return;
      case "neutral":
        return;
    }
  }

  #noteFailure(failure: FailureKind | undefined): void {
    this.#lastFailure = failure;
    this.#lastFailureAt = this.#clock.now();
  }

  /** All replicas probe: together as often as one would alone. Whoever succeeds opens the gates of the others, too. */
  #probeAfter(waitMs: number): number {
    return Math.min(longestRestMs, waitMs * Math.max(1, this.#options.liveReplicas?.() ?? 1));
  }

  #rest(retryAfterSeconds = 0): void {
    const restMs = retryAfterSeconds * 1000;
    // Cut short, it ends with a single probe.
    if (restMs > longestRestMs) this.#failures = Math.max(this.#failures, failuresToClose);
    this.#restUntil = Math.max(this.#restUntil, this.#clock.monotonic() + Math.min(longestRestMs, restMs));
  }

  #setPaused(paused: boolean): void {
    if (this.#paused === paused) return;
    this.#paused = paused;
    this.#options.onPause?.(paused);
  }

  #wakeAfter(delayMs: number): void {
    const at = this.#clock.monotonic() + delayMs;
    // Who wakes too soon looks again: with thousands that come, not each sets a timer of its own.
    if (this.#wakesAt <= at) return;
    this.#timer?.cancel();
    this.#wakesAt = at;
    this.#timer = this.#clock.schedule(delayMs, () => {
      this.#wakesAt = Number.POSITIVE_INFINITY;
      this.#admitNext();
    });
  }
}
