import { closeSync, openSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { isBusy } from "./sqlite/sqlite-errors.ts";

/**
 * A lock that ends with its process, however that ends: the operating system's, taken by SQLite on an empty file, since
 * Node.js has no way of its own.
 */
export class ProcessLock {
  readonly #file: string;
  readonly #db: DatabaseSync;

  private constructor(file: string, db: DatabaseSync) {
    this.#file = file;
    this.#db = db;
  }

  /** Undefined: another process, or another part of this one, holds it. Throws what the file system or SQLite throws. */
  static tryTake(file: string): ProcessLock | undefined {
    make(file);
    const db = new DatabaseSync(file, { timeout: 0 });
    try {
      db.exec("BEGIN EXCLUSIVE");
      return new ProcessLock(file, db);
    } catch (error) {
      db.close();
      if (isBusy(error)) return undefined;
      throw error;
    }
  }

  /** Lets go. `remove`: there is nothing left that it guards. */
  release(remove: boolean): void {
    // Removed while it is held: whoever opened it before finds nothing that it guards.
    if (remove) rmSync(this.#file, { force: true });
    this.#db.close();
  }
}

/** SQLite would make it as the umask says. */
function make(file: string): void {
  try {
    // Never opened when it is there: closing it would drop every lock that this process has on it (POSIX, fcntl).
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}
