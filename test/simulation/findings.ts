import type { Scheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";

/** Something that must not be. */
export interface Violation {
  /** Milliseconds since the world began. */
  readonly at: number;
  /** The ids of the rules that are broken. */
  readonly rule: string;
  readonly text: string;
}

/** So many are kept of one run: whoever has seen a hundred needs no more. */
const mostKept = 100;

/** What a run has found: violations, and counts of what happened. */
export class Findings {
  readonly violations: Violation[] = [];
  readonly counts = new Map<string, number>();
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;

  constructor(scheduler: Scheduler, trace: Trace) {
    this.#scheduler = scheduler;
    this.#trace = trace;
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  violate(rule: string, text: string): void {
    this.count("violations");
    this.#trace.add(this.#scheduler.now, `VIOLATION ${rule}: ${text}`);
    if (this.violations.length < mostKept) this.violations.push({ at: this.#scheduler.now, rule, text });
  }
}
