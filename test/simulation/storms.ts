import { type NetworkFault, networkFaults, type StoreFault, storeFaults } from "./conditions.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { World } from "./world.ts";

const processFaults = ["killed", "stopped", "asleep", "clock_ahead", "clock_behind", "clock_a_little_off"] as const;
/** One machine's clock is an hour off, the others' are right: what it writes can be found for an hour. */
const lonelyFaults = ["clock_apart"] as const;
type ProcessFault = (typeof processFaults)[number] | (typeof lonelyFaults)[number];
type Fault = NetworkFault | StoreFault | ProcessFault | "grant_revoked";

/** Everything that can go wrong in a simulated world, by the names under which it is counted. */
export const allFaults: readonly string[] = [
  ...networkFaults,
  ...storeFaults,
  ...processFaults,
  ...lonelyFaults,
  "grant_revoked",
  "rejected_by_api",
];

const minuteMs = 60_000;
/** What a storm leaves behind (backoff, Retry-After, lost replies, access tokens that ended) is over after this time. */
const aftermathMs = 10 * minuteMs;
const hourMs = 60 * minuteMs;

/** Makes the weather of a world: good health and storms in turn. A storm has one kind of fault, or any. */
export class Storms {
  readonly #world: World;
  readonly #random: SeededRandom;
  #isStormy = false;
  /** What has to be taken back when the storm is over. */
  readonly #repairs = new Set<() => void>();
  #healthTimer = 0;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random.fork();
  }

  start(): void {
    this.#declareHealthy();
    this.#world.scheduler.after(this.#random.between(20, 60) * minuteMs, () => this.#begin());
  }

  /** The weather is good from now on. */
  end(): void {
    this.#clear();
    this.#healthTimer = -1;
  }

  #begin(): void {
    if (this.#healthTimer < 0) return;
    this.#isStormy = true;
    this.#healthTimer += 1;
    this.#world.conditions.declareHealthy(undefined);
    const network: readonly Fault[] = networkFaults;
    const only = this.#random.chance(0.5)
      ? this.#random.pick<readonly Fault[]>([[this.#random.pick(network)], storeFaults, processFaults, ["killed"], lonelyFaults])
      : undefined;
    this.#world.trace.add(this.#world.scheduler.now, `storm ${only?.join(" ") ?? "of any kind"}`);
    this.#strike(only);
    this.#world.scheduler.after(this.#random.between(20, 60) * minuteMs, () => {
      this.#clear();
      if (this.#healthTimer < 0) return;
      const restMs = only === lonelyFaults ? hourMs : 0;
      this.#declareHealthy(restMs);
      this.#world.scheduler.after(restMs + this.#random.between(30, 90) * minuteMs, () => this.#begin());
    });
  }

  #declareHealthy(restMs = 0): void {
    const storm = this.#healthTimer;
    const { scheduler, conditions } = this.#world;
    scheduler.after(aftermathMs + restMs, () => {
      if (storm === this.#healthTimer) conditions.declareHealthy(scheduler.now);
    });
  }

  #clear(): void {
    this.#isStormy = false;
    this.#world.conditions.clear();
    for (const repair of [...this.#repairs]) repair();
    this.#world.conditions.forgetBefore(this.#world.scheduler.now - 3 * hourMs);
    this.#world.trace.add(this.#world.scheduler.now, "calm");
  }

  #strike(only: readonly Fault[] | undefined): void {
    if (!this.#isStormy) return;
    const random = this.#random;
    const fault = random.pick<Fault>(only ?? [...networkFaults, ...storeFaults, ...processFaults, "grant_revoked"]);
    this.#inject(fault);
    this.#world.scheduler.after(random.exponential(minuteMs), () => this.#strike(only));
  }

  #inject(fault: Fault): void {
    const { conditions, trace, scheduler } = this.#world;
    const random = this.#random;
    trace.add(scheduler.now, `fault ${fault}`);
    switch (fault) {
      case "killed":
      case "stopped":
      case "asleep":
      case "clock_ahead":
      case "clock_behind":
      case "clock_a_little_off":
      case "clock_apart":
        this.#injectProcess(fault);
        return;
      case "store_away":
      case "store_slow":
      case "acknowledgement_lost":
      case "change_not_told":
      case "change_told_late": {
        const process = random.chance(0.5) ? undefined : this.#world.pickReplica(random)?.process.name;
        const probability = fault === "acknowledgement_lost" ? 0.1 : random.chance(0.5) ? 1 : 0.3;
        conditions.addStore(fault, process, probability, Math.min(3 * minuteMs, random.exponential(20_000)));
        return;
      }
      case "grant_revoked":
        if (random.pick(this.#world.users).revokeGrant()) conditions.hit(fault);
        return;
      case "wrong_subject":
        conditions.addNetwork(fault, random.chance(0.3) ? undefined : this.#anyServer(), 0.3, random.exponential(2 * minuteMs));
        return;
      case "refused_early":
      case "client_refused":
        conditions.addNetwork(fault, this.#anyServer(), random.chance(0.3) ? 1 : 0.3, Math.min(5 * minuteMs, random.exponential(minuteMs)));
        return;
      case "connection_refused":
      case "name_unknown":
      case "connect_timeout":
      case "reset_before_arrival":
      case "silence_before_arrival":
      case "reply_lost_by_reset":
      case "reply_lost_in_silence":
      case "slow_reply":
      case "too_slow_reply":
      case "bad_gateway_before":
      case "bad_gateway_after":
      case "gateway_timeout_after":
      case "unavailable":
      case "unavailable_with_retry_after":
      case "internal_error":
      case "too_many_requests":
      case "html_after":
      case "cut_off_after":
      case "keys_unavailable":
      case "arrives_after_timeout": {
        const isOutage = random.chance(0.3);
        const lastsMs = isOutage ? random.exponential(3 * minuteMs) : random.exponential(5 * minuteMs);
        conditions.addNetwork(fault, random.chance(0.3) ? undefined : this.#anyServer(), isOutage ? 1 : random.between(0.02, 0.2), lastsMs);
        return;
      }
    }
  }

  #injectProcess(fault: ProcessFault): void {
    const world = this.#world;
    const random = this.#random;
    const replica = world.pickReplica(random);
    if (replica === undefined) return;
    const { process } = replica;
    const isAlone = world.replicas.filter((each) => each.process.isRunning).length < 2;
    world.conditions.hit(fault);
    switch (fault) {
      case "killed": {
        world.killReplica(replica);
        this.#forATime(random.between(500, minuteMs), isAlone ? undefined : process.name, 0, () => void world.startReplica());
        return;
      }
      case "stopped":
        process.stop();
        this.#forATime(random.between(1_000, 2 * minuteMs), isAlone ? undefined : process.name, 2_000, () => process.goOn());
        return;
      case "asleep": {
        process.stop();
        const fellAsleepAt = world.scheduler.now;
        const lastsMs = Math.min(8 * hourMs, random.between(minuteMs, hourMs / 2) * (random.chance(0.1) ? 16 : 1));
        this.#forATime(lastsMs, isAlone ? undefined : process.name, 2_000, () => process.goOn(world.scheduler.now - fellAsleepAt));
        return;
      }
      case "clock_ahead":
      case "clock_behind":
        // Processes of one machine have one clock.
        world.setSkew(fault === "clock_ahead" ? hourMs : -hourMs);
        this.#forATime(random.between(minuteMs, 15 * minuteMs), undefined, 6 * minuteMs, () => world.setSkew(0));
        return;
      case "clock_a_little_off":
        process.setSkew(world.skewMs + random.between(-2_000, 2_000));
        this.#forATime(random.between(minuteMs, 15 * minuteMs), process.name, minuteMs, () => process.setSkew(world.skewMs));
        return;
      case "clock_apart":
        process.setSkew(world.skewMs + (random.chance(0.5) ? hourMs : -hourMs));
        world.conditions.clocksApart(true);
        this.#forATime(random.between(minuteMs, 15 * minuteMs), undefined, 6 * minuteMs, () => {
          process.setSkew(world.skewMs);
          world.conditions.clocksApart(false);
        });
        return;
    }
  }

  /** Takes back a fault after a time, or at the end of the storm. `process`: whose trouble it is; undefined: everybody's. */
  #forATime(lastsMs: number, process: string | undefined, aftermath: number, repair: () => void): void {
    const { conditions, scheduler } = this.#world;
    const endTrouble = conditions.addTrouble(process);
    const once = (): void => {
      if (!this.#repairs.delete(once)) return;
      repair();
      endTrouble(scheduler.now + aftermath);
    };
    this.#repairs.add(once);
    scheduler.after(lastsMs, once);
  }

  #anyServer(): string {
    return this.#random.pick([...this.#world.servers.keys()]);
  }
}
