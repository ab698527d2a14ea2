import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { runCommandLine } from "./cli/commands.ts";
import { systemClock } from "./clock.ts";
import { asLatchkeyError } from "./errors.ts";
import { createLogger } from "./logger.ts";

/*
 * The composition root of the command line, and the only reader of argv, environment and signals. Everything else is
 * handed what it needs.
 */

const logger = createLogger({
  level: "info",
  format: process.stderr.isTTY ? "text" : "json",
  write: (line) => process.stderr.write(line),
  now: systemClock.now,
});

const shutdown = new AbortController();

// The reader has gone: there is nobody to tell. A client that dies closes stdin too, and that ends what runs.
process.stdout.on("error", ignoreClosedPipe);
process.stderr.on("error", ignoreClosedPipe);

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.on(signal, () => {
    if (shutdown.signal.aborted) process.exit(1);
    shutdown.abort();
  });

process.on("unhandledRejection", (cause) => fail("A promise was rejected and nobody looked at it.", cause));
process.on("uncaughtException", (cause) => fail("An error was thrown and nobody caught it.", cause));

try {
  const exitCode = await runCommandLine(process.argv.slice(2), {
    env: process.env,
    cwd: process.cwd(),
    homeDirectory: homedir(),
    platform: process.platform,
    pid: process.pid,
    nodePath: process.execPath,
    nodeVersion: process.versions.node,
    programPath: programPath(process.argv[1] ?? ""),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    stderrIsTerminal: process.stderr.isTTY,
    stdinIsTerminal: process.stdin.isTTY,
    clock: systemClock,
    shutdown: shutdown.signal,
  });
  await flushed(process.stdout);
  // What is still open after a command has returned (an idle socket of a client library) must not keep the process.
  process.exit(exitCode);
} catch (cause) {
  const error = asLatchkeyError(cause);
  logger.error(error.message, { code: error.code, cause: error.cause });
  process.exit(error.code === "configuration_invalid" ? 2 : 1);
}

function fail(message: string, cause: unknown): never {
  logger.error(message, { cause });
  process.exit(1);
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
}

/** A command on the PATH is a link, which the package manager removes and makes again. */
function programPath(started: string): string {
  try {
    return realpathSync(started);
  } catch {
    return started;
  }
}

/** Resolves when all that was written has left the process, or cannot. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) return resolve();
    stream.write("", () => resolve());
  });
}
