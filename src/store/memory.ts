import { LatchkeyError } from "../errors.ts";
import type { BrowserSession, BrowserSessionKey, BrowserSignIn } from "../session/browser-session.ts";
import type { ConnectionKeyHash, ConnectionKeyRecord } from "../session/connection-key.ts";
import type { ImportIntent } from "../session/import-intent.ts";
import type { LoginSessionId, RefreshTokenHash } from "../session/login-session.ts";
import type { LoginTransaction } from "../session/login-transaction.ts";
import type { BrowserSessionStore, ConnectionKeyStore, ImportIntentStore, LoginTransactionStore, Store } from "../session/store.ts";
import { MemoryLoginSessions } from "./memory-login-sessions.ts";

/** A store in this process's memory: for one process, nothing survives its end. */
export class MemoryStore implements Store {
  readonly loginSessions = new MemoryLoginSessions();
  readonly connectionKeys = new MemoryConnectionKeys();
  readonly browserSessions: MemoryBrowserSessions;
  readonly loginTransactions: MemoryLoginTransactions;
  readonly importIntents: MemoryImportIntents;

  /** `now` gives milliseconds since the epoch: what has expired is dropped while the store is used. */
  constructor(now: () => number) {
    this.browserSessions = new MemoryBrowserSessions(now);
    this.loginTransactions = new MemoryLoginTransactions(now);
    this.importIntents = new MemoryImportIntents(now);
  }

  async close(): Promise<void> {}

  /** How many entries each map holds, for the test of I16. */
  sizes(): Readonly<Record<string, number>> {
    return {
      ...this.loginSessions.sizes(),
      connectionKeys: this.connectionKeys.size,
      browserSessions: this.browserSessions.size,
      loginTransactions: this.loginTransactions.size,
      importIntents: this.importIntents.size,
    };
  }
}

class MemoryConnectionKeys implements ConnectionKeyStore {
  readonly #byHash = new Map<ConnectionKeyHash, ConnectionKeyRecord>();
  readonly #byLoginSession = new Map<LoginSessionId, Map<string, ConnectionKeyRecord>>();

  get size(): number {
    return this.#byHash.size;
  }

  async insert(key: ConnectionKeyRecord, limit: number): Promise<void> {
    const keys = this.#byLoginSession.get(key.loginSessionId) ?? new Map<string, ConnectionKeyRecord>();
    if (keys.size >= limit)
      throw new LatchkeyError("conflict", `This login session has ${limit} connection keys already. Remove one that is no longer needed.`);
    if (this.#byHash.has(key.hash)) throw new LatchkeyError("conflict", "This connection key exists already.");
    this.#byLoginSession.set(key.loginSessionId, keys.set(key.id, key));
    this.#byHash.set(key.hash, key);
  }

  async getByHash(hash: ConnectionKeyHash): Promise<ConnectionKeyRecord | undefined> {
    return this.#byHash.get(hash);
  }

  async listByLoginSession(id: LoginSessionId): Promise<readonly ConnectionKeyRecord[]> {
    return [...(this.#byLoginSession.get(id)?.values() ?? [])];
  }

  async remove(id: LoginSessionId, keyId: string): Promise<boolean> {
    const keys = this.#byLoginSession.get(id);
    const key = keys?.get(keyId);
    if (keys === undefined || key === undefined) return false;
    this.#byHash.delete(key.hash);
    keys.delete(keyId);
    if (keys.size === 0) this.#byLoginSession.delete(id);
    return true;
  }

  async removeByLoginSession(id: LoginSessionId): Promise<void> {
    for (const key of this.#byLoginSession.get(id)?.values() ?? []) this.#byHash.delete(key.hash);
    this.#byLoginSession.delete(id);
  }
}

class MemoryBrowserSessions implements BrowserSessionStore {
  readonly #entries = new Map<BrowserSessionKey, BrowserSession>();
  readonly #madeBy = new Map<string, BrowserSessionKey>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  async get(key: BrowserSessionKey, now: number): Promise<BrowserSession | undefined> {
    const found = this.#entries.get(key);
    return found !== undefined && found.expiresAt > now ? found : undefined;
  }

  async signIn({ previous, next, loginCookies, since }: BrowserSignIn): Promise<void> {
    for (const expired of dropExpired(this.#entries, this.#now())) this.#madeBy.delete(expired.madeBy);
    if (previous !== undefined) await this.remove(previous);
    const beside = loginCookies.flatMap((cookie) => {
      const key = this.#madeBy.get(cookie);
      const found = key === undefined ? undefined : this.#entries.get(key);
      return found !== undefined && found.signedInAt >= since ? [found] : [];
    });
    const loginSessionIds = [...new Set([...beside, next].flatMap((each) => each.loginSessionIds))];
    for (const each of beside) this.#entries.set(each.key, { ...each, loginSessionIds });
    this.#entries.set(next.key, { ...next, loginSessionIds });
    this.#madeBy.set(next.madeBy, next.key);
  }

  async remove(key: BrowserSessionKey): Promise<void> {
    const found = this.#entries.get(key);
    if (found === undefined) return;
    this.#entries.delete(key);
    if (this.#madeBy.get(found.madeBy) === key) this.#madeBy.delete(found.madeBy);
  }
}

class MemoryLoginTransactions implements LoginTransactionStore {
  readonly #entries = new Map<string, LoginTransaction>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  async insert(transaction: LoginTransaction): Promise<void> {
    dropExpired(this.#entries, this.#now());
    this.#entries.set(transaction.state, transaction);
  }

  async take(state: string, now: number): Promise<LoginTransaction | undefined> {
    const found = this.#entries.get(state);
    this.#entries.delete(state);
    return found !== undefined && found.expiresAt > now ? found : undefined;
  }
}

class MemoryImportIntents implements ImportIntentStore {
  readonly #entries = new Map<RefreshTokenHash, ImportIntent>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  async claim(intent: ImportIntent, now: number): Promise<boolean> {
    dropExpired(this.#entries, this.#now());
    const held = this.#entries.get(intent.hash);
    if (held !== undefined && held.owner !== intent.owner && held.expiresAt > now) return false;
    this.#entries.delete(intent.hash);
    this.#entries.set(intent.hash, intent);
    return true;
  }

  async release({ hash, owner }: Pick<ImportIntent, "hash" | "owner">): Promise<void> {
    if (this.#entries.get(hash)?.owner === owner) this.#entries.delete(hash);
  }
}

/** Entries are in the order of their making and live about as long, so the expired ones stand in front. Gives what it dropped. */
function dropExpired<Key, Entry extends { readonly expiresAt: number }>(entries: Map<Key, Entry>, now: number): readonly Entry[] {
  const dropped: Entry[] = [];
  for (const [key, entry] of entries) {
    if (entry.expiresAt > now) break;
    entries.delete(key);
    dropped.push(entry);
  }
  return dropped;
}
