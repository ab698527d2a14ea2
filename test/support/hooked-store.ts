import { LatchkeyError } from "../../src/errors.ts";
import type { CommitResult, LoginSessionStore } from "../../src/session/store.ts";

/** What a store is asked to do. */
export type StoreOperation = "insert" | "get" | "find" | "commit" | "remove" | "list" | "claimDue" | "shiftDue";

export interface StoreHooks {
  /** Before the store does it. Throw to fail without writing; hold the promise to be slow. */
  readonly before?: (operation: StoreOperation, detail: unknown) => Promise<void> | void;
  /** After the store has done it. Throw to lose the acknowledgement (F10). */
  readonly after?: (operation: StoreOperation, detail: unknown) => Promise<void> | void;
}

/** A store with a hook before and after each operation. Changes are told as the store beneath tells them. */
export function hookedStore(store: LoginSessionStore, hooks: StoreHooks): LoginSessionStore {
  async function hooked<T>(operation: StoreOperation, detail: unknown, run: () => Promise<T>): Promise<T> {
    await hooks.before?.(operation, detail);
    const result = await run();
    await hooks.after?.(operation, detail);
    return result;
  }
  return {
    insert: (record) => hooked("insert", record, () => store.insert(record)),
    get: (id) => hooked("get", id, () => store.get(id)),
    getByHandle: (handle) => hooked("find", handle, () => store.getByHandle(handle)),
    getByRefreshTokenHash: (hash) => hooked("find", hash, () => store.getByRefreshTokenHash(hash)),
    commit: (next) => hooked<CommitResult>("commit", next, () => store.commit(next)),
    remove: (id, version) => hooked("remove", id, () => store.remove(id, version)),
    listByUser: (issuer, subject) => hooked("list", subject, () => store.listByUser(issuer, subject)),
    listBySid: (issuer, sid) => hooked("list", sid, () => store.listBySid(issuer, sid)),
    claimDue: (now, limit, leaseMs) => hooked("claimDue", limit, () => store.claimDue(now, limit, leaseMs)),
    shiftDue: (byMs) => hooked("shiftDue", byMs, () => store.shiftDue(byMs)),
    subscribe: (listener) => store.subscribe(listener),
  };
}

export function storeAway(): LatchkeyError {
  return new LatchkeyError("store_unavailable", "The store cannot be reached.", { retryable: true });
}
