import type { Clock } from "../clock.ts";

/** So many at once, and one more each time `everyMs` has passed: a limit for what anybody may ask for. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #size: number;
  readonly #everyMs: number;
  #left: number;
  #filledAt: number;

  constructor(clock: Clock, size: number, everyMs: number) {
    this.#clock = clock;
    this.#size = size;
    this.#everyMs = everyMs;
    this.#left = size;
    this.#filledAt = clock.monotonic();
  }

  /** Takes one, if there is one. */
  take(): boolean {
    const now = this.#clock.monotonic();
    this.#left = Math.min(this.#size, this.#left + (now - this.#filledAt) / this.#everyMs);
    this.#filledAt = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
