import type { LoginSession } from "../session/login-session.ts";
import type { LoginSessions } from "../session/login-sessions.ts";

/** Hands the changes of login sessions to those who watch their user. One listener for all of them. */
export class LoginSessionFeed {
  readonly #watchers = new Map<string, Set<(changed: LoginSession) => void>>();

  constructor(sessions: LoginSessions) {
    sessions.onChange(
      (changed) => {
        const { issuer, subject } = changed.principal;
        for (const watcher of [...(this.#watchers.get(userKey(issuer, subject)) ?? [])]) watcher(changed);
      },
      () => this.#watchers.size > 0,
    );
  }

  /** How many watch. */
  get size(): number {
    return [...this.#watchers.values()].reduce((sum, watchers) => sum + watchers.size, 0);
  }

  /** How many watch this user. */
  watchersOf(issuer: string, subject: string): number {
    return this.#watchers.get(userKey(issuer, subject))?.size ?? 0;
  }

  /** Calls `watcher` after each change of a login session of this user. Returns the way to stop. */
  watch(issuer: string, subject: string, watcher: (changed: LoginSession) => void): () => void {
    const key = userKey(issuer, subject);
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.#watchers.get(key) === watchers) this.#watchers.delete(key);
    };
  }
}

function userKey(issuer: string, subject: string): string {
  return JSON.stringify([issuer, subject]);
}
