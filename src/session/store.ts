import type { AuthorizationServerRecord } from "./authorization-server-record.ts";
import type { BrowserSession, BrowserSessionKey, BrowserSignIn } from "./browser-session.ts";
import type { ConnectionKeyHash, ConnectionKeyRecord } from "./connection-key.ts";
import type { ImportIntent } from "./import-intent.ts";
import type { LocalProfile } from "./local-profile.ts";
import type { LoginSession, LoginSessionHandle, LoginSessionId, RefreshTokenHash } from "./login-session.ts";
import type { LoginTransaction } from "./login-transaction.ts";
import type { StoreAdministration } from "./store-administration.ts";

/** What a compare-and-set did. On `false`, `current` is what the store holds now; undefined: the record is gone. */
export type CommitResult = { readonly committed: true } | { readonly committed: false; readonly current: LoginSession | undefined };

/** Said after each change of a login session. It only wakes: whoever needs the record reads it. */
export interface LoginSessionChange {
  readonly id: LoginSessionId;
  /** 0: the record is gone. */
  readonly version: number;
}

/** Keeps login sessions. Every adapter passes the contract suite in `test/contract/`. A store that cannot be reached throws LatchkeyError `store_unavailable`. */
export interface LoginSessionStore {
  /**
   * Adds a new record. Throws LatchkeyError `conflict` when its id or handle exists, or when another record, an ended one
   * included, came of an import of the same refresh token (`importedRefreshTokenHash`): of several at one time, one is added (F47).
   */
  insert(record: LoginSession): Promise<void>;
  get(id: LoginSessionId): Promise<LoginSession | undefined>;
  getByHandle(handle: LoginSessionHandle): Promise<LoginSession | undefined>;
  /** The login session whose current, last consumed or imported refresh token has this hash. */
  getByRefreshTokenHash(hash: RefreshTokenHash): Promise<LoginSession | undefined>;
  /** Replaces the record whole, if and only if the stored version is `next.version - 1`. */
  commit(next: LoginSession): Promise<CommitResult>;
  /** Removes the record, if and only if the stored version is `version`. */
  remove(id: LoginSessionId, version: number): Promise<boolean>;
  /** All login sessions of one user, ended ones included until they are purged, newest first. */
  listByUser(issuer: string, subject: string): Promise<readonly LoginSession[]>;
  /**
   * All login sessions that began in one session at the authorization server (`sid` of its ID token), newest first, as `listByUser`. One that
   * a version without this look-up wrote is found after its next commit.
   */
  listBySid(issuer: string, sid: string): Promise<readonly LoginSession[]>;
  /**
   * Takes up to `limit` login sessions with `nextDueAt` <= `now`, soonest first, and hides each from further claims
   * for `leaseMs`, or until its next commit. Two callers never get the same one within the lease.
   */
  claimDue(now: number, limit: number, leaseMs: number): Promise<readonly LoginSessionId[]>;
  /** Moves every due time by `byMs` after the wall clock was set back by that much. */
  shiftDue(byMs: number): Promise<void>;
  /** Calls `listener` after each change, in this process or another. Returns the way to stop it. */
  subscribe(listener: (change: LoginSessionChange) => void): () => void;
}

/** Keeps connection keys by their hash. */
export interface ConnectionKeyStore {
  /** Throws LatchkeyError `conflict` when the login session has `limit` keys already, or the hash exists. */
  insert(key: ConnectionKeyRecord, limit: number): Promise<void>;
  getByHash(hash: ConnectionKeyHash): Promise<ConnectionKeyRecord | undefined>;
  listByLoginSession(id: LoginSessionId): Promise<readonly ConnectionKeyRecord[]>;
  /** Removes the key with this public id, if it belongs to that login session. */
  remove(id: LoginSessionId, keyId: string): Promise<boolean>;
  removeByLoginSession(id: LoginSessionId): Promise<void>;
}

/** Keeps browser sessions by the hash of their cookie. */
export interface BrowserSessionStore {
  get(key: BrowserSessionKey, now: number): Promise<BrowserSession | undefined>;
  /**
   * Adds a new browser session and removes the one that it replaces, in one step. Sign-ins of one browser that finish
   * side by side know nothing of each other's new cookie, and whichever answer comes last decides which cookie the
   * browser keeps: both stay, and each gets the login sessions of both.
   */
  signIn(signIn: BrowserSignIn): Promise<void>;
  remove(key: BrowserSessionKey): Promise<void>;
}

/** Keeps logins that are under way. */
export interface LoginTransactionStore {
  insert(transaction: LoginTransaction): Promise<void>;
  /** Gives a transaction once: of two calls with the same state, at most one gets it (B7). */
  take(state: string, now: number): Promise<LoginTransaction | undefined>;
}

/** Keeps imports that are under way, by the hash of the refresh token that was handed over. */
export interface ImportIntentStore {
  /**
   * Writes the intent, unless one of another owner that has not expired at `now` holds the same refresh token: of two
   * owners at one time, at most one gets true (I1). An owner's own intent is replaced.
   */
  claim(intent: ImportIntent, now: number): Promise<boolean>;
  /** Removes the intent if it is this owner's. */
  release(intent: Pick<ImportIntent, "hash" | "owner">): Promise<void>;
}

/** Keeps what may be used once: the `jti` of a logout token, say. */
export interface UsedIdStore {
  /** True the first time: of several callers at one time, at most one gets true. `expiresAt`: when it may be forgotten, ms since the epoch. */
  use(id: UsedId, now: number): Promise<boolean>;
}

export interface UsedId {
  /** What kind of id it is: ids of different kinds have nothing to do with each other. */
  readonly kind: string;
  readonly id: string;
  readonly expiresAt: number;
}

/** Which processes share the store, by the store's own clock where it has one. */
export interface ReplicaStore {
  /** This process is alive for the next `leaseMs`, as far as the others know. Gives how many are, itself among them. */
  announce(replica: string, leaseMs: number): Promise<number>;
  /** It ends: nobody waits for its lease. */
  leave(replica: string): Promise<void>;
}

/** Keeps the state of Latchkey's own authorization server. What has expired is absent. `now`: milliseconds since the epoch. */
export interface AuthorizationServerRecordStore {
  /** Adds the record, or replaces the one of its kind and id whole. */
  put(record: AuthorizationServerRecord): Promise<void>;
  get(kind: string, id: string, now: number): Promise<AuthorizationServerRecord | undefined>;
  getByUid(kind: string, uid: string, now: number): Promise<AuthorizationServerRecord | undefined>;
  getByUserCode(kind: string, userCode: string, now: number): Promise<AuthorizationServerRecord | undefined>;
  /** Uses the record up: `consumedAt` becomes `now`. Of several callers, at most one gets true; false as well when it is absent. */
  consume(kind: string, id: string, now: number): Promise<boolean>;
  remove(kind: string, id: string): Promise<void>;
  /** Removes all records of one grant. */
  removeByGrant(grantId: string): Promise<void>;
}

/**
 * Keeps the profiles of the local side, by name. A store that can be written from outside guards its rows: one that was changed
 * there is absent, and reported (B14). Nothing here tells of changes: whoever needs a profile reads it.
 */
export interface ProfileStore {
  get(name: string): Promise<LocalProfile | undefined>;
  /** All of them, by name. */
  list(): Promise<readonly LocalProfile[]>;
  /**
   * Puts `next` in the place of the profile of its name, if and only if that has the login session `expected` now; undefined: if there is none.
   * Of several callers with the same expectation, at most one gets true.
   */
  replace(next: LocalProfile, expected: LoginSessionId | undefined): Promise<boolean>;
  /** Removes the profile, if and only if it has the login session `expected`. */
  remove(name: string, expected: LoginSessionId): Promise<boolean>;
}

/** All that Latchkey keeps. */
export interface Store {
  readonly loginSessions: LoginSessionStore;
  readonly connectionKeys: ConnectionKeyStore;
  readonly browserSessions: BrowserSessionStore;
  readonly loginTransactions: LoginTransactionStore;
  readonly importIntents: ImportIntentStore;
  readonly usedIds: UsedIdStore;
  readonly replicas: ReplicaStore;
  readonly authorizationServerRecords: AuthorizationServerRecordStore;
  /** Undefined: nothing in it outlives the process. */
  readonly administration?: StoreAdministration | undefined;
  /** Undefined: it keeps none, and the local commands say so. */
  readonly profiles?: ProfileStore | undefined;
  /**
   * Which life of its data the store is in, as far as is known at this moment. It changes when the store was put back from a backup or
   * failed over, and may then lack what was written last: refresh tokens in it may be spent.
   */
  incarnation(): string;
  close(): Promise<void>;
}
