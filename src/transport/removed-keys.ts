import type { LoginSessionId } from "../session/login-session.ts";

/** No request is read for longer than this after it was authenticated. */
const rememberedMs = 10 * 60_000;
/** As many are remembered, whatever is asked to be removed. */
const mostRemembered = 10_000;

/** Connection keys that were removed a short time ago: what was authenticated with one before must not act on it after. */
export class RemovedKeys {
  /** Oldest first: when each was removed, on the monotonic clock. */
  readonly #removedAt = new Map<string, number>();

  get size(): number {
    return this.#removedAt.size;
  }

  add(id: LoginSessionId, keyId: string, now: number): void {
    const key = entryKey(id, keyId);
    this.#removedAt.delete(key);
    this.#removedAt.set(key, now);
    const oldest = this.#removedAt.size > mostRemembered ? this.#removedAt.keys().next().value : undefined;
    if (oldest !== undefined) this.#removedAt.delete(oldest);
  }

  has(id: LoginSessionId, keyId: string): boolean {
    return this.#removedAt.has(entryKey(id, keyId));
  }

  /** Forgets the old ones. */
  purge(now: number): void {
    for (const [key, removedAt] of this.#removedAt) {
      if (now - removedAt < rememberedMs) return;
      this.#removedAt.delete(key);
    }
  }
}

function entryKey(id: LoginSessionId, keyId: string): string {
  return JSON.stringify([id, keyId]);
}
