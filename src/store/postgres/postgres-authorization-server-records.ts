import type { AuthorizationServerRecord } from "../../session/authorization-server-record.ts";
import type { AuthorizationServerRecordStore } from "../../session/store.ts";
import type { SealedAuthorizationServerRecords } from "../sealed-authorization-server-records.ts";
import type { Sealer } from "../sealer.ts";
import type { PostgresDatabase } from "./postgres-database.ts";
import { mustText, numberOrNull, type PostgresRow, textOrNull } from "./postgres-values.ts";

const columns = "id_hash, grant_hash, uid_hash, user_code_hash, expires_at, consumed_at, sealed";

/** The state of Latchkey's authorization server, in a PostgreSQL database. */
export class PostgresAuthorizationServerRecords implements AuthorizationServerRecordStore {
  readonly #db: PostgresDatabase;
  readonly #sealed: SealedAuthorizationServerRecords;
  readonly #sealer: Sealer;
  readonly #table: string;

  constructor(db: PostgresDatabase, sealed: SealedAuthorizationServerRecords, sealer: Sealer) {
    this.#db = db;
    this.#sealed = sealed;
    this.#sealer = sealer;
    this.#table = `${db.schema}.authorization_server_records`;
  }

  async put(record: AuthorizationServerRecord): Promise<void> {
    const { idHash, grantHash, uidHash, userCodeHash, expiresAt, consumedAt, sealed } = await this.#sealed.seal(record);
    // Whole, with a new row number: of two with one name the newest is found.
    await this.#db.run(
      `INSERT INTO ${this.#table} (${columns}, key_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT (id_hash) DO UPDATE SET row = DEFAULT, grant_hash = excluded.grant_hash, uid_hash = excluded.uid_hash,
         user_code_hash = excluded.user_code_hash, expires_at = excluded.expires_at, consumed_at = excluded.consumed_at,
         sealed = excluded.sealed, key_id = excluded.key_id`,
      ...[idHash, grantHash ?? null, uidHash ?? null, userCodeHash ?? null, expiresAt ?? null, consumedAt ?? null, sealed],
      this.#sealer.keyId(sealed) ?? null,
    );
  }

  get(kind: string, id: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    return this.#find("id_hash", this.#sealed.idHash(kind, id), now);
  }

  getByUid(kind: string, uid: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    return this.#find("uid_hash", this.#sealed.uidHash(kind, uid), now);
  }

  getByUserCode(kind: string, userCode: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    return this.#find("user_code_hash", this.#sealed.userCodeHash(kind, userCode), now);
  }

  async consume(kind: string, id: string, now: number): Promise<boolean> {
    const consumed = await this.#db.run(
      `UPDATE ${this.#table} SET consumed_at = $1
       WHERE id_hash = $2 AND consumed_at IS NULL AND (expires_at IS NULL OR expires_at > $1)`,
      ...[now, this.#sealed.idHash(kind, id)],
    );
    return consumed === 1;
  }

  async remove(kind: string, id: string): Promise<void> {
    await this.#db.run(`DELETE FROM ${this.#table} WHERE id_hash = $1`, this.#sealed.idHash(kind, id));
  }

  async removeByGrant(grantId: string): Promise<void> {
    await this.#db.run(`DELETE FROM ${this.#table} WHERE grant_hash = $1`, this.#sealed.grantHash(grantId));
  }

  async #find(column: string, hash: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    const row = await this.#db.get(`SELECT ${columns} FROM ${this.#table} WHERE ${column} = $1 ORDER BY row DESC LIMIT 1`, hash);
    return row === undefined ? undefined : this.#sealed.unseal(toStored(row), now);
  }
}

function toStored(row: PostgresRow) {
  return {
    idHash: mustText(row, "id_hash"),
    grantHash: textOrNull(row, "grant_hash"),
    uidHash: textOrNull(row, "uid_hash"),
    userCodeHash: textOrNull(row, "user_code_hash"),
    expiresAt: numberOrNull(row, "expires_at"),
    consumedAt: numberOrNull(row, "consumed_at"),
    sealed: mustText(row, "sealed"),
  };
}
