import type { LoginSession, LoginSessionHandle, LoginSessionId, RefreshTokenHash } from "../../session/login-session.ts";
import type { CommitResult, LoginSessionChange, LoginSessionStore } from "../../session/store.ts";
import { existsAlready } from "../exists-already.ts";
import { DueIndex } from "./due-index.ts";

/** Login sessions in this process's memory. They are gone when it ends. */
export class MemoryLoginSessions implements LoginSessionStore {
  readonly #records = new Map<LoginSessionId, LoginSession>();
  readonly #handles = new Map<LoginSessionHandle, LoginSessionId>();
  readonly #hashes = new Map<RefreshTokenHash, LoginSessionId>();
  readonly #imported = new Map<RefreshTokenHash, LoginSessionId>();
  readonly #users = new Map<string, Set<LoginSessionId>>();
  readonly #sids = new Map<string, Set<LoginSessionId>>();
  readonly #due = new DueIndex<LoginSessionId>();
  readonly #listeners = new Set<(change: LoginSessionChange) => void>();

  async insert(record: LoginSession): Promise<void> {
    const { id, handle, importedRefreshTokenHash: imported } = record;
    if (this.#records.has(id) || this.#handles.has(handle) || (imported !== undefined && this.#imported.has(imported)))
      throw existsAlready();
    this.#handles.set(record.handle, record.id);
    addTo(this.#users, pairKey(record.principal.issuer, record.principal.subject), record.id);
    this.#put(record, undefined);
  }

  async get(id: LoginSessionId): Promise<LoginSession | undefined> {
    return this.#records.get(id);
  }

  async getByHandle(handle: LoginSessionHandle): Promise<LoginSession | undefined> {
    const id = this.#handles.get(handle);
    return id === undefined ? undefined : this.#records.get(id);
  }

  async getByRefreshTokenHash(hash: RefreshTokenHash): Promise<LoginSession | undefined> {
    const id = this.#hashes.get(hash);
    return id === undefined ? undefined : this.#records.get(id);
  }

  async commit(next: LoginSession): Promise<CommitResult> {
    const current = this.#records.get(next.id);
    if (current === undefined || current.version !== next.version - 1) return { committed: false, current };
    this.#put(next, current);
    return { committed: true };
  }

  async remove(id: LoginSessionId, version: number): Promise<boolean> {
    const current = this.#records.get(id);
    if (current?.version !== version) return false;
    this.#records.delete(id);
    this.#handles.delete(current.handle);
    this.#due.set(id, undefined);
    this.#indexHashes(undefined, current);
    removeFrom(this.#users, pairKey(current.principal.issuer, current.principal.subject), id);
    this.#tell({ id, version: 0 });
    return true;
  }

  async listByUser(issuer: string, subject: string): Promise<readonly LoginSession[]> {
    return this.#newestFirst(this.#users.get(pairKey(issuer, subject)) ?? []);
  }

  async listBySid(issuer: string, sid: string): Promise<readonly LoginSession[]> {
    return this.#newestFirst(this.#sids.get(pairKey(issuer, sid)) ?? []);
  }

  #newestFirst(ids: Iterable<LoginSessionId>): readonly LoginSession[] {
    // Of two of the same millisecond the one that was inserted later comes first: sort is stable.
    const found = [...ids]
      .reverse()
      .map((id) => this.#records.get(id))
      .filter((record) => record !== undefined);
    return found.sort((a, b) => b.createdAt - a.createdAt);
  }

  async claimDue(now: number, limit: number, leaseMs: number): Promise<readonly LoginSessionId[]> {
    return this.#due.take(now, limit, now + leaseMs);
  }

  async shiftDue(byMs: number): Promise<void> {
    this.#due.shift(byMs);
  }

  subscribe(listener: (change: LoginSessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** How many entries each map holds, for the test of I16. */
  sizes(): Readonly<Record<string, number>> {
    return {
      records: this.#records.size,
      handles: this.#handles.size,
      hashes: this.#hashes.size,
      imported: this.#imported.size,
      users: this.#users.size,
      sids: this.#sids.size,
      due: this.#due.size,
      listeners: this.#listeners.size,
    };
  }

  #put(next: LoginSession, current: LoginSession | undefined): void {
    this.#records.set(next.id, Object.freeze(next));
    this.#due.set(next.id, next.nextDueAt);
    this.#indexHashes(next, current);
    this.#tell({ id: next.id, version: next.version });
  }

  #indexHashes(next: LoginSession | undefined, current: LoginSession | undefined): void {
    const [before, after] = [sidKey(current), sidKey(next)];
    if (before !== after) {
      if (before !== undefined && current !== undefined) removeFrom(this.#sids, before, current.id);
      if (after !== undefined && next !== undefined) addTo(this.#sids, after, next.id);
    }
    if (current?.importedRefreshTokenHash !== undefined) this.#imported.delete(current.importedRefreshTokenHash);
    if (next?.importedRefreshTokenHash !== undefined) this.#imported.set(next.importedRefreshTokenHash, next.id);
    for (const hash of [current?.refreshTokenHash, current?.consumedRefreshTokenHash, current?.importedRefreshTokenHash])
      if (hash !== undefined && current !== undefined && this.#hashes.get(hash) === current.id) this.#hashes.delete(hash);
    for (const hash of [next?.importedRefreshTokenHash, next?.consumedRefreshTokenHash, next?.refreshTokenHash])
      if (hash !== undefined && next !== undefined) this.#hashes.set(hash, next.id);
  }

  #tell(change: LoginSessionChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}

function pairKey(issuer: string, name: string): string {
  return JSON.stringify([issuer, name]);
}

function sidKey(record: LoginSession | undefined): string | undefined {
  return record?.principal.sid === undefined ? undefined : pairKey(record.principal.issuer, record.principal.sid);
}

function addTo(index: Map<string, Set<LoginSessionId>>, key: string, id: LoginSessionId): void {
  index.set(key, (index.get(key) ?? new Set()).add(id));
}

function removeFrom(index: Map<string, Set<LoginSessionId>>, key: string, id: LoginSessionId): void {
  const ids = index.get(key);
  ids?.delete(id);
  if (ids?.size === 0) index.delete(key);
}
