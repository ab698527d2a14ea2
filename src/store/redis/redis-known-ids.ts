import type { LoginSessionId } from "../../session/login-session.ts";

/** The login sessions that this process has seen last: when the change log has a gap, those of them that are gone are told as gone. */
export class KnownIds {
  readonly #most: number;
  readonly #ids = new Set<LoginSessionId>();

  constructor(most = 100_000) {
    this.#most = most;
  }

  add(id: LoginSessionId): void {
    this.#ids.delete(id);
    this.#ids.add(id);
    if (this.#ids.size <= this.#most) return;
    const [oldest] = this.#ids;
    if (oldest !== undefined) this.#ids.delete(oldest);
  }

  forget(id: LoginSessionId): void {
    this.#ids.delete(id);
  }

  list(): readonly LoginSessionId[] {
    return [...this.#ids];
  }
}
