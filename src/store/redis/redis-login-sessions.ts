import { LatchkeyError } from "../../errors.ts";
import type { LoginSession, LoginSessionHandle, LoginSessionId, RefreshTokenHash } from "../../session/login-session.ts";
import type { CommitResult, LoginSessionChange, LoginSessionStore } from "../../session/store.ts";
import type { ChangeFeed } from "../change-feed.ts";
import { existsAlready } from "../exists-already.ts";
import type { StoredLoginSession } from "../sealed-login-sessions.ts";
import type { SealedRecords } from "../sealed-records.ts";
import type { RedisDatabase } from "./redis-database.ts";
import type { KnownIds } from "./redis-known-ids.ts";
import { madeAt, rowTail, toStoredLoginSession } from "./redis-login-session-rows.ts";
import {
  claimDueLoginSessions,
  commitLoginSession,
  getLoginSession,
  getLoginSessionByHandle,
  hideLoginSessions,
  insertLoginSession,
  listLoginSessions,
  removeLoginSession,
  shiftDueTimes,
  writtenKeys,
} from "./redis-login-session-scripts.ts";
import { mustInteger, textOf, textsOf } from "./redis-values.ts";

/** A login session that cannot be read is looked at again by the heartbeat after this time, in case it was put right. */
const quarantineLookMs = 60_000;
/** Two processes measure the same jump of the clock within this. */
const sameJumpMs = 2_000;
/** And notice it within this: a heartbeat looks once a minute at least. */
const noticedWithinMs = 120_000;

/** The channel on which writers wake the others. */
export const changesChannel = "changed";

export interface RedisLoginSessionsParts {
  readonly db: RedisDatabase;
  readonly records: SealedRecords;
  readonly feed: ChangeFeed;
  readonly known: KnownIds;
  /** Stands beside each change that this store makes. */
  readonly writer: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface Found {
  readonly id: string;
  readonly row: string;
}

/** Login sessions in Redis. */
export class RedisLoginSessions implements LoginSessionStore {
  readonly #db: RedisDatabase;
  readonly #records: SealedRecords;
  readonly #feed: ChangeFeed;
  readonly #known: KnownIds;
  readonly #writer: string;
  readonly #now: () => number;

  constructor({ db, records, feed, known, writer, now }: RedisLoginSessionsParts) {
    this.#db = db;
    this.#records = records;
    this.#feed = feed;
    this.#known = known;
    this.#writer = writer;
    this.#now = now;
  }

  async insert(record: LoginSession): Promise<void> {
    const stored = await this.#records.loginSessions.seal(record);
    const inserted = mustInteger(await this.#db.run(insertLoginSession, writtenKeys, this.#written(stored, record)));
    if (inserted === 0) throw existsAlready();
    this.#tell(stored, record);
  }

  async get(id: LoginSessionId): Promise<LoginSession | undefined> {
    const row = textOf(await this.#db.run(getLoginSession, ["login-sessions"], [id]));
    return row === undefined ? undefined : this.#read({ id, row });
  }

  async getByHandle(handle: LoginSessionHandle): Promise<LoginSession | undefined> {
    const [found] = pairs(await this.#db.run(getLoginSessionByHandle, ["login-sessions", "handles"], [handle]));
    const record = found === undefined ? undefined : await this.#read(found);
    // An index that was changed from outside must not give another's record (B14).
    if (record === undefined || record.handle === handle) return record;
    this.#records.quarantine.reportRow("handles");
    return undefined;
  }

  async getByRefreshTokenHash(hash: RefreshTokenHash): Promise<LoginSession | undefined> {
    const found = pairs(await this.#db.run(listLoginSessions, ["login-sessions", "refresh-tokens"], [hash]));
    const [newest] = [...found].sort((one, other) => Number.parseInt(other.row, 10) - Number.parseInt(one.row, 10));
    if (newest === undefined) return undefined;
    const record = await this.#read(newest);
    if (record !== undefined && hashesOf(record).includes(hash)) return record;
    if (record !== undefined) this.#records.quarantine.reportRow("refresh-tokens");
    // Whoever asks would present that refresh token, and it may be spent: "absent" would be the wrong answer.
    throw new LatchkeyError("store_unavailable", "The stored login session of this refresh token cannot be read. The log has the cause.");
  }

  async commit(next: LoginSession): Promise<CommitResult> {
    const stored = await this.#records.loginSessions.seal(next);
    const there = await this.#db.run(commitLoginSession, writtenKeys, [...this.#written(stored, next), stored.version - 1]);
    if (there === 1) {
      this.#tell(stored, next);
      return { committed: true };
    }
    const row = textOf(there);
    return { committed: false, current: row === undefined ? undefined : await this.#read({ id: next.id, row }) };
  }

  async remove(id: LoginSessionId, version: number): Promise<boolean> {
    const args = [id, version, this.#writer, this.#db.key(changesChannel)];
    if (mustInteger(await this.#db.run(removeLoginSession, writtenKeys, args)) === 0) return false;
    this.#records.loginSessions.forget(id);
    this.#known.forget(id);
    this.#feed.tell({ id, version: 0 });
    return true;
  }

  listByUser(issuer: string, subject: string): Promise<readonly LoginSession[]> {
    const user = this.#records.hashes.user(issuer, subject);
    return this.#list("users", user, ({ userHash }) => userHash === user);
  }

  listBySid(issuer: string, sid: string): Promise<readonly LoginSession[]> {
    const hash = this.#records.hashes.sid(issuer, sid);
    return this.#list("refresh-tokens", hash, ({ sidHash }) => sidHash === hash);
  }

  /** `isOf`: an index that was changed from outside must not give another's record (B14). */
  async #list(index: string, hash: string, isOf: (stored: StoredLoginSession) => boolean): Promise<readonly LoginSession[]> {
    const found = pairs(await this.#db.run(listLoginSessions, ["login-sessions", index], [hash])).map((each) => ({
      ...each,
      stored: toStoredLoginSession(each.id, each.row),
    }));
    found.sort((one, other) => other.stored.createdAt - one.stored.createdAt || madeAt(other.row) - madeAt(one.row));
    const records = await Promise.all(found.filter(({ stored }) => isOf(stored)).map((each) => this.#read(each)));
    return records.filter((record) => record !== undefined);
  }

  async claimDue(now: number, limit: number, leaseMs: number): Promise<readonly LoginSessionId[]> {
    const args = [now, limit, now + leaseMs];
    const ids = textsOf(await this.#db.run(claimDueLoginSessions, writtenKeys, args)) as readonly LoginSessionId[];
    const unreadable = ids.filter((id) => this.#records.quarantine.has(id));
    if (unreadable.length > 0) await this.#db.run(hideLoginSessions, writtenKeys, [now + leaseMs, now + quarantineLookMs, ...unreadable]);
    return ids;
  }

  async shiftDue(byMs: number): Promise<void> {
    await this.#db.run(shiftDueTimes, ["counters"], [byMs, this.#writer, this.#now(), sameJumpMs, noticedWithinMs]);
  }

  subscribe(listener: (change: LoginSessionChange) => void): () => void {
    return this.#feed.subscribe(listener);
  }

  #read({ id, row }: Found): Promise<LoginSession | undefined> {
    this.#known.add(id as LoginSessionId);
    return this.#records.loginSessions.unseal(toStoredLoginSession(id, row));
  }

  #written(stored: StoredLoginSession, record: LoginSession): readonly (string | number)[] {
    const tail = rowTail(stored, this.#records.sealer.keyId(stored.sealed));
    return [stored.id, tail, record.nextDueAt ?? "", this.#writer, this.#db.key(changesChannel)];
  }

  #tell(stored: StoredLoginSession, record: LoginSession): void {
    this.#known.add(record.id);
    this.#records.loginSessions.keep(stored, record);
    this.#records.quarantine.clear(stored.id);
    this.#feed.tell({ id: record.id, version: record.version });
  }
}

function hashesOf(record: LoginSession): readonly (RefreshTokenHash | undefined)[] {
  return [record.refreshTokenHash, record.consumedRefreshTokenHash, record.importedRefreshTokenHash];
}

function pairs(reply: unknown): readonly Found[] {
  const texts = textsOf(reply);
  return Array.from({ length: texts.length / 2 }, (_, index) => {
    const [id = "", row = ""] = texts.slice(index * 2, index * 2 + 2);
    return { id, row };
  });
}
