import type { Clock } from "../clock.ts";
import type { LoginSessionId } from "./login-session.ts";
import { hashConnectionKey } from "./random.ts";
import type { ConnectionKeyStore } from "./store.ts";

/** What a request proved with a connection key: the one login session that it speaks for. */
export interface ConnectionKeyCredential {
  readonly kind: "connection_key";
  /** The public id of the key. */
  readonly keyId: string;
  readonly loginSessionId: LoginSessionId;
  /** Milliseconds since the epoch; undefined: it ends with its login session. */
  readonly expiresAt?: number | undefined;
}

/** What a request proved with an access token that Latchkey's own authorization server gave to an MCP client. */
export interface AccessTokenCredential {
  readonly kind: "access_token";
  readonly clientId: string;
  readonly loginSessionId: LoginSessionId;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export type Credential = ConnectionKeyCredential | AccessTokenCredential;

export type Authentication =
  | { readonly kind: "authenticated"; readonly credential: Credential }
  /** No credential at all. */
  | { readonly kind: "missing" }
  /** One that is unknown, malformed, expired or removed. `problem` is safe to show. */
  | { readonly kind: "invalid"; readonly problem: string };

/** Authenticates each request by itself (B4), from its Authorization header alone. */
export interface Authenticator {
  /** Throws LatchkeyError `store_unavailable` when it cannot know. */
  authenticate(authorization: string | undefined): Promise<Authentication>;
}

const bearer = /^Bearer +([A-Za-z0-9._~+/=-]{1,4096})$/i;

/** The bearer of a header (RFC 6750, section 2.1), or why there is none. */
export function bearerOf(authorization: string | undefined): string | Exclude<Authentication, { kind: "authenticated" }> {
  if (authorization === undefined || authorization === "") return { kind: "missing" };
  return bearer.exec(authorization)?.[1] ?? { kind: "invalid", problem: "The Authorization header is not a bearer credential." };
}

/** Accepts connection keys as bearer. */
export class ConnectionKeyAuthenticator implements Authenticator {
  readonly #keys: ConnectionKeyStore;
  readonly #clock: Clock;

  constructor(keys: ConnectionKeyStore, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  async authenticate(authorization: string | undefined): Promise<Authentication> {
    const value = bearerOf(authorization);
    if (typeof value !== "string") return value;
    const key = await this.#keys.getByHash(hashConnectionKey(value));
    if (key === undefined) return { kind: "invalid", problem: "This connection key is unknown or was removed." };
    if (key.expiresAt !== undefined && key.expiresAt <= this.#clock.now())
      return { kind: "invalid", problem: "This connection key has expired." };
    const { id: keyId, loginSessionId, expiresAt } = key;
    return { kind: "authenticated", credential: { kind: "connection_key", keyId, loginSessionId, expiresAt } };
  }
}

/** Three parts in base64url: a JSON Web Token (RFC 7519). No connection key looks like that. */
const threeParts = /^[\w-]*\.[\w-]*\.[\w-]*$/;

/** Accepts access tokens and connection keys; what a bearer looks like says which of the two it is. */
export class BearerAuthenticator implements Authenticator {
  readonly #accessTokens: Authenticator;
  readonly #keys: Authenticator;

  constructor(accessTokens: Authenticator, keys: Authenticator) {
    this.#accessTokens = accessTokens;
    this.#keys = keys;
  }

  async authenticate(authorization: string | undefined): Promise<Authentication> {
    const value = bearerOf(authorization);
    if (typeof value !== "string") return value;
    return (threeParts.test(value) ? this.#accessTokens : this.#keys).authenticate(authorization);
  }
}
