import { Mutex } from "async-mutex";
import type { LoginSessionId } from "../session/login-session.ts";

interface Entry {
  readonly mutex: Mutex;
  users: number;
}

/** One mutex per login session, made only while somebody wants it. It guards claim and commit, never a network call. */
export class LoginSessionLocks {
  readonly #entries = new Map<LoginSessionId, Entry>();

  /** Runs `work` alone for this login session. The first thing `work` must do is to read the record again. */
  async run<T>(id: LoginSessionId, work: () => Promise<T>): Promise<T> {
    const entry = this.#entries.get(id) ?? { mutex: new Mutex(), users: 0 };
    this.#entries.set(id, entry);
    entry.users += 1;
    try {
      return await entry.mutex.runExclusive(work);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) this.#entries.delete(id);
    }
  }

  get size(): number {
    return this.#entries.size;
  }
}
