import { z } from "zod";

export const usageSchema = z.object({
  /** User and system time of the process since its start, microseconds. */
  cpuMicroseconds: z.number(),
  heapBytes: z.number(),
  residentBytes: z.number(),
});

/** What a process has used. */
export type Usage = z.output<typeof usageSchema>;

/** Of this process, now. `collect`: after a garbage collection. */
export async function readUsage(collect: boolean): Promise<Usage> {
  for (let round = 0; collect && round < 3; round += 1) {
    // What was let go of a moment ago is held by callbacks that are still to run.
    await new Promise((resolve) => setTimeout(resolve, 50));
    globalThis.gc?.();
  }
  const { user, system } = process.cpuUsage();
  const { heapUsed, rss } = process.memoryUsage();
  return { cpuMicroseconds: user + system, heapBytes: heapUsed, residentBytes: rss };
}
