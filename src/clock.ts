/** A running timer. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/** The only source of time. Everything that waits or compares times is handed one. */
export interface Clock {
  /** Wall time, milliseconds since the epoch. It may jump in both directions. */
  now(): number;
  /** Milliseconds from an arbitrary start. It never goes back; on Linux it stands still during suspend. */
  monotonic(): number;
  /** Calls `run` once after `delayMs`. The timer never keeps the process alive. A delay of any length is safe. */
  schedule(delayMs: number, run: () => void): Timer;
}

/** The longest delay that setTimeout honours; a longer one fires after 1 ms. */
const longestDelayMs = 2 ** 31 - 1;

/** The operating system's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delayMs, run) {
    let handle: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      // A longer wait goes in legs: one setTimeout beyond the limit would fire at once.
      const leg = Math.min(Math.max(0, leftMs), longestDelayMs);
      handle = setTimeout(() => (leftMs > leg ? arm(leftMs - leg) : run()), leg);
      handle.unref();
    };
    arm(Number.isNaN(delayMs) ? 0 : delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs`, or at once when `signal` aborts; it never rejects. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = clock.schedule(delayMs, done);
    function done(): void {
      timer.cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done, { once: true });
  });
}
