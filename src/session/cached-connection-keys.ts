import type { Clock } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { ConnectionKeyHash, ConnectionKeyRecord } from "./connection-key.ts";
import type { LoginSessionId } from "./login-session.ts";
import type { ConnectionKeyStore } from "./store.ts";

/** A key that another process removes is accepted here for this long at most. */
const freshMs = 500;
/** So many keys that were used last are remembered. */
const mostRemembered = 10_000;

interface Remembered {
  readonly key: ConnectionKeyRecord;
  /** On the monotonic clock. */
  readonly readAt: number;
}

/**
 * Connection keys with the ones that are in use remembered: a request asks the store at most twice a second for its key. While the
 * store is away a key goes on that was good when it was last read: nobody can remove one then, and what it opens ends with the
 * access token.
 */
export class CachedConnectionKeys implements ConnectionKeyStore {
  readonly #keys: ConnectionKeyStore;
  readonly #clock: Clock;
  /** The one that was used longest ago stands first. */
  readonly #remembered = new Map<ConnectionKeyHash, Remembered>();
  /** Reads that are under way: those who ask meanwhile wait for the same. */
  readonly #reading = new Map<ConnectionKeyHash, Promise<ConnectionKeyRecord | undefined>>();
  /** Counts removals: what was read before one may be what it removed. */
  #removals = 0;

  constructor(keys: ConnectionKeyStore, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#remembered.size;
  }

  insert(key: ConnectionKeyRecord, limit: number): Promise<void> {
    return this.#keys.insert(key, limit);
  }

  async getByHash(hash: ConnectionKeyHash): Promise<ConnectionKeyRecord | undefined> {
    const known = this.#remembered.get(hash);
    if (known !== undefined && this.#clock.monotonic() - known.readAt < freshMs) return known.key;
    try {
      return await this.#read(hash);
    } catch (error) {
      const isAway = error instanceof LatchkeyError && error.code === "store_unavailable";
      const last = this.#remembered.get(hash);
      if (isAway && last !== undefined) return last.key;
      throw error;
    }
  }

  listByLoginSession(id: LoginSessionId): Promise<readonly ConnectionKeyRecord[]> {
    return this.#keys.listByLoginSession(id);
  }

  async remove(id: LoginSessionId, keyId: string): Promise<boolean> {
    return this.#removing(
      () => this.#keys.remove(id, keyId),
      (key) => key.loginSessionId === id && key.id === keyId,
    );
  }

  async removeByLoginSession(id: LoginSessionId): Promise<void> {
    await this.#removing(
      () => this.#keys.removeByLoginSession(id),
      (key) => key.loginSessionId === id,
    );
  }

  #read(hash: ConnectionKeyHash): Promise<ConnectionKeyRecord | undefined> {
    const running = this.#reading.get(hash);
    if (running !== undefined) return running;
    const readAt = this.#clock.monotonic();
    const removals = this.#removals;
    const reading = this.#keys
      .getByHash(hash)
      .then((key) => {
        this.#remembered.delete(hash);
        if (key !== undefined && removals === this.#removals) this.#remember(hash, { key, readAt });
        return key;
      })
      .finally(() => this.#reading.delete(hash));
    this.#reading.set(hash, reading);
    return reading;
  }

  #remember(hash: ConnectionKeyHash, remembered: Remembered): void {
    this.#remembered.set(hash, remembered);
    const [oldest] = this.#remembered.size > mostRemembered ? this.#remembered.keys() : [];
    if (oldest !== undefined) this.#remembered.delete(oldest);
  }

  /** Forgotten before and after: a read in between may have found it still there. */
  async #removing<T>(remove: () => Promise<T>, matches: (key: ConnectionKeyRecord) => boolean): Promise<T> {
    this.#removals += 1;
    const result = await remove();
    this.#removals += 1;
    // A read that is under way may have seen it before it was removed: nobody may join that one any more.
    this.#reading.clear();
    for (const [hash, { key }] of this.#remembered) if (matches(key)) this.#remembered.delete(hash);
    return result;
  }
}
