import type { Clock } from "../clock.ts";
import type { BrowserSession } from "../session/browser-session.ts";
import type { LoginSession } from "../session/login-session.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import { hashBrowserCookie, randomSecret, sha256 } from "../session/random.ts";
import type { BrowserSessionStore } from "../session/store.ts";

/** How long a browser is remembered after its newest sign-in. */
export const browserSessionSeconds = 30 * 24 * 3600;

/** Sign-ins of one browser that finish within this time of each other count as side by side. */
const sideBySideMs = 60_000;

/** A browser session as its browser showed it. `cookie` is the secret itself: it goes nowhere but into hashes. */
export interface OpenBrowserSession {
  readonly cookie: string;
  readonly record: BrowserSession;
}

/** The browser sessions: kept by the hash of their cookie, with a new cookie at each login (B7). */
export class BrowserSessions {
  readonly #store: BrowserSessionStore;
  readonly #sessions: LoginSessions;
  readonly #clock: Clock;

  constructor(store: BrowserSessionStore, sessions: LoginSessions, clock: Clock) {
    this.#store = store;
    this.#sessions = sessions;
    this.#clock = clock;
  }

  /** The browser session of this cookie, if it is known and has not expired. Throws LatchkeyError `store_unavailable`. */
  async open(cookie: string | undefined): Promise<OpenBrowserSession | undefined> {
    if (cookie === undefined) return undefined;
    const record = await this.#store.get(hashBrowserCookie(cookie), this.#clock.now());
    return record === undefined ? undefined : { cookie, record };
  }

  /** Its login sessions that still exist, in the order of their sign-in, ended ones included until they are purged. */
  async loginSessionsOf(open: OpenBrowserSession): Promise<readonly LoginSession[]> {
    const found = await Promise.all(open.record.loginSessionIds.map((id) => this.#sessions.get(id)));
    return found.filter((each) => each !== undefined);
  }

  /**
   * Adds a login session to this browser, or begins a browser session with it, under a new cookie; the old one is void.
   * Login sessions that are gone are dropped from the list. `loginCookies`: all that the browser showed, the one of this
   * sign-in first; windows that sign in side by side find each other by them. Returns the new cookie's value.
   */
  async addLogin(open: OpenBrowserSession | undefined, added: LoginSession, loginCookies: readonly string[]): Promise<string> {
    const cookie = randomSecret();
    const hashes = loginCookies.map(sha256);
    const now = this.#clock.now();
    const kept = open === undefined ? [] : (await this.loginSessionsOf(open)).map((each) => each.id);
    const next = {
      key: hashBrowserCookie(cookie),
      loginSessionIds: [...new Set([...kept, added.id])],
      createdAt: open?.record.createdAt ?? now,
      expiresAt: now + browserSessionSeconds * 1000,
      madeBy: hashes[0] ?? sha256(randomSecret()),
      signedInAt: now,
    };
    await this.#store.signIn({ previous: open?.record.key, next, loginCookies: hashes, since: now - sideBySideMs });
    return cookie;
  }
}
