import type { UsedId, UsedIdStore } from "../../session/store.ts";
import type { IndexHashes } from "../index-hashes.ts";
import type { PostgresDatabase } from "./postgres-database.ts";

/** Ids that were used, in a PostgreSQL database, by their hash. */
export class PostgresUsedIds implements UsedIdStore {
  readonly #db: PostgresDatabase;
  readonly #hashes: IndexHashes;

  constructor(db: PostgresDatabase, hashes: IndexHashes) {
    this.#db = db;
    this.#hashes = hashes;
  }

  async use({ kind, id, expiresAt }: UsedId, now: number): Promise<boolean> {
    const written = await this.#db.run(
      `INSERT INTO ${this.#db.schema}.used_ids AS used (hash, expires_at) VALUES ($1, $2)
       ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at WHERE used.expires_at <= $3`,
      ...[this.#hashes.usedId(kind, id), expiresAt, now],
    );
    return written === 1;
  }
}
