import type { Clock, Timer } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { LoginSessionId } from "../session/login-session.ts";
import type { LoginSessionChange } from "../session/store.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { mustNumber, mustText } from "./sqlite-values.ts";

/** How often it looks for what other processes have written. */
const pollMs = 250;
/** So many changes after its removal a login session's id is forgotten. */
const removalsKept = 100_000;

/** The number of the next change. Writers never overlap, so the numbers are in the order of the commits. */
export function nextChange(db: SqliteDatabase): number {
  return newestChange(db) + 1;
}

/** Notes for other processes that a login session is gone. Call it in the transaction that removes it. */
export function rememberRemoval(db: SqliteDatabase, id: LoginSessionId, writer: string): void {
  const change = nextChange(db);
  db.run("INSERT INTO removals (change, id, writer) VALUES (?, ?, ?)", change, id, writer);
  db.run("DELETE FROM removals WHERE change < ?", change - removalsKept);
}

/** Tells what this process changes at once, and what others change within a quarter of a second. */
export class ChangeFeed {
  /** Stands beside each change that this store makes. */
  readonly writer: string;
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners = new Set<(change: LoginSessionChange) => void>();
  #timer: Timer | undefined;
  #seen: number;
  #dataVersion: number;
  #closed = false;

  constructor(db: SqliteDatabase, options: { readonly clock: Clock; readonly logger: Logger; readonly writer: string }) {
    this.#db = db;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.writer = options.writer;
    this.#dataVersion = this.#readDataVersion();
    this.#seen = newestChange(db);
  }

  subscribe(listener: (change: LoginSessionChange) => void): () => void {
    this.#listeners.add(listener);
    this.#plan();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#timer?.cancel();
    };
  }

  tell(change: LoginSessionChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  /** How many listen. */
  get size(): number {
    return this.#listeners.size;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #plan(): void {
    this.#timer?.cancel();
    if (this.#closed || this.#listeners.size === 0) return;
    this.#timer = this.#clock.schedule(pollMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      for (const change of await this.#db.read(() => this.#news())) this.tell(change);
    } catch (error) {
      this.#logger.warn("What other processes changed in the store could not be read; it is looked at again.", { error });
    }
    this.#plan();
  }

  #news(): readonly LoginSessionChange[] {
    // In this order: nothing up to here was written by others if the data version is still the old one afterwards.
    const newest = newestChange(this.#db);
    const dataVersion = this.#readDataVersion();
    const foreign = dataVersion !== this.#dataVersion;
    const news = foreign ? this.#foreignSince(newest < this.#seen ? 0 : this.#seen) : [];
    this.#seen = newest;
    this.#dataVersion = dataVersion;
    return news;
  }

  /** `since` 0: the file was put back from a backup under our feet, and everything may be another. */
  #foreignSince(since: number): readonly LoginSessionChange[] {
    const rows = this.#db.all(
      `SELECT change, id, version FROM login_sessions WHERE change > ? AND writer <> ?
       UNION ALL SELECT change, id, 0 FROM removals WHERE change > ? AND writer <> ? ORDER BY change`,
      ...[since, this.writer, since, this.writer],
    );
    return rows.map((row) => ({ id: mustText(row, "id") as LoginSessionId, version: mustNumber(row, "version") }));
  }

  #readDataVersion(): number {
    const row = this.#db.get("PRAGMA data_version");
    return row === undefined ? 0 : mustNumber(row, "data_version");
  }
}

function newestChange(db: SqliteDatabase): number {
  const row = db.get(
    `SELECT max((SELECT coalesce(max(change), 0) FROM login_sessions), (SELECT coalesce(max(change), 0) FROM removals)) AS change`,
  );
  return row === undefined ? 0 : mustNumber(row, "change");
}
