import type { Readable, Writable } from "node:stream";
import type { Clock } from "../clock.ts";

/** 0: done. 1: failed. 2: wrong usage or configuration. */
export type ExitCode = 0 | 1 | 2;

/** The world as a command sees it. Nothing of `process` is used behind it. */
export interface CommandIo {
  /** The arguments after the command's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute path of the working folder. */
  readonly cwd: string;
  readonly homeDirectory: string;
  /** As Node names it: "linux", "darwin", "win32". */
  readonly platform: string;
  readonly pid: number;
  /** Absolute path of the Node.js that runs this. */
  readonly nodePath: string;
  /** Without a "v": "24.11.0". */
  readonly nodeVersion: string;
  /** Absolute path of the script that was started, links followed. */
  readonly programPath: string;
  readonly stdin: Readable;
  /** Only what was asked for: for stdio it is the wire. */
  readonly stdout: Writable;
  /** Logs, problems, banners. */
  readonly stderr: Writable;
  readonly stderrIsTerminal: boolean;
  /** Whether a person sits in front of it. */
  readonly stdinIsTerminal: boolean;
  readonly clock: Clock;
  /** Aborted by the first SIGTERM or SIGINT: drain, then return 0. */
  readonly shutdown: AbortSignal;
}

/** One command, in a file of its own. */
export interface Command {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** The whole text of `--help`, with an example. */
  readonly help: string;
  /** Never throws for wrong usage: it says what is wrong and returns 2. */
  run(io: CommandIo): Promise<ExitCode>;
}
