import type { LoginSessionHandle } from "./login-session.ts";

/** A login that is under way in a browser: what must come back with the redirect, and to which browser. Single use. */
export interface LoginTransaction {
  readonly state: string;
  readonly authorizationServer: string;
  readonly nonce: string;
  readonly codeVerifier: string;
  readonly redirectUri: string;
  /** SHA-256 of the login cookie of the browser that began it (B7). */
  readonly browserBinding: string;
  /** The login session to repair, if this login is one. */
  readonly repair?: LoginSessionHandle | undefined;
  /** The authorization request of an MCP client that this sign-in is for; the user has consented. */
  readonly authorization?: string | undefined;
  /** A path on our own origin to go to afterwards. */
  readonly returnTo?: string | undefined;
  readonly expiresAt: number;
}
