import type { CommandIo } from "./command.ts";

export interface ReadyFacts {
  readonly publicUrl: string;
  readonly issuer: string | undefined;
  readonly api: string | undefined;
}

/** Says that requests are accepted: one line of JSON to stdout, and a banner to a terminal's stderr. `hints` end the banner. */
export function announceReady(io: CommandIo, { publicUrl, issuer, api }: ReadyFacts, hints: readonly string[]): void {
  const places = { url: publicUrl, mcp: `${publicUrl}/mcp`, sse: `${publicUrl}/sse`, console: `${publicUrl}/`, issuer, api };
  io.stdout.write(`${JSON.stringify({ ready: true, ...places, pid: io.pid })}\n`);
  if (!io.stderrIsTerminal) return;
  const lines = [
    "",
    "  Latchkey is ready.",
    `  Console          ${places.console}`,
    `  Streamable HTTP  ${places.mcp}`,
    `  SSE              ${places.sse}`,
    ...hints.map((hint) => `  ${hint}`),
    "  Ctrl+C stops it.",
    "",
  ];
  io.stderr.write(`${lines.join("\n")}\n`);
}

/** Resolves when the process is asked to stop. */
export function untilShutdown({ shutdown }: CommandIo): Promise<void> {
  return new Promise((resolve) => {
    if (shutdown.aborted) return resolve();
    shutdown.addEventListener("abort", () => resolve(), { once: true });
  });
}
