import type { MetaValues } from "../meta-values.ts";
import type { PostgresDatabase } from "./postgres-database.ts";
import { mustText } from "./postgres-values.ts";

/** What a PostgreSQL store says of itself. */
export class PostgresMeta implements MetaValues {
  readonly #db: PostgresDatabase;
  readonly #table: string;

  constructor(db: PostgresDatabase) {
    this.#db = db;
    this.#table = `${db.schema}.meta`;
  }

  async get(name: string): Promise<string | undefined> {
    const row = await this.#db.get(`SELECT value FROM ${this.#table} WHERE name = $1`, name);
    return row === undefined ? undefined : mustText(row, "value");
  }

  async add(name: string, value: string): Promise<void> {
    await this.#db.run(`INSERT INTO ${this.#table} (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, value);
  }

  async replace(name: string, old: string, value: string): Promise<void> {
    await this.#db.run(`UPDATE ${this.#table} SET value = $1 WHERE name = $2 AND value = $3`, value, name, old);
  }
}
