import { LatchkeyError } from "../../errors.ts";
import type { ConnectionKeyHash, ConnectionKeyRecord } from "../../session/connection-key.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { ConnectionKeyStore } from "../../session/store.ts";

/** Connection keys in this process's memory. */
export class MemoryConnectionKeys implements ConnectionKeyStore {
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
