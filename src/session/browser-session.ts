import type { LoginSessionId } from "./login-session.ts";

/** SHA-256 of the cookie's value: what the store knows a browser session by. */
export type BrowserSessionKey = string & { readonly __brand: "BrowserSessionKey" };

/** What the console's cookie stands for: the login sessions signed in from one browser. None of them is "current". */
export interface BrowserSession {
  readonly key: BrowserSessionKey;
  /** In the order of their sign-in. */
  readonly loginSessionIds: readonly LoginSessionId[];
  readonly createdAt: number;
  readonly expiresAt: number;
  /** SHA-256 of the login cookie of the sign-in that made it: what its side-by-side sign-ins know it by. */
  readonly madeBy: string;
  /** When that sign-in was finished. */
  readonly signedInAt: number;
}

/** A sign-in that a browser has finished. */
export interface BrowserSignIn {
  /** The browser session whose cookie the browser showed; it is void from now on. */
  readonly previous: BrowserSessionKey | undefined;
  readonly next: BrowserSession;
  /** SHA-256 of all login cookies that the browser showed. */
  readonly loginCookies: readonly string[];
  /** Browser sessions that those login cookies made after this moment were made beside this sign-in. */
  readonly since: number;
}
