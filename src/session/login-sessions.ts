import type { Logger } from "../logger.ts";
import type { LoginSession, LoginSessionHandle, LoginSessionId, RefreshTokenHash } from "./login-session.ts";
import type { LoginSessionChange, LoginSessionStore } from "./store.ts";
import { assertTransition } from "./transitions.ts";

/** A login session that somebody holds on to: the newest known snapshot without any I/O. */
export interface WatchedLoginSession {
  readonly id: LoginSessionId;
  /** One whole snapshot (I5). After the record was purged: the last one, in state `ended`. */
  current(): LoginSession;
  /** Says that the user did something now: it moves the idle limit. Written with the next commit. */
  touch(now: number): void;
  /** Stops watching. Twice does nothing. */
  release(): void;
}

/** Told after a watched or changed login session has a new snapshot. It must not throw. */
export type LoginSessionListener = (next: LoginSession, previous: LoginSession | undefined) => void;

interface Cell {
  snapshot: LoginSession;
  watchers: number;
  /** The record was removed: a read that was under way then is old news. */
  gone: boolean;
}

/**
 * All access to login sessions goes through here: each commit is checked against the table of transitions, and each
 * change, made here or by another process, reaches the watchers and the listeners. It keeps a snapshot only of
 * watched login sessions.
 */
export class LoginSessions {
  readonly #store: LoginSessionStore;
  readonly #logger: Logger;
  readonly #cells = new Map<LoginSessionId, Cell>();
  /** Uses that are not written yet. They outlive their watcher, which may have been there for one request only. */
  readonly #used = new Map<LoginSessionId, number>();
  /** With whether it wants to hear, at this moment, of login sessions that nobody watches here. */
  readonly #listeners = new Map<LoginSessionListener, () => boolean>();
  /** Versions that this process is writing: their echo from the store is no news, unless the write then seems to fail. */
  readonly #writing = new Map<LoginSessionId, { readonly version: number; echoed: boolean }>();
  readonly #stop: () => void;

  constructor(store: LoginSessionStore, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
    this.#stop = store.subscribe((change) => {
      const writing = this.#writing.get(change.id);
      if (writing?.version === change.version) writing.echoed = true;
      else this.#hear(change);
    });
  }

  /** Stops listening to the store. */
  close(): void {
    this.#stop();
    this.#listeners.clear();
  }

  /** The stored record. Throws LatchkeyError `store_unavailable`. */
  async get(id: LoginSessionId): Promise<LoginSession | undefined> {
    const record = await this.#store.get(id);
    if (record !== undefined) this.#adopt(record);
    return record;
  }

  async getByHandle(handle: LoginSessionHandle): Promise<LoginSession | undefined> {
    const record = await this.#store.getByHandle(handle);
    if (record !== undefined) this.#adopt(record);
    return record;
  }

  getByRefreshTokenHash(hash: RefreshTokenHash): Promise<LoginSession | undefined> {
    return this.#store.getByRefreshTokenHash(hash);
  }

  listByUser(issuer: string, subject: string): Promise<readonly LoginSession[]> {
    return this.#store.listByUser(issuer, subject);
  }

  listBySid(issuer: string, sid: string): Promise<readonly LoginSession[]> {
    return this.#store.listBySid(issuer, sid);
  }

  /** Adds a new record. Throws LatchkeyError `conflict` or `store_unavailable`. */
  async insert(record: LoginSession): Promise<void> {
    await this.#writingVersion(record.id, record.version, () => this.#store.insert(record));
    this.#announce(record, undefined);
  }

  /**
   * Replaces `current` by `next` if nobody else has replaced it, and tells everybody. False: somebody has; read again.
   * Throws LatchkeyError `internal_error` for a transition that the table does not allow, and `store_unavailable`.
   */
  async commit(current: LoginSession, next: LoginSession): Promise<boolean> {
    const usedAt = this.#used.get(current.id) ?? 0;
    const stamped = usedAt > next.lastUsedAt ? { ...next, lastUsedAt: usedAt } : next;
    assertTransition(current, stamped);
    const result = await this.#writingVersion(current.id, stamped.version, () => this.#store.commit(stamped));
    if (result.committed) {
      this.#announce(stamped, current);
      return true;
    }
    if (result.current !== undefined) this.#adopt(result.current);
    return false;
  }

  /** Removes a record that nobody needs any more. False: it has changed since. */
  async remove(record: LoginSession): Promise<boolean> {
    const removed = await this.#store.remove(record.id, record.version);
    const cell = this.#cells.get(record.id);
    if (removed && cell !== undefined) this.#forgotten(cell);
    return removed;
  }

  /**
   * Holds on to a login session. Reads the store, registers, and reads once more, so that an end in between is seen
   * (R3). Undefined: there is no such record. It may be in any state: look before you use it.
   */
  async watch(id: LoginSessionId): Promise<WatchedLoginSession | undefined> {
    const first = this.#cells.get(id)?.snapshot ?? (await this.#store.get(id));
    if (first === undefined) return undefined;
    const cell = this.#cells.get(id) ?? { snapshot: first, watchers: 0, gone: false };
    this.#cells.set(id, cell);
    cell.watchers += 1;
    try {
      const again = await this.#store.get(id);
      if (again === undefined) {
        this.#release(id, cell);
        return undefined;
      }
      this.#adopt(again);
    } catch (error) {
      this.#release(id, cell);
      throw error;
    }
    let held = true;
    return {
      id,
      current: () => cell.snapshot,
      touch: (now) => {
        if (now > cell.snapshot.lastUsedAt) this.#used.set(id, Math.max(this.#used.get(id) ?? 0, now));
      },
      release: () => {
        if (held) this.#release(id, cell);
        held = false;
      },
    };
  }

  /** Whether anything in this process holds on to the login session. */
  isWatched(id: LoginSessionId): boolean {
    return this.#cells.has(id);
  }

  /** How many login sessions are watched. */
  get watchedCount(): number {
    return this.#cells.size;
  }

  /** When a login session was last used, as far as this process knows: a use is written only with the next change. */
  lastUseOf(record: LoginSession): number {
    return Math.max(record.lastUsedAt, this.#used.get(record.id) ?? 0);
  }

  /** How many uses are not written yet. */
  get unwrittenUses(): number {
    return this.#used.size;
  }

  /**
   * Calls `listener` after each change of a login session that is made here or watched here, and, while `wantsAll` says so, of
   * all that other processes change: each of those costs a read. Returns the way to stop.
   */
  onChange(listener: LoginSessionListener, wantsAll: () => boolean = () => false): () => void {
    this.#listeners.set(listener, wantsAll);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  async #writingVersion<T>(id: LoginSessionId, version: number, write: () => Promise<T>): Promise<T> {
    const writing = { version, echoed: false };
    this.#writing.set(id, writing);
    try {
      return await write();
    } catch (error) {
      // It was written all the same; only the acknowledgement was lost (F10). Nobody here would hear of it otherwise.
      if (writing.echoed) this.#hear({ id, version });
      throw error;
    } finally {
      if (this.#writing.get(id) === writing) this.#writing.delete(id);
    }
  }

  #hear(change: LoginSessionChange): void {
    if (change.version === 0) this.#used.delete(change.id);
    const cell = this.#cells.get(change.id);
    if (cell === undefined) {
      const isWanted = this.#used.has(change.id) || [...this.#listeners.values()].some((wantsAll) => wantsAll());
      if (isWanted && change.version > 0) void this.#announceUnwatched(change.id, change.version);
      return;
    }
    if (change.version === 0) this.#forgotten(cell);
    else if (change.version > cell.snapshot.version) void this.#catchUp(change.id);
  }

  #release(id: LoginSessionId, cell: Cell): void {
    cell.watchers -= 1;
    if (cell.watchers === 0) this.#cells.delete(id);
  }

  async #catchUp(id: LoginSessionId): Promise<void> {
    try {
      await this.get(id);
    } catch (error) {
      this.#logger.warn("A change of a login session could not be read; it is read again at its next use.", { error });
    }
  }

  async #announceUnwatched(id: LoginSessionId, version: number): Promise<void> {
    try {
      const record = await this.#store.get(id);
      if (record !== undefined && record.version >= version && !this.#cells.has(id)) this.#tell(record, undefined);
    } catch (error) {
      this.#logger.warn("A change of a login session could not be read.", { error });
    }
  }

  /** Takes a snapshot that was read; an older one than the known is ignored. */
  #adopt(record: LoginSession): void {
    const cell = this.#cells.get(record.id);
    if (cell === undefined || cell.gone || cell.snapshot.version >= record.version) return;
    this.#announce(record, cell.snapshot);
  }

  #announce(next: LoginSession, previous: LoginSession | undefined): void {
    const cell = this.#cells.get(next.id);
    if (cell !== undefined && cell.snapshot.version < next.version) cell.snapshot = next;
    if ((this.#used.get(next.id) ?? 0) <= next.lastUsedAt || next.state === "ended") this.#used.delete(next.id);
    this.#tell(next, previous);
  }

  #forgotten(cell: Cell): void {
    const previous = cell.snapshot;
    cell.gone = true;
    if (previous.state === "ended") return;
    cell.snapshot = {
      ...previous,
      state: "ended",
      reason: previous.reason ?? { code: "administrator", at: previous.lastUsedAt },
      accessTokens: [],
      refreshToken: undefined,
    };
    this.#tell(cell.snapshot, previous);
  }

  #tell(next: LoginSession, previous: LoginSession | undefined): void {
    for (const listener of [...this.#listeners.keys()]) {
      try {
        listener(next, previous);
      } catch (error) {
        this.#logger.error("A listener of login sessions failed.", { error });
      }
    }
  }
}
