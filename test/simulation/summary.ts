import type { Mutant } from "./mutants.ts";
import type { SimulationReport } from "./simulation.ts";
import { allFaults } from "./storms.ts";

/** Adds up the reports of many runs. */
export class Summary {
  #seeds: number[] = [];
  #userHours = 0;
  #events = 0;
  #seconds = 0;
  readonly #faults = new Map<string, number>();
  readonly #counts = new Map<string, number>();
  /** How many there were in all runs. */
  violations = 0;

  add(report: SimulationReport, seconds: number): void {
    this.#seeds.push(report.seed);
    this.#userHours += report.userHours;
    this.#events += report.events;
    this.#seconds += seconds;
    this.violations += report.violations.length;
    for (const [name, count] of report.faults) this.#faults.set(name, (this.#faults.get(name) ?? 0) + count);
    for (const [name, count] of report.counts) this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  /** How often this kind of fault hit something. */
  faultCount(name: string): number {
    return this.#faults.get(name) ?? 0;
  }

  get userHours(): number {
    return this.#userHours;
  }

  /** What is printed at the end, for people. */
  text(): string {
    const perSecond = Math.round(this.#userHours / Math.max(0.001, this.#seconds));
    const lines = [
      `seeds ${rangesOf(this.#seeds)}: ${this.#userHours} user-hours, ${this.#events} events in ${Math.round(this.#seconds)} s (${perSecond} user-hours a second)`,
      "faults:",
      ...allFaults.map((name) => line(name, this.faultCount(name))),
      "what happened:",
      ...[...this.#counts].sort(([a], [b]) => a.localeCompare(b)).map(([name, count]) => line(name, count)),
      `${this.violations} violations`,
    ];
    return `${lines.join("\n")}\n`;
  }
}

/** The command that runs the same world again. */
export function replayCommand(run: {
  readonly seed: number;
  readonly hours: number;
  readonly users: number;
  readonly replicas: number;
  readonly mutant?: Mutant;
}): string {
  const mutant = run.mutant === undefined || run.mutant === "none" ? "" : ` --mutant ${run.mutant}`;
  return `npm run simulate -- --seed ${run.seed} --hours ${run.hours} --users ${run.users} --replicas ${run.replicas}${mutant}`;
}

/** 5000 to 5031, 7000 */
function rangesOf(seeds: readonly number[]): string {
  const ranges: { from: number; to: number }[] = [];
  for (const seed of seeds.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && seed === last.to + 1) last.to = seed;
    else ranges.push({ from: seed, to: seed });
  }
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from} to ${to}`)).join(", ");
}

function line(name: string, count: number): string {
  return `${String(count).padStart(10)}  ${name}`;
}
