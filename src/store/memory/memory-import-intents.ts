import type { ImportIntent } from "../../session/import-intent.ts";
import type { RefreshTokenHash } from "../../session/login-session.ts";
import type { ImportIntentStore } from "../../session/store.ts";
import { dropExpired } from "./drop-expired.ts";

/** Imports that are under way, in this process's memory. */
export class MemoryImportIntents implements ImportIntentStore {
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
