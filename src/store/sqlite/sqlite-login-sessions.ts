import { LatchkeyError } from "../../errors.ts";
import type { LoginSession, LoginSessionHandle, LoginSessionId, RefreshTokenHash } from "../../session/login-session.ts";
import type { CommitResult, LoginSessionChange, LoginSessionStore } from "../../session/store.ts";
import type { ChangeFeed } from "../change-feed.ts";
import { existsAlready } from "../exists-already.ts";
import type { StoredLoginSession } from "../sealed-login-sessions.ts";
import type { SealedRecords } from "../sealed-records.ts";
import { nextChange, rememberRemoval, type SqliteChanges } from "./sqlite-changes.ts";
import type { SqliteDatabase, SqliteRow } from "./sqlite-database.ts";
import { beginShift } from "./sqlite-shift.ts";
import { mustNumber, mustText, textOrNull } from "./sqlite-values.ts";

const columns =
  "id, handle, user_hash, refresh_hash, consumed_hash, imported_hash, sid_hash, version, generation, state, created_at, sealed";

/** A login session that cannot be read is looked at again by the heartbeat after this time, in case it was put right. */
const quarantineLookMs = 60_000;

export interface SqliteLoginSessionsParts {
  readonly db: SqliteDatabase;
  readonly records: SealedRecords;
  readonly changes: SqliteChanges;
  readonly feed: ChangeFeed;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Login sessions in a SQLite file. */
export class SqliteLoginSessions implements LoginSessionStore {
  readonly #db: SqliteDatabase;
  readonly #records: SealedRecords;
  readonly #changes: SqliteChanges;
  readonly #feed: ChangeFeed;
  readonly #now: () => number;

  constructor({ db, records, changes, feed, now }: SqliteLoginSessionsParts) {
    this.#db = db;
    this.#records = records;
    this.#changes = changes;
    this.#feed = feed;
    this.#now = now;
  }

  async insert(record: LoginSession): Promise<void> {
    const stored = await this.#records.loginSessions.seal(record);
    await this.#db.write(
      () => {
        // One writer at a time: nothing comes between this look and the insertion.
        const imported = stored.importedHash ?? null;
        if (this.#db.get("SELECT 1 FROM login_sessions WHERE imported_hash = ? LIMIT 1", imported) !== undefined) throw existsAlready();
        const inserted = this.#db.run(
          `INSERT INTO login_sessions (${columns}, key_id, due_at, writer, change) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
          ...[...values(stored), this.#keyId(stored), record.nextDueAt ?? null, this.#changes.writer, nextChange(this.#db)],
        );
        if (inserted === 0) throw existsAlready();
      },
      () => this.#written(stored, record),
    );
  }

  get(id: LoginSessionId): Promise<LoginSession | undefined> {
    return this.#find("WHERE id = ?", id);
  }

  getByHandle(handle: LoginSessionHandle): Promise<LoginSession | undefined> {
    return this.#find("WHERE handle = ?", handle);
  }

  async getByRefreshTokenHash(hash: RefreshTokenHash): Promise<LoginSession | undefined> {
    const row = await this.#db.read(() =>
      this.#db.get(
        `SELECT ${columns} FROM login_sessions WHERE refresh_hash = ? OR consumed_hash = ? OR imported_hash = ? ORDER BY change DESC LIMIT 1`,
        ...[hash, hash, hash],
      ),
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
    const there = await this.#db.write(
      () => {
        const changed = this.#db.run(
          `UPDATE login_sessions SET refresh_hash = ?, consumed_hash = ?, imported_hash = ?, sid_hash = ?, version = ?, generation = ?, state = ?,
             due_at = ?, sealed = ?, key_id = ?, writer = ?, change = ? WHERE id = ? AND version = ?`,
          ...[stored.refreshHash ?? null, stored.consumedHash ?? null, stored.importedHash ?? null, stored.sidHash ?? null, stored.version],
          ...[
            stored.generation,
            stored.state,
            next.nextDueAt ?? null,
            stored.sealed,
            this.#keyId(stored),
            this.#changes.writer,
            nextChange(this.#db),
          ],
          ...[stored.id, stored.version - 1],
        );
        return changed === 1 ? "committed" : this.#db.get(`SELECT ${columns} FROM login_sessions WHERE id = ?`, stored.id);
      },
      (result) => {
        if (result === "committed") this.#written(stored, next);
      },
    );
    if (there === "committed") return { committed: true };
    return {
      committed: false,
      current: there === undefined ? undefined : await this.#records.loginSessions.unseal(toStoredLoginSession(there)),
    };
  }

  remove(id: LoginSessionId, version: number): Promise<boolean> {
    return this.#db.write(
      () => {
        if (this.#db.run("DELETE FROM login_sessions WHERE id = ? AND version = ?", id, version) === 0) return false;
        rememberRemoval(this.#db, id, this.#changes.writer);
        return true;
      },
      (removed) => {
        if (!removed) return;
        this.#records.loginSessions.forget(id);
        this.#feed.tell({ id, version: 0 });
      },
    );
  }

  listByUser(issuer: string, subject: string): Promise<readonly LoginSession[]> {
    return this.#list("user_hash", this.#records.hashes.user(issuer, subject));
  }

  listBySid(issuer: string, sid: string): Promise<readonly LoginSession[]> {
    return this.#list("sid_hash", this.#records.hashes.sid(issuer, sid));
  }

  async #list(column: "user_hash" | "sid_hash", hash: string): Promise<readonly LoginSession[]> {
    const rows = await this.#db.read(() =>
      this.#db.all(`SELECT ${columns} FROM login_sessions WHERE ${column} = ? ORDER BY created_at DESC, row DESC`, hash),
    );
    const records = await Promise.all(rows.map((row) => this.#records.loginSessions.unseal(toStoredLoginSession(row))));
    return records.filter((record) => record !== undefined);
  }

  async claimDue(now: number, limit: number, leaseMs: number): Promise<readonly LoginSessionId[]> {
    // Most of the time nothing is due: no write lock for that.
    const any = await this.#db.read(() => this.#db.get("SELECT 1 FROM login_sessions WHERE due_at <= ? LIMIT 1", now));
    if (any === undefined) return [];
    return this.#db.write(() => {
      const rows = this.#db.all("SELECT id FROM login_sessions WHERE due_at <= ? ORDER BY due_at, row LIMIT ?", now, limit);
      return rows.map((row) => {
        const id = mustText(row, "id") as LoginSessionId;
        const hiddenMs = this.#records.quarantine.has(id) ? quarantineLookMs : leaseMs;
        this.#db.run("UPDATE login_sessions SET due_at = ? WHERE id = ?", now + hiddenMs, id);
        return id;
      });
    });
  }

  async shiftDue(byMs: number): Promise<void> {
    const { writer } = this.#changes;
    await this.#db.write(() => {
      // All processes on this machine notice the same jump: it moves the due times once.
      if (!beginShift(this.#db, { byMs, writer, at: this.#now() })) return;
      this.#db.run("UPDATE login_sessions SET due_at = due_at + ? WHERE due_at IS NOT NULL", byMs);
    });
  }

  subscribe(listener: (change: LoginSessionChange) => void): () => void {
    return this.#feed.subscribe(listener);
  }

  async #find(where: string, key: string): Promise<LoginSession | undefined> {
    const row = await this.#db.read(() => this.#db.get(`SELECT ${columns} FROM login_sessions ${where}`, key));
    return row === undefined ? undefined : this.#records.loginSessions.unseal(toStoredLoginSession(row));
  }

  #keyId(stored: StoredLoginSession): string | null {
    return this.#records.sealer.keyId(stored.sealed) ?? null;
  }

  #written(stored: StoredLoginSession, record: LoginSession): void {
    this.#records.loginSessions.keep(stored, record);
    this.#records.quarantine.clear(stored.id);
    this.#feed.tell({ id: record.id, version: record.version });
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

/** A row as it stands in the file. */
export function toStoredLoginSession(row: SqliteRow): StoredLoginSession {
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
