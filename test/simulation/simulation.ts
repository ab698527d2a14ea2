import type { Violation } from "./findings.ts";
import type { Mutant } from "./mutants.ts";
import { checkAtRest, checkBaseline } from "./rest-check.ts";
import type { ServerTraits } from "./server-traits.ts";
import { Storms } from "./storms.ts";
import { idleLimitSeconds, tombstoneSeconds, World } from "./world.ts";

export interface SimulationOptions {
  readonly seed: number;
  /** Simulated hours with faults; some hours of rest come after them. */
  readonly hours: number;
  readonly users: number;
  readonly replicas: number;
  readonly servers?: readonly ServerTraits[] | undefined;
  readonly mutant?: Mutant | undefined;
  readonly keepTrace?: boolean | undefined;
  /** Told now and then how far it is, in simulated hours. */
  readonly onProgress?: ((hours: number) => void) | undefined;
  /** Ends the run at the first violation. */
  readonly stopsEarly?: boolean | undefined;
}

export interface SimulationReport {
  readonly seed: number;
  readonly userHours: number;
  readonly violations: readonly Violation[];
  readonly faults: ReadonlyMap<string, number>;
  readonly counts: ReadonlyMap<string, number>;
  readonly events: number;
  /** Two runs of one seed have the same. */
  readonly traceHash: string;
  readonly trace: readonly string[];
}

const hourMs = 3_600_000;

/** Runs one simulated world to its end and says what was found. The same options give the same run. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const world = new World(options);
  const { scheduler, findings } = world;
  const storms = new Storms(world);
  storms.start();
  const isOver = (): boolean => options.stopsEarly === true && findings.violations.length > 0;
  for (let hour = 1; hour <= options.hours && !isOver(); hour += 1) {
    await scheduler.run(hour * hourMs);
    options.onProgress?.(hour);
  }
  if (!isOver()) {
    storms.end();
    await scheduler.run(scheduler.now + hourMs);
    checkAtRest(world);
  }
  if (!isOver()) {
    for (const user of world.users) user.leave();
    // Whatever nobody uses any more reaches its idle limit, then the limit for signing in again, or its tombstone's.
    await scheduler.run(scheduler.now + (2 * idleLimitSeconds + tombstoneSeconds) * 1000 + hourMs);
    checkBaseline(world);
  }
  return {
    seed: options.seed,
    userHours: options.users * options.hours,
    violations: findings.violations,
    faults: world.conditions.hits,
    counts: findings.counts,
    events: scheduler.events,
    traceHash: world.trace.hash,
    trace: world.trace.lines,
  };
}
