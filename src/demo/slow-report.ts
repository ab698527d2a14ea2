import type { ServerResponse } from "node:http";
import { type Clock, sleep } from "../clock.ts";

export interface SlowReport {
  readonly user: string;
  readonly seconds: number;
  /** Asked at the end. */
  readonly countNotes: () => number;
}

/**
 * Streams a report that takes its time, as lines of JSON (application/x-ndjson): `{progress, total, message}` at once and
 * after each second, then `{result}`. Resolves when it is done, or as soon as the client is gone.
 */
export async function streamSlowReport(response: ServerResponse, clock: Clock, { user, seconds, countNotes }: SlowReport): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store", "x-accel-buffering": "no" });
  const line = (value: unknown): unknown => response.write(`${JSON.stringify(value)}\n`);
  for (let progress = 0; progress <= seconds; progress++) {
    if (progress > 0) await sleep(clock, 1000, gone.signal);
    if (gone.signal.aborted) return;
    line({
      progress,
      total: seconds,
      message: progress === seconds ? "The report is ready" : `Working: second ${progress + 1} of ${seconds}`,
    });
  }
  response.end(`${JSON.stringify({ result: { user, seconds, notes: countNotes() } })}\n`);
}
