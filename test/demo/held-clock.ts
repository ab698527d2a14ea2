import { type Clock, systemClock } from "../../src/clock.ts";

/** The system's time, moved by hand; timers run only when the test says so. */
export class HeldClock implements Clock {
  #offsetMs = 0;
  readonly #timers = new Set<{ readonly delayMs: number; readonly run: () => void }>();
  readonly #waiters = new Set<() => void>();

  now(): number {
    return systemClock.now() + this.#offsetMs;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#offsetMs;
  }

  schedule(delayMs: number, run: () => void): { cancel(): void } {
    const timer = { delayMs, run };
    this.#timers.add(timer);
    for (const wake of this.#waiters) wake();
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Wall time jumps ahead; no timer runs. */
  skip(ms: number): void {
    this.#offsetMs += ms;
  }

  /** Resolves with the delay of a timer that waits. */
  async waiting(): Promise<number> {
    for (;;) {
      for (const { delayMs } of this.#timers) return delayMs;
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Runs the timers that wait now. */
  release(): void {
    for (const timer of [...this.#timers]) {
      this.#timers.delete(timer);
      timer.run();
    }
  }
}
