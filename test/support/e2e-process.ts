import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./e2e-wait.ts";
import type { AtEnd } from "./e2e-world.ts";

const root = join(import.meta.dirname, "..", "..");

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A program of this repository in a process of its own. */
export class Program {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exit: Promise<Exit>;
  stdout = "";
  stderr = "";

  constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.exit = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  /** Runs a script of this repository with the Node that runs the tests; killed at the end if it still runs. */
  static start(atEnd: AtEnd, script: string, args: readonly string[], { cwd = root, env = {} }: RunOptions = {}): Program {
    // What a program stores by default must not be found by the next one, nor by whoever runs the tests.
    const data = mkdtempSync(join(tmpdir(), "latchkey-data-"));
    const surroundings = { ...process.env, LATCHKEY_DATA_DIR: data, ...env };
    const child = spawn(process.execPath, [join(root, script), ...args], { cwd, env: surroundings, stdio: "pipe" });
    const program = new Program(child);
    atEnd(async () => {
      child.kill("SIGKILL");
      await program.exit;
      rmSync(data, { recursive: true, force: true });
    });
    return program;
  }

  /** `latchkey ARGS...` */
  static latchkey(atEnd: AtEnd, args: readonly string[], options?: RunOptions): Program {
    return Program.start(atEnd, "bin/latchkey.js", args, options);
  }

  /** Waits until stdout has this. Throws at once, with everything that was said, when the process ends before. */
  async says(pattern: RegExp, withinMs = 45_000): Promise<RegExpExecArray> {
    const seen = await eventually(
      `stdout has ${pattern}`,
      () => pattern.exec(this.stdout) ?? (this.child.exitCode === null ? undefined : "ended"),
      withinMs,
    );
    if (seen !== "ended") return seen;
    throw new Error(`It ended with ${this.child.exitCode}.\n${this.stdout}\n${this.stderr}`);
  }
}
