import type { ImportIntent } from "../../session/import-intent.ts";
import type { ImportIntentStore } from "../../session/store.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

/** Imports that are under way, in a SQLite file. */
export class SqliteImportIntents implements ImportIntentStore {
  readonly #db: SqliteDatabase;
  readonly #now: () => number;

  /** `now` gives milliseconds since the epoch: what has expired is dropped while the store is used. */
  constructor(db: SqliteDatabase, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  claim({ hash, owner, expiresAt }: ImportIntent, now: number): Promise<boolean> {
    return this.#db.write(() => {
      this.#db.run("DELETE FROM import_intents WHERE expires_at <= ?", this.#now());
      const written = this.#db.run(
        `INSERT INTO import_intents (hash, owner, expires_at) VALUES (?, ?, ?)
         ON CONFLICT (hash) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
         WHERE import_intents.owner = excluded.owner OR import_intents.expires_at <= ?`,
        ...[hash, owner, expiresAt, now],
      );
      return written === 1;
    });
  }

  async release({ hash, owner }: Pick<ImportIntent, "hash" | "owner">): Promise<void> {
    await this.#db.write(() => this.#db.run("DELETE FROM import_intents WHERE hash = ? AND owner = ?", hash, owner));
  }
}
