import type { MetaValues } from "../meta-values.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { mustText } from "./sqlite-values.ts";

/** What a SQLite file says of itself. */
export class SqliteMeta implements MetaValues {
  readonly #db: SqliteDatabase;

  constructor(db: SqliteDatabase) {
    this.#db = db;
  }

  async get(name: string): Promise<string | undefined> {
    const row = await this.#db.read(() => this.#db.get("SELECT value FROM meta WHERE name = ?", name));
    return row === undefined ? undefined : mustText(row, "value");
  }

  async add(name: string, value: string): Promise<void> {
    await this.#db.write(() => this.#db.run("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, value));
  }

  async replace(name: string, old: string, value: string): Promise<void> {
    await this.#db.write(() => this.#db.run("UPDATE meta SET value = ? WHERE name = ? AND value = ?", value, name, old));
  }
}
