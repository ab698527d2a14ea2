import { LatchkeyError } from "../../errors.ts";
import type { ConnectionKeyHash, ConnectionKeyRecord } from "../../session/connection-key.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { ConnectionKeyStore } from "../../session/store.ts";
import type { ConnectionKeyRows } from "../connection-key-rows.ts";
import type { PostgresDatabase } from "./postgres-database.ts";
import { mustNumber, mustText, numberOrNull, type PostgresRow } from "./postgres-values.ts";

const columns = "hash, id, login_session_id, name, created_at, expires_at, mac";

/** Connection keys in a PostgreSQL database. A row that was exchanged from outside is not used, and reported (B14). */
export class PostgresConnectionKeys implements ConnectionKeyStore {
  readonly #db: PostgresDatabase;
  readonly #rows: ConnectionKeyRows;
  readonly #table: string;

  constructor(db: PostgresDatabase, rows: ConnectionKeyRows) {
    this.#db = db;
    this.#rows = rows;
    this.#table = `${db.schema}.connection_keys`;
  }

  async insert(key: ConnectionKeyRecord, limit: number): Promise<void> {
    await this.#db.transaction(async (statements) => {
      // Whoever counts at one time would see each the same number.
      await statements.get("SELECT pg_advisory_xact_lock($1)", this.#db.lockNumber("connection keys", key.loginSessionId));
      const row = await statements.get(`SELECT count(*) AS count FROM ${this.#table} WHERE login_session_id = $1`, key.loginSessionId);
      if (row !== undefined && mustNumber(row, "count") >= limit)
        throw new LatchkeyError(
          "conflict",
          `This login session has ${limit} connection keys already. Remove one that is no longer needed.`,
        );
      const inserted = await statements.run(
        `INSERT INTO ${this.#table} (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
        ...[key.hash, key.id, key.loginSessionId, key.name, key.createdAt, key.expiresAt ?? null],
        this.#rows.mac(key),
      );
      if (inserted === 0) throw new LatchkeyError("conflict", "This connection key exists already.");
    });
  }

  async getByHash(hash: ConnectionKeyHash): Promise<ConnectionKeyRecord | undefined> {
    const row = await this.#db.get(`SELECT ${columns} FROM ${this.#table} WHERE hash = $1`, hash);
    return row === undefined ? undefined : this.#read(row);
  }

  async listByLoginSession(id: LoginSessionId): Promise<readonly ConnectionKeyRecord[]> {
    const rows = await this.#db.all(`SELECT ${columns} FROM ${this.#table} WHERE login_session_id = $1 ORDER BY row`, id);
    return rows.map((row) => this.#read(row)).filter((key) => key !== undefined);
  }

  async remove(id: LoginSessionId, keyId: string): Promise<boolean> {
    return (await this.#db.run(`DELETE FROM ${this.#table} WHERE login_session_id = $1 AND id = $2`, id, keyId)) > 0;
  }

  async removeByLoginSession(id: LoginSessionId): Promise<void> {
    await this.#db.run(`DELETE FROM ${this.#table} WHERE login_session_id = $1`, id);
  }

  #read(row: PostgresRow): ConnectionKeyRecord | undefined {
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
