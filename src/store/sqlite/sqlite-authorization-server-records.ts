import type { AuthorizationServerRecord } from "../../session/authorization-server-record.ts";
import type { AuthorizationServerRecordStore } from "../../session/store.ts";
import type { SealedAuthorizationServerRecords } from "../sealed-authorization-server-records.ts";
import type { Sealer } from "../sealer.ts";
import type { SqliteDatabase, SqliteRow } from "./sqlite-database.ts";
import { mustText, numberOrNull, textOrNull } from "./sqlite-values.ts";

const table = "authorization_server_records";
const columns = "id_hash, grant_hash, uid_hash, user_code_hash, expires_at, consumed_at, sealed";

/** The state of Latchkey's authorization server, in a SQLite file. */
export class SqliteAuthorizationServerRecords implements AuthorizationServerRecordStore {
  readonly #db: SqliteDatabase;
  readonly #sealed: SealedAuthorizationServerRecords;
  readonly #sealer: Sealer;
  readonly #now: () => number;

  /** `now` gives milliseconds since the epoch: what has expired is dropped while the store is used. */
  constructor(db: SqliteDatabase, sealed: SealedAuthorizationServerRecords, sealer: Sealer, now: () => number) {
    this.#db = db;
    this.#sealed = sealed;
    this.#sealer = sealer;
    this.#now = now;
  }

  async put(record: AuthorizationServerRecord): Promise<void> {
    const { idHash, grantHash, uidHash, userCodeHash, expiresAt, consumedAt, sealed } = await this.#sealed.seal(record);
    await this.#db.write(() => {
      this.#db.run(`DELETE FROM ${table} WHERE expires_at <= ?`, this.#now());
      this.#db.run(
        `INSERT OR REPLACE INTO ${table} (${columns}, key_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        ...[idHash, grantHash ?? null, uidHash ?? null, userCodeHash ?? null, expiresAt ?? null, consumedAt ?? null, sealed],
        this.#sealer.keyId(sealed) ?? null,
      );
    });
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

  consume(kind: string, id: string, now: number): Promise<boolean> {
    const idHash = this.#sealed.idHash(kind, id);
    return this.#db.write(
      () =>
        this.#db.run(
          `UPDATE ${table} SET consumed_at = ? WHERE id_hash = ? AND consumed_at IS NULL AND (expires_at IS NULL OR expires_at > ?)`,
          ...[now, idHash, now],
        ) === 1,
    );
  }

  async remove(kind: string, id: string): Promise<void> {
    await this.#db.write(() => this.#db.run(`DELETE FROM ${table} WHERE id_hash = ?`, this.#sealed.idHash(kind, id)));
  }

  async removeByGrant(grantId: string): Promise<void> {
    await this.#db.write(() => this.#db.run(`DELETE FROM ${table} WHERE grant_hash = ?`, this.#sealed.grantHash(grantId)));
  }

  async #find(column: string, hash: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    const row = await this.#db.read(() =>
      this.#db.get(`SELECT ${columns} FROM ${table} WHERE ${column} = ? ORDER BY row DESC LIMIT 1`, hash),
    );
    return row === undefined ? undefined : this.#sealed.unseal(toStored(row), now);
  }
}

function toStored(row: SqliteRow) {
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
