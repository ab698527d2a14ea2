import { LatchkeyError } from "../../errors.ts";
import type { LoginSession, LoginSessionHandle, LoginSessionId, RefreshTokenHash } from "../../session/login-session.ts";
import type { CommitResult, LoginSessionChange, LoginSessionStore } from "../../session/store.ts";
import type { ChangeFeed } from "../change-feed.ts";
import { existsAlready } from "../exists-already.ts";
import type { StoredLoginSession } from "../sealed-login-sessions.ts";
import type { SealedRecords } from "../sealed-records.ts";
import type { PostgresChanges } from "./postgres-changes.ts";
import type { PostgresDatabase, PostgresStatements, PostgresValue } from "./postgres-database.ts";
import { shiftStatement } from "./postgres-shift.ts";
import { mustNumber, mustText, type PostgresRow, textOrNull } from "./postgres-values.ts";

const columns =
  "id, handle, user_hash, refresh_hash, consumed_hash, imported_hash, sid_hash, version, generation, state, created_at, sealed";

/** A login session that cannot be read is looked at again by the heartbeat after this time, in case it was put right. */
const quarantineLookMs = 60_000;

export interface PostgresLoginSessionsParts {
  readonly db: PostgresDatabase;
  readonly records: SealedRecords;
  readonly changes: PostgresChanges;
  readonly feed: ChangeFeed;
  /** Wakes other processes. */
  readonly notify: () => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Login sessions in a PostgreSQL database. Each is one row, and each call one statement: the row's version is the whole lock. Only
 * an import has another one, since there is no row yet.
 */
export class PostgresLoginSessions implements LoginSessionStore {
  readonly #parts: PostgresLoginSessionsParts;
  readonly #db: PostgresDatabase;
  readonly #records: SealedRecords;
  readonly #table: string;

  constructor(parts: PostgresLoginSessionsParts) {
    this.#parts = parts;
    this.#db = parts.db;
    this.#records = parts.records;
    this.#table = `${parts.db.schema}.login_sessions`;
  }

  async insert(record: LoginSession): Promise<void> {
    const stored = await this.#records.loginSessions.seal(record);
    const inserted = await this.#doubting(stored.id, () =>
      stored.importedHash === undefined
        ? this.#insert(this.#db, stored, record)
        : this.#insertImported(stored.importedHash, (statements) => this.#insert(statements, stored, record)),
    );
    if (inserted === 0) throw existsAlready();
    this.#written(stored, record);
  }

  get(id: LoginSessionId): Promise<LoginSession | undefined> {
    return this.#find("id = $1", id);
  }

  getByHandle(handle: LoginSessionHandle): Promise<LoginSession | undefined> {
    return this.#find("handle = $1", handle);
  }

  async getByRefreshTokenHash(hash: RefreshTokenHash): Promise<LoginSession | undefined> {
    const row = await this.#db.get(
      `SELECT ${columns} FROM ${this.#table} WHERE refresh_hash = $1 OR consumed_hash = $1 OR imported_hash = $1 ORDER BY txid DESC LIMIT 1`,
      hash,
    );
    if (row === undefined) return undefined;
    const record = await this.#records.loginSessions.unseal(toStoredLoginSession(row));
    // Whoever asks would present that refresh token, and it may be spent: "absent" would be the wrong answer.
    if (record === undefined)
      throw new LatchkeyError("store_unavailable", "The stored login session of this refresh token cannot be read. The log has the cause.");
    return record;
  }

  async commit(next: LoginSession): Promise<CommitResult> {
    const stored = await this.#records.loginSessions.seal(next);
    const changed = await this.#write(
      stored.id,
      `UPDATE ${this.#table} SET refresh_hash = $1, consumed_hash = $2, imported_hash = $3, sid_hash = $4, version = $5, generation = $6, state = $7,
         due_at = $8, sealed = $9, key_id = $10, writer = $11, txid = pg_current_xact_id() WHERE id = $12 AND version = $13`,
      ...[stored.refreshHash ?? null, stored.consumedHash ?? null, stored.importedHash ?? null, stored.sidHash ?? null],
      ...[
        stored.version,
        stored.generation,
        stored.state,
        next.nextDueAt ?? null,
        stored.sealed,
        this.#keyId(stored),
        this.#parts.changes.writer,
      ],
      ...[stored.id, stored.version - 1],
    );
    if (changed === 1) {
      this.#written(stored, next);
      return { committed: true };
    }
    // Another statement, with a snapshot of its own: that of the first is older than the commit which it waited for and lost to.
    return { committed: false, current: await this.get(next.id) };
  }

  async remove(id: LoginSessionId, version: number): Promise<boolean> {
    const removed = await this.#write(
      id,
      `WITH gone AS (DELETE FROM ${this.#table} WHERE id = $1 AND version = $2 RETURNING id)
       INSERT INTO ${this.#db.schema}.removals (id, writer) SELECT id, $3 FROM gone
       ON CONFLICT (id) DO UPDATE SET writer = excluded.writer, txid = pg_current_xact_id(), at = clock_timestamp()`,
      ...[id, version, this.#parts.changes.writer],
    );
    if (removed === 0) return false;
    this.#records.loginSessions.forget(id);
    this.#tell({ id, version: 0 });
    return true;
  }

  listByUser(issuer: string, subject: string): Promise<readonly LoginSession[]> {
    return this.#list("user_hash", this.#records.hashes.user(issuer, subject));
  }

  listBySid(issuer: string, sid: string): Promise<readonly LoginSession[]> {
    return this.#list("sid_hash", this.#records.hashes.sid(issuer, sid));
  }

  async #list(column: "user_hash" | "sid_hash", hash: string): Promise<readonly LoginSession[]> {
    const rows = await this.#db.all(`SELECT ${columns} FROM ${this.#table} WHERE ${column} = $1 ORDER BY created_at DESC, row DESC`, hash);
    const records = await Promise.all(rows.map((row) => this.#records.loginSessions.unseal(toStoredLoginSession(row))));
    return records.filter((record) => record !== undefined);
  }

  async claimDue(now: number, limit: number, leaseMs: number): Promise<readonly LoginSessionId[]> {
    const rows = await this.#db.all(
      `WITH due AS (SELECT id, due_at, row FROM ${this.#table} WHERE due_at <= $1 ORDER BY due_at, row LIMIT $2 FOR UPDATE SKIP LOCKED),
         claimed AS (UPDATE ${this.#table} AS each SET due_at = $1::double precision + $3::double precision
           FROM due WHERE each.id = due.id RETURNING due.id, due.due_at, due.row)
       SELECT id FROM claimed ORDER BY due_at, row`,
      ...[now, limit, leaseMs],
    );
    const ids = rows.map((row) => mustText(row, "id") as LoginSessionId);
    const unreadable = ids.filter((id) => this.#records.quarantine.has(id));
    if (unreadable.length > 0)
      await this.#db.run(
        `UPDATE ${this.#table} SET due_at = $1 WHERE id = ANY ($2) AND due_at = $3::double precision + $4::double precision`,
        ...[now + quarantineLookMs, unreadable, now, leaseMs],
      );
    return ids;
  }

  async shiftDue(byMs: number): Promise<void> {
    await this.#db.run(shiftStatement(this.#db.schema), byMs, this.#parts.changes.writer, this.#parts.now());
  }

  subscribe(listener: (change: LoginSessionChange) => void): () => void {
    return this.#parts.feed.subscribe(listener);
  }

  async #find(where: string, key: string): Promise<LoginSession | undefined> {
    const row = await this.#db.get(`SELECT ${columns} FROM ${this.#table} WHERE ${where}`, key);
    return row === undefined ? undefined : this.#records.loginSessions.unseal(toStoredLoginSession(row));
  }

  #keyId(stored: StoredLoginSession): string | null {
    return this.#records.sealer.keyId(stored.sealed) ?? null;
  }

  #write(id: string, text: string, ...given: readonly PostgresValue[]): Promise<number> {
    return this.#doubting(id, () => this.#db.run(text, ...given));
  }

  async #doubting(id: string, write: () => Promise<number>): Promise<number> {
    try {
      return await write();
    } catch (error) {
      // It may have been done all the same.
      this.#parts.changes.doubt(id as LoginSessionId);
      throw error;
    }
  }

  #insert(statements: PostgresStatements, stored: StoredLoginSession, record: LoginSession): Promise<number> {
    return statements.run(
      `INSERT INTO ${this.#table} (${columns}, key_id, due_at, writer)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING`,
      ...[...values(stored), this.#keyId(stored), record.nextDueAt ?? null, this.#parts.changes.writer],
    );
  }

  /**
   * Inserts unless a record of an import of the same refresh token is there. A unique index would do as well, but could not be made
   * where older versions have written two.
   */
  #insertImported(imported: string, insert: (statements: PostgresStatements) => Promise<number>): Promise<number> {
    return this.#db.transaction(async (statements) => {
      // The look is a statement of its own: it sees what was committed until the lock was ours.
      await statements.get("SELECT pg_advisory_xact_lock($1)", this.#db.lockNumber("import", imported));
      const there = await statements.get(`SELECT 1 FROM ${this.#table} WHERE imported_hash = $1 LIMIT 1`, imported);
      return there === undefined ? insert(statements) : 0;
    });
  }

  #written(stored: StoredLoginSession, record: LoginSession): void {
    this.#records.loginSessions.keep(stored, record);
    this.#records.quarantine.clear(stored.id);
    this.#tell({ id: record.id, version: record.version });
  }

  #tell(change: LoginSessionChange): void {
    this.#parts.feed.tell(change);
    this.#parts.notify();
  }
}

function values(stored: StoredLoginSession): readonly (string | number | null)[] {
  return [
    stored.id,
    stored.handle,
    stored.userHash,
    stored.refreshHash ?? null,
    stored.consumedHash ?? null,
    stored.importedHash ?? null,
    stored.sidHash ?? null,
    stored.version,
    stored.generation,
    stored.state,
    stored.createdAt,
    stored.sealed,
  ];
}

/** A row as it stands in the database. */
export function toStoredLoginSession(row: PostgresRow): StoredLoginSession {
  return {
    id: mustText(row, "id"),
    handle: mustText(row, "handle"),
    userHash: mustText(row, "user_hash"),
    refreshHash: textOrNull(row, "refresh_hash"),
    consumedHash: textOrNull(row, "consumed_hash"),
    importedHash: textOrNull(row, "imported_hash"),
    sidHash: textOrNull(row, "sid_hash"),
    version: mustNumber(row, "version"),
    generation: mustNumber(row, "generation"),
    state: mustText(row, "state"),
    createdAt: mustNumber(row, "created_at"),
    sealed: mustText(row, "sealed"),
  };
}
