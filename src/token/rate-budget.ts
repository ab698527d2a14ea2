import type { Clock } from "../clock.ts";
import type { GatePriority } from "./gate-queue.ts";

/** The budget keeps this much of itself for later, and lends as much to users. */
const reserveSeconds = 0.5;
/** Adding up parts of milliseconds never comes out exactly. */
const tolerance = 1e-6;

/**
 * A token bucket: so many a second, with a reserve of half a second. The heartbeat waits until the bucket holds one; a user
 * may borrow another half second ahead of it, which the heartbeat then waits longer for. So within T seconds there are never
 * more than `perSecond` x (T + 1), or `perSecond` x T + 2 where that is more.
 */
export class RateBudget {
  readonly #clock: Clock;
  readonly #perSecond: () => number;
  #held: number;
  #filledAt: number;

  /** `perSecond` is asked each time, since the share of this process changes with the number of replicas. Infinity: no limit. */
  constructor(clock: Clock, perSecond: () => number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#held = reserveOf(perSecond());
    this.#filledAt = clock.monotonic();
  }

  /** Whole milliseconds until there is something for this priority; 0: now. */
  waitMs(priority: GatePriority): number {
    const perSecond = this.#fill();
    if (perSecond === Number.POSITIVE_INFINITY) return 0;
    const least = priority === "user" ? 1 - reserveOf(perSecond) : 1;
    const missing = least - this.#held;
    return missing <= tolerance ? 0 : Math.ceil((missing / perSecond) * 1000);
  }

  /** Spends one. */
  take(): void {
    this.#fill();
    // Without a limit it holds endlessly many, and one less is as many.
    this.#held -= 1;
  }

  #fill(): number {
    const perSecond = this.#perSecond();
    const now = this.#clock.monotonic();
    if (perSecond < Number.POSITIVE_INFINITY)
      this.#held = Math.min(reserveOf(perSecond), this.#held + ((now - this.#filledAt) / 1000) * perSecond);
    this.#filledAt = now;
    return perSecond;
  }
}

function reserveOf(perSecond: number): number {
  return Math.max(1, perSecond * reserveSeconds);
}
