import type { ImportIntent } from "../../session/import-intent.ts";
import type { ImportIntentStore } from "../../session/store.ts";
import type { PostgresDatabase } from "./postgres-database.ts";

/** Imports that are under way, in a PostgreSQL database. */
export class PostgresImportIntents implements ImportIntentStore {
  readonly #db: PostgresDatabase;

  constructor(db: PostgresDatabase) {
    this.#db = db;
  }

  async claim({ hash, owner, expiresAt }: ImportIntent, now: number): Promise<boolean> {
    const written = await this.#db.run(
      `INSERT INTO ${this.#db.schema}.import_intents AS held (hash, owner, expires_at) VALUES ($1, $2, $3)
       ON CONFLICT (hash) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
       WHERE held.owner = excluded.owner OR held.expires_at <= $4`,
      ...[hash, owner, expiresAt, now],
    );
    return written === 1;
  }

  async release({ hash, owner }: Pick<ImportIntent, "hash" | "owner">): Promise<void> {
    await this.#db.run(`DELETE FROM ${this.#db.schema}.import_intents WHERE hash = $1 AND owner = $2`, hash, owner);
  }
}
