import { PassThrough, Writable } from "node:stream";
import { runCommandLine } from "../../src/cli/commands.ts";
import { systemClock } from "../../src/clock.ts";

/** What a call of the command line came to. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line inside this process, with a world of its own. */
export async function run(
  argv: readonly string[],
  world: {
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly homeDirectory?: string;
    readonly nodeVersion?: string;
  } = {},
): Promise<Outcome> {
  const stdout = new Collected();
  const stderr = new Collected();
  const exitCode = await runCommandLine(argv, {
    env: world.env ?? {},
    cwd: world.cwd ?? "/nowhere",
    homeDirectory: world.homeDirectory ?? "/home/nobody",
    platform: "linux",
    pid: 1,
    nodePath: "/opt/node/bin/node",
    nodeVersion: world.nodeVersion ?? "24.11.0",
    programPath: "/opt/latchkey/bin/latchkey.js",
    stdin: new PassThrough(),
    stdout,
    stderr,
    stderrIsTerminal: false,
    stdinIsTerminal: false,
    clock: systemClock,
    shutdown: new AbortController().signal,
  });
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}

class Collected extends Writable {
  text = "";

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
