import type { UsedId, UsedIdStore } from "../../session/store.ts";
import { dropExpired } from "./drop-expired.ts";

/** Ids that were used, in this process's memory. */
export class MemoryUsedIds implements UsedIdStore {
  readonly #entries = new Map<string, UsedId>();

  get size(): number {
    return this.#entries.size;
  }

  async use(id: UsedId, now: number): Promise<boolean> {
    dropExpired(this.#entries, now);
    const key = JSON.stringify([id.kind, id.id]);
    if (this.#entries.has(key)) return false;
    this.#entries.set(key, id);
    return true;
  }
}
