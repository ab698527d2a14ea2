import { fork } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { type Usage, usageSchema } from "./usage.ts";

export interface ChildOptions {
  readonly args?: readonly string[];
  readonly execArgv?: readonly string[];
  /** Gives the parent the child's stdin and stdout. Otherwise stdin is empty and stdout goes to stderr. */
  readonly piped?: boolean;
}

const answerSchema = z.object({ id: z.number(), answer: z.unknown().optional(), problem: z.string().optional() });

/** A process that a bench has started and that answers its questions (`answerParent`). */
export class Child {
  readonly #process: ReturnType<typeof fork>;
  readonly #waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  readonly #exited: Promise<void>;
  #asked = 0;

  /** `file`: relative to `bench/`. */
  constructor(file: string, options: ChildOptions = {}) {
    this.#process = fork(fileURLToPath(new URL(`../${file}`, import.meta.url)), [...(options.args ?? [])], {
      execArgv: [...(options.execArgv ?? [])],
      // What a child prints must not get among the figures.
      stdio: options.piped === true ? ["pipe", "pipe", "inherit", "ipc"] : ["ignore", 2, "inherit", "ipc"],
    });
    this.#exited = new Promise((resolve) => this.#process.once("exit", () => resolve()));
    this.#process.on("message", (message) => {
      const { id, answer, problem } = answerSchema.parse(message);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (problem === undefined) waiting?.resolve(answer);
      else waiting?.reject(new Error(`${file}: ${problem}`));
    });
    this.#process.once("exit", (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${file} ended with ${code}`));
    });
  }

  get stdin(): Writable {
    const { stdin } = this.#process;
    if (stdin === null) throw new Error("this child has no pipes");
    return stdin;
  }

  get stdout(): Readable {
    const { stdout } = this.#process;
    if (stdout === null) throw new Error("this child has no pipes");
    return stdout;
  }

  /** Rejects when the child fails or ends. */
  async ask<T>(question: string, body: object, schema: z.ZodType<T>): Promise<T> {
    this.#asked += 1;
    const id = this.#asked;
    const answer = await new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.send({ id, question, body });
    });
    return schema.parse(answer);
  }

  /** `collect`: after a garbage collection; the child needs `--expose-gc` for that. */
  usage(collect = false): Promise<Usage> {
    return this.ask("usage", { collect }, usageSchema);
  }

  /** Resolves when the process is gone. */
  async stop(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect();
    await this.#exited;
  }
}
