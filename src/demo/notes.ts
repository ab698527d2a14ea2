import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.ts";

export interface Note {
  readonly id: string;
  readonly text: string;
  /** ISO 8601. */
  readonly createdAt: string;
}

const limitPerUser = 1000;
const limitOfUsers = 10_000;

/** Notes in memory, each of one user. Nobody can see or remove another's. */
export class Notes {
  readonly #clock: Clock;
  readonly #byUser = new Map<string, Map<string, Note>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Oldest first. */
  list(user: string): readonly Note[] {
    return [...(this.#byUser.get(user)?.values() ?? [])];
  }

  count(user: string): number {
    return this.#byUser.get(user)?.size ?? 0;
  }

  /** Undefined: there is no room for one more. */
  add(user: string, text: string): Note | undefined {
    const notes = this.#byUser.get(user) ?? new Map<string, Note>();
    if (notes.size >= limitPerUser || (notes.size === 0 && this.#byUser.size >= limitOfUsers)) return undefined;
    const note = { id: randomUUID(), text, createdAt: new Date(this.#clock.now()).toISOString() };
    this.#byUser.set(user, notes.set(note.id, note));
    return note;
  }

  /** False: this user has no such note. */
  remove(user: string, id: string): boolean {
    const notes = this.#byUser.get(user);
    const removed = notes?.delete(id) ?? false;
    if (notes?.size === 0) this.#byUser.delete(user);
    return removed;
  }
}
