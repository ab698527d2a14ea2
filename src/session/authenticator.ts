import type { Clock } from "../clock.ts";
import type { LoginSessionId } from "./login-session.ts";
import { hashConnectionKey } from "./random.ts";
import type { ConnectionKeyStore } from "./store.ts";

/** What a request proved: the one login session that it speaks for. */
export interface Credential {
  readonly kind: "connection_key";
  /** The public id of the key. */
  readonly keyId: string;
  readonly loginSessionId: LoginSessionId;
  /** Milliseconds since the epoch; undefined: it ends with its login session. */
  readonly expiresAt?: number | undefined;
}

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

/** Accepts connection keys as bearer (RFC 6750, section 2.1). */
export class ConnectionKeyAuthenticator implements Authenticator {
  readonly #keys: ConnectionKeyStore;
  readonly #clock: Clock;

  constructor(keys: ConnectionKeyStore, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  async authenticate(authorization: string | undefined): Promise<Authentication> {
    if (authorization === undefined || authorization === "") return { kind: "missing" };
    const value = bearer.exec(authorization)?.[1];
    if (value === undefined) return { kind: "invalid", problem: "The Authorization header is not a bearer credential." };
    const key = await this.#keys.getByHash(hashConnectionKey(value));
    if (key === undefined) return { kind: "invalid", problem: "This connection key is unknown or was removed." };
    if (key.expiresAt !== undefined && key.expiresAt <= this.#clock.now())
      return { kind: "invalid", problem: "This connection key has expired." };
    const { id: keyId, loginSessionId, expiresAt } = key;
    return { kind: "authenticated", credential: { kind: "connection_key", keyId, loginSessionId, expiresAt } };
  }
}
