import type { BrowserSession, BrowserSessionKey, BrowserSignIn } from "../../session/browser-session.ts";
import type { BrowserSessionStore } from "../../session/store.ts";
import { dropExpired } from "./drop-expired.ts";

/** Browser sessions in this process's memory. */
export class MemoryBrowserSessions implements BrowserSessionStore {
  readonly #entries = new Map<BrowserSessionKey, BrowserSession>();
  readonly #madeBy = new Map<string, BrowserSessionKey>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  async get(key: BrowserSessionKey, now: number): Promise<BrowserSession | undefined> {
    const found = this.#entries.get(key);
    return found !== undefined && found.expiresAt > now ? found : undefined;
  }

  async signIn({ previous, next, loginCookies, since }: BrowserSignIn): Promise<void> {
    for (const expired of dropExpired(this.#entries, this.#now())) this.#madeBy.delete(expired.madeBy);
    if (previous !== undefined) await this.remove(previous);
    const beside = loginCookies.flatMap((cookie) => {
      const key = this.#madeBy.get(cookie);
      const found = key === undefined ? undefined : this.#entries.get(key);
      return found !== undefined && found.signedInAt >= since ? [found] : [];
    });
    const loginSessionIds = [...new Set([...beside, next].flatMap((each) => each.loginSessionIds))];
    for (const each of beside) this.#entries.set(each.key, { ...each, loginSessionIds });
    this.#entries.set(next.key, { ...next, loginSessionIds });
    this.#madeBy.set(next.madeBy, next.key);
  }

  async remove(key: BrowserSessionKey): Promise<void> {
    const found = this.#entries.get(key);
    if (found === undefined) return;
    this.#entries.delete(key);
    if (this.#madeBy.get(found.madeBy) === key) this.#madeBy.delete(found.madeBy);
  }
}
