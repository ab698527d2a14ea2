import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AdapterPayload, JWK } from "oidc-provider";
import { z } from "zod";
import type { Clock, Timer } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";

/** One record of the authorization server: a grant, a token, a session. */
export interface StoredRecord {
  readonly model: string;
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly payload: AdapterPayload;
}

/** All that a restart needs. */
export interface SavedState {
  readonly clientSecret: string;
  /** Private signing keys. */
  readonly keys: readonly JWK[];
  readonly records: readonly StoredRecord[];
}

export interface StateFileServices {
  readonly clock: Clock;
  readonly logger: Logger;
}

const format = "latchkey-demo-authorization-server";
const longestDelayMs = 50;

const fileSchema = z.object({
  format: z.literal(format),
  version: z.literal(1),
  clientSecret: z.string().min(32),
  keys: z.array(z.custom<JWK>(isObject)).min(1),
  records: z.array(z.object({ model: z.string(), id: z.string(), expiresAt: z.number(), payload: z.custom<AdapterPayload>(isObject) })),
});

/**
 * The authorization server's state in one JSON file (mode 0600, replaced by rename). A change is written 50 ms later at
 * the latest, or at once by `flush`; writes never overlap, and one takes all changes that came before it along.
 */
export class StateFile {
  readonly #directory: string;
  readonly #path: string;
  readonly #services: StateFileServices;
  #snapshot: (() => SavedState) | undefined;
  #dirty = false;
  #timer: Timer | undefined;
  /** The write that runs or ran last. */
  #running: Promise<void> = Promise.resolve();
  /** The write that waits for it, if any. */
  #waiting: Promise<void> | undefined;

  constructor(directory: string, services: StateFileServices) {
    this.#directory = directory;
    this.#path = join(directory, "authorization-server.json");
    this.#services = services;
  }

  /**
   * What was saved, or undefined: nothing yet, or a file that is not ours, which is moved aside with a warning.
   * Throws LatchkeyError `configuration_invalid` when the directory or the file cannot be used.
   */
  async load(): Promise<SavedState | undefined> {
    const text = await this.#read();
    if (text === undefined) return undefined;
    const parsed = fileSchema.safeParse(parse(text));
    if (parsed.success) return parsed.data;
    await this.putAside("it is damaged, or not a state file of the demo's authorization server");
    return undefined;
  }

  /** Moves the file away, so that a fresh one can be written; the old one is kept for a look. */
  async putAside(problem: string): Promise<void> {
    const keptAs = `${this.#path}.unusable-${new Date(this.#services.clock.now()).toISOString().replaceAll(":", "-")}`;
    await rename(this.#path, keptAs);
    this.#services.logger.warn("The demo's saved logins could not be used; the demo starts without them", {
      file: this.#path,
      problem,
      keptAs,
    });
  }

  /** From now on changes are written, as `snapshot` gives them. */
  begin(snapshot: () => SavedState): void {
    this.#snapshot = snapshot;
    this.changed();
  }

  changed(): void {
    if (this.#snapshot === undefined) return;
    this.#dirty = true;
    this.#timer ??= this.#services.clock.schedule(longestDelayMs, () => void this.flush());
  }

  /** Resolves when all that changed before is in the file. Never rejects: a failed write is logged and tried again with the next change. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#dirty) return this.#running;
    // One write at a time; a change joins the write that has not begun yet.
    if (this.#waiting === undefined) {
      this.#waiting = this.#running.then(() => {
        this.#waiting = undefined;
        return this.#write();
      });
      this.#running = this.#waiting;
    }
    return this.#waiting;
  }

  /** Writes what is left and stops. */
  async close(): Promise<void> {
    await this.flush();
    this.#timer?.cancel();
    this.#snapshot = undefined;
  }

  async #read(): Promise<string | undefined> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      return await readFile(this.#path, "utf8");
    } catch (cause) {
      if (isObject(cause) && cause.code === "ENOENT") return undefined;
      throw unusable(this.#path, cause);
    }
  }

  async #write(): Promise<void> {
    if (this.#snapshot === undefined) return;
    this.#dirty = false;
    const temporary = `${this.#path}.tmp`;
    try {
      await writeFile(temporary, JSON.stringify({ format, version: 1, ...this.#snapshot() }), { mode: 0o600 });
      await rename(temporary, this.#path);
    } catch (cause) {
      this.#dirty = true;
      this.#services.logger.error("The demo's logins could not be saved; a restart would lose the newest of them", {
        file: this.#path,
        cause,
      });
    }
  }
}

function unusable(path: string, cause: unknown): LatchkeyError {
  return new LatchkeyError(
    "configuration_invalid",
    `The demo's saved logins at ${path} cannot be read: check the file's and its directory's permissions.`,
    {
      cause,
    },
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
