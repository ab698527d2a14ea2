import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Remembers beside the SQLite file, outside of it, how far its changes had come. A file that is found to be behind was put
 * back from a backup. What is remembered lags a little, so a file that was never put back is never found to be behind.
 */
export class SqliteHighWater {
  readonly #file: string;
  #noted: number;

  constructor(file: string) {
    this.#file = file;
    this.#noted = read(file);
  }

  /** Whether the file has more changes behind it, at some time, than this. */
  isAhead(change: number): boolean {
    return this.#noted > change;
  }

  /** Throws what the file system throws. */
  note(change: number): void {
    if (change === this.#noted) return;
    const draft = `${this.#file}.draft`;
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    writeFileSync(draft, `${change}\n`, { mode: 0o600 });
    renameSync(draft, this.#file);
    this.#noted = change;
  }
}

/** 0: nothing is known. */
function read(file: string): number {
  try {
    const change = Number(readFileSync(file, "utf8"));
    return Number.isSafeInteger(change) ? change : 0;
  } catch {
    return 0;
  }
}
