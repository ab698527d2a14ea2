import type { Child } from "./child.ts";
import { median, medianRatio, rounded } from "./report.ts";

/** A server under load, and what it is compared with. */
export interface Contestant {
  readonly name: string;
  readonly server: Child;
  /** The name of the contestant that is 1. */
  readonly yardstick: string;
  /** Loads the server for one slice. */
  load(): Promise<{ readonly answered: number; readonly elapsedMilliseconds: number }>;
}

/** Medians over the slices. A ratio over 1 says that the contestant is better than its yardstick. */
export interface Standing {
  readonly server: string;
  readonly callsPerSecond: number;
  readonly cpuMicrosecondsPerCall: number;
  readonly rateRatio: number;
  readonly cpuRatio: number;
}

interface Slice {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
}

/** Runs alternating slices of all contestants; the first of each warms up and does not count. */
export async function contest(contestants: readonly Contestant[], slices: number): Promise<readonly Standing[]> {
  const taken = new Map<string, Slice[]>();
  for (let number = -1; number < slices; number += 1)
    for (const each of contestants) {
      const slice = await measure(each);
      if (number >= 0) taken.set(each.name, [...(taken.get(each.name) ?? []), slice]);
    }
  return contestants.map(({ name, yardstick }) => {
    const own = taken.get(name) ?? [];
    const other = taken.get(yardstick) ?? [];
    return {
      server: name,
      callsPerSecond: rounded(median(own.map(rate)), 0),
      cpuMicrosecondsPerCall: rounded(median(own.map(cpu)), 1),
      rateRatio: rounded(medianRatio(own.map(rate), other.map(rate))),
      cpuRatio: rounded(medianRatio(other.map(cpu), own.map(cpu))),
    };
  });
}

/** The standings as rows for `table`. */
export const standingHeadings = ["server", "calls/s", "CPU us/call", "calls/s against the SDK", "CPU against the SDK"];

export function standingRow(each: Standing): readonly (string | number)[] {
  return [each.server, each.callsPerSecond, each.cpuMicrosecondsPerCall, each.rateRatio, each.cpuRatio];
}

async function measure({ server, load }: Contestant): Promise<Slice> {
  const before = await server.usage();
  const { answered, elapsedMilliseconds } = await load();
  const after = await server.usage();
  return {
    perSecond: (answered / elapsedMilliseconds) * 1000,
    cpuMicroseconds: (after.cpuMicroseconds - before.cpuMicroseconds) / answered,
  };
}

function rate({ perSecond }: Slice): number {
  return perSecond;
}

function cpu({ cpuMicroseconds }: Slice): number {
  return cpuMicroseconds;
}
