import { serveStdioDemo } from "../composition/stdio.ts";
import { latchkeyVersion } from "../composition/version.ts";
import { LatchkeyError } from "../errors.ts";
import { serveStdioRefusal } from "../mcp/stdio-refusal.ts";
import { sessionTools } from "../tool/session-tools.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { commandLogger } from "./command-logger.ts";
import { demoHeartbeatIntervalSeconds, type StdioOptions } from "./run-options.ts";

const log = { level: "info", format: "auto" } as const;

/** Runs `latchkey stdio` until stdin ends or `io.shutdown` aborts. What is wrong is told through MCP, and then the exit code is 2. */
export async function runStdio(options: StdioOptions, io: CommandIo): Promise<ExitCode> {
  const { clock, stdin: input, stdout: output, shutdown: signal } = io;
  if (options.kind === "demo") {
    await serveStdioDemo({
      user: options.user,
      accessTokenSeconds: 30,
      refreshTokenSeconds: 600,
      heartbeatIntervalSeconds: demoHeartbeatIntervalSeconds,
      log,
      clock,
      logger: commandLogger(io, log),
      input,
      output,
      signal,
    });
    return 0;
  }
  const error = refusal(options);
  io.stderr.write(`${error.message}\n`);
  await serveStdioRefusal({ input, output, name: "latchkey", version: latchkeyVersion(), tools: sessionTools, error, signal });
  return 2;
}

function refusal(options: Extract<StdioOptions, { kind: "configured" }>): LatchkeyError {
  if (!options.loaded.ok) {
    const { problems } = options.loaded;
    const list = problems.map((problem) => `- ${problem}`).join("\n");
    return new LatchkeyError("configuration_invalid", `Latchkey's configuration cannot be used:\n${list}`, { details: { problems } });
  }
  const message =
    'This version of "latchkey stdio" cannot sign in on its own yet. Start it with --demo, or run "latchkey serve" and let the client connect to its /mcp with a connection key from the console.';
  return new LatchkeyError("configuration_invalid", message);
}
