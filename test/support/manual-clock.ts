import type { Clock, Timer } from "../../src/clock.ts";

interface Planned {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that moves only when it is told to. Wall and monotonic time move together, unless the wall is made to jump. */
export class ManualClock implements Clock {
  #monotonic = 0;
  #wallOffset: number;
  #order = 0;
  readonly #planned = new Set<Planned>();

  constructor(wallStart = Date.UTC(2026, 0, 1)) {
    this.#wallOffset = wallStart;
  }

  now(): number {
    return this.#wallOffset + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  schedule(delayMs: number, run: () => void): Timer {
    const planned: Planned = { at: this.#monotonic + Math.max(0, delayMs), order: this.#order++, run };
    this.#planned.add(planned);
    return { cancel: () => void this.#planned.delete(planned) };
  }

  /** How many timers are waiting. */
  get pending(): number {
    return this.#planned.size;
  }

  /** Moves on by `byMs`, firing each timer at its moment and letting what it started run as far as it can. */
  async advance(byMs: number): Promise<void> {
    const end = this.#monotonic + byMs;
    await settle();
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.at > end) break;
      this.#monotonic = Math.max(this.#monotonic, next.at);
      this.#planned.delete(next);
      next.run();
      await settle();
    }
    this.#monotonic = end;
    await settle();
  }

  /** Sets the wall clock forward or back without time passing. */
  jumpWall(byMs: number): void {
    this.#wallOffset += byMs;
  }

  #next(): Planned | undefined {
    let first: Planned | undefined;
    for (const each of this.#planned)
      if (first === undefined || each.at < first.at || (each.at === first.at && each.order < first.order)) first = each;
    return first;
  }
}

/** Lets everything that is ready run, promises and immediates alike. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
