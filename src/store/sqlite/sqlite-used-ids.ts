import type { UsedId, UsedIdStore } from "../../session/store.ts";
import type { IndexHashes } from "../index-hashes.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

/** Ids that were used, in a SQLite file, by their hash. */
export class SqliteUsedIds implements UsedIdStore {
  readonly #db: SqliteDatabase;
  readonly #hashes: IndexHashes;

  constructor(db: SqliteDatabase, hashes: IndexHashes) {
    this.#db = db;
    this.#hashes = hashes;
  }

  use({ kind, id, expiresAt }: UsedId, now: number): Promise<boolean> {
    return this.#db.write(() => {
      this.#db.run("DELETE FROM used_ids WHERE expires_at <= ?", now);
      const values = [this.#hashes.usedId(kind, id), expiresAt] as const;
      return this.#db.run("INSERT INTO used_ids (hash, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING", ...values) === 1;
    });
  }
}
