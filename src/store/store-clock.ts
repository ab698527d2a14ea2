import type { Clock, Timer } from "../clock.ts";

/** So many readings of the store's clock are compared: the one that took the shortest time is the most exact. */
const readingsKept = 32;
/** Two readings that differ by more than their ways can explain: the store's clock was set, or the store is another one. */
const jumpMs = 1_000;

interface Reading {
  /** The store's time less this process's monotonic time. */
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

/**
 * The store's clock, as far as one process can tell. Replicas on machines whose clocks disagree agree through it about deadlines
 * and due times. It runs on the monotonic clock, so that a wall clock that is set changes nothing; after a suspend, during which
 * that may stand still, it is right again with the next reading.
 */
export class StoreClock implements Clock {
  readonly #local: Clock;
  #readings: Reading[] = [];
  #offsetMs: number;

  /** Until the first reading it shows what `local` shows. */
  constructor(local: Clock) {
    this.#local = local;
    this.#offsetMs = local.now() - local.monotonic();
  }

  now(): number {
    return this.#local.monotonic() + this.#offsetMs;
  }

  monotonic(): number {
    return this.#local.monotonic();
  }

  schedule(delayMs: number, run: () => void): Timer {
    return this.#local.schedule(delayMs, run);
  }

  /** Takes a reading: `storeNow` (ms since the epoch) was read somewhere between `askedAt` and now, both on the monotonic clock. */
  observe(storeNow: number, askedAt: number): void {
    const roundTripMs = this.#local.monotonic() - askedAt;
    const reading = { offsetMs: storeNow - (askedAt + roundTripMs / 2), roundTripMs };
    const best = bestOf(this.#readings);
    if (best !== undefined && Math.abs(reading.offsetMs - best.offsetMs) > jumpMs + (reading.roundTripMs + best.roundTripMs) / 2)
      this.#readings = [];
    this.#readings = [...this.#readings, reading].slice(-readingsKept);
    this.#offsetMs = bestOf(this.#readings)?.offsetMs ?? this.#offsetMs;
  }
}

function bestOf(readings: readonly Reading[]): Reading | undefined {
  return readings.reduce<Reading | undefined>(
    (best, each) => (best === undefined || each.roundTripMs <= best.roundTripMs ? each : best),
    undefined,
  );
}
