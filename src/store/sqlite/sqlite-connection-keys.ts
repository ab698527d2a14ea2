import { LatchkeyError } from "../../errors.ts";
import type { ConnectionKeyHash, ConnectionKeyRecord } from "../../session/connection-key.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { ConnectionKeyStore } from "../../session/store.ts";
import type { ConnectionKeyRows } from "../connection-key-rows.ts";
import type { SqliteDatabase, SqliteRow } from "./sqlite-database.ts";
import { mustNumber, mustText, numberOrNull } from "./sqlite-values.ts";

const table = "connection_keys";
const columns = "hash, id, login_session_id, name, created_at, expires_at, mac";

/** Connection keys in a SQLite file. A row that was exchanged from outside is not used, and reported (B14). */
export class SqliteConnectionKeys implements ConnectionKeyStore {
  readonly #db: SqliteDatabase;
  readonly #rows: ConnectionKeyRows;

  constructor(db: SqliteDatabase, rows: ConnectionKeyRows) {
    this.#db = db;
    this.#rows = rows;
  }

  async insert(key: ConnectionKeyRecord, limit: number): Promise<void> {
    await this.#db.write(() => {
      const row = this.#db.get(`SELECT count(*) AS count FROM ${table} WHERE login_session_id = ?`, key.loginSessionId);
      if (row !== undefined && mustNumber(row, "count") >= limit)
        throw new LatchkeyError(
          "conflict",
          `This login session has ${limit} connection keys already. Remove one that is no longer needed.`,
        );
      const inserted = this.#db.run(
        `INSERT INTO ${table} (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
        ...[key.hash, key.id, key.loginSessionId, key.name, key.createdAt, key.expiresAt ?? null],
        this.#rows.mac(key),
      );
      if (inserted === 0) throw new LatchkeyError("conflict", "This connection key exists already.");
    });
  }

  async getByHash(hash: ConnectionKeyHash): Promise<ConnectionKeyRecord | undefined> {
    const row = await this.#db.read(() => this.#db.get(`SELECT ${columns} FROM ${table} WHERE hash = ?`, hash));
    return row === undefined ? undefined : this.#read(row);
  }

  async listByLoginSession(id: LoginSessionId): Promise<readonly ConnectionKeyRecord[]> {
    const rows = await this.#db.read(() => this.#db.all(`SELECT ${columns} FROM ${table} WHERE login_session_id = ? ORDER BY row`, id));
    return rows.map((row) => this.#read(row)).filter((key) => key !== undefined);
  }

  remove(id: LoginSessionId, keyId: string): Promise<boolean> {
    return this.#db.write(() => this.#db.run(`DELETE FROM ${table} WHERE login_session_id = ? AND id = ?`, id, keyId) > 0);
  }

  async removeByLoginSession(id: LoginSessionId): Promise<void> {
    await this.#db.write(() => this.#db.run(`DELETE FROM ${table} WHERE login_session_id = ?`, id));
  }

  #read(row: SqliteRow): ConnectionKeyRecord | undefined {
    const expiresAt = numberOrNull(row, "expires_at");
    const key: ConnectionKeyRecord = {
      id: mustText(row, "id"),
      hash: mustText(row, "hash") as ConnectionKeyHash,
      loginSessionId: mustText(row, "login_session_id") as LoginSessionId,
      name: mustText(row, "name"),
      createdAt: mustNumber(row, "created_at"),
      ...(expiresAt === undefined ? {} : { expiresAt }),
    };
    return this.#rows.check(key, mustText(row, "mac"));
  }
}
