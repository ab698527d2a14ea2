import { asLatchkeyError, LatchkeyError } from "../errors.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { commandLogger } from "./command-logger.ts";
import { demoHeartbeatIntervalSeconds, type StdioOptions } from "./run-options.ts";

const log = { level: "info", format: "auto" } as const;

/** Runs `latchkey stdio` until stdin ends or `io.shutdown` aborts. What is wrong is told through MCP, and then the exit code is 2. */
export async function runStdio(options: StdioOptions, io: CommandIo): Promise<ExitCode> {
  const { clock, stdin: input, stdout: output, shutdown: signal } = io;
  // Each loads what it needs: the client waits.
  if (options.kind === "demo") {
    const { serveStdioDemo } = await import("../composition/stdio.ts");
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
  const { loaded, profile, configFile } = options;
  if (!loaded.ok) return refuse(refusal(loaded.problems), io);
  const { config } = loaded;
  const { serveStdioProfile } = await import("../composition/stdio-profile.ts");
  const loginCommand = `latchkey login --profile ${profile} --config ${quoted(configFile)}`;
  try {
    await serveStdioProfile({
      config,
      profile,
      loginCommand,
      clock,
      logger: commandLogger(io, config.log),
      env: io.env,
      input,
      output,
      signal,
    });
    return 0;
  } catch (thrown) {
    // Tools that share a name, say: nothing was served yet.
    const error = asLatchkeyError(thrown);
    if (error.code !== "configuration_invalid") throw thrown;
    return refuse(error, io);
  }
}

/** Serves nothing but the error: a client that starts a program shows its user what MCP says, and hides a silent exit. */
async function refuse(error: LatchkeyError, io: CommandIo): Promise<ExitCode> {
  const { clock, stdin: input, stdout: output, stderr, shutdown: signal } = io;
  stderr.write(`${error.message}\n`);
  const { serveStdioRefusal } = await import("../composition/stdio-refusal.ts");
  await serveStdioRefusal({ error, clock, logger: commandLogger(io, log), input, output, signal });
  return 2;
}

function refusal(problems: readonly string[]): LatchkeyError {
  const list = problems.map((problem) => `- ${problem}`).join("\n");
  return new LatchkeyError("configuration_invalid", `Latchkey's configuration cannot be used:\n${list}`, { details: { problems } });
}

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w./:\\-]+$/.test(path) ? path : `"${path}"`;
}
