import type { LoginSessionId } from "../../session/login-session.ts";
import type { LoginSessionChange } from "../../session/store.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { mustNumber, mustText } from "./sqlite-values.ts";

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

/** The cursor of what other processes change in the file, and the incarnation that they find it in. */
export class SqliteChanges {
  readonly #db: SqliteDatabase;
  /** Stands beside each change that this store makes. */
  readonly writer: string;
  #seen: number;
  #dataVersion: number;
  #incarnation: string;

  constructor(db: SqliteDatabase, writer: string) {
    this.#db = db;
    this.writer = writer;
    this.#dataVersion = this.#readDataVersion();
    this.#seen = newestChange(db);
    this.#incarnation = readIncarnation(db);
  }

  /** The number of the newest change, as it was when the file was last looked at. */
  get newest(): number {
    return this.#seen;
  }

  /** As it was when the file was last looked at. */
  get incarnation(): string {
    return this.#incarnation;
  }

  /** Reads the incarnation again: this process has changed it. */
  async lookAgain(): Promise<void> {
    this.#incarnation = await this.#db.read(() => readIncarnation(this.#db));
  }

  /** What others have changed since it was last asked for, in its order. */
  news(): Promise<readonly LoginSessionChange[]> {
    return this.#db.read(() => this.#news());
  }

  #news(): readonly LoginSessionChange[] {
    // In this order: nothing up to here was written by others if the data version is still the old one afterwards.
    const newest = newestChange(this.#db);
    const dataVersion = this.#readDataVersion();
    const foreign = dataVersion !== this.#dataVersion;
    const news = foreign ? this.#foreignSince(newest < this.#seen ? 0 : this.#seen) : [];
    if (foreign) this.#incarnation = readIncarnation(this.#db);
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

function readIncarnation(db: SqliteDatabase): string {
  const row = db.get("SELECT value FROM meta WHERE name = 'incarnation'");
  return row === undefined ? "" : mustText(row, "value");
}
