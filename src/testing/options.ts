import type { JWK } from "jose";
import type { Clock } from "../clock.ts";
import type { Behaviour } from "./behaviour.ts";

/** How a client proves itself (RFC 6749, section 2.3; RFC 7523). */
export type ClientAuthentication =
  | { readonly method: "none" }
  /** `encoding`: what is done with the secret before base64. `either` (the default) accepts both. */
  | { readonly method: "client_secret_basic"; readonly secret: string; readonly encoding?: "percent" | "raw" | "either" }
  | { readonly method: "client_secret_post"; readonly secret: string }
  | { readonly method: "private_key_jwt"; readonly keys: readonly JWK[] };

export interface FaultServerClient {
  readonly clientId: string;
  /** Default: none. */
  readonly authentication?: ClientAuthentication;
  /** Default: any. */
  readonly redirectUris?: readonly string[];
}

export interface FaultServerOptions {
  /** Default: `client`, without a secret. */
  readonly clients?: readonly FaultServerClient[];
  /** Whom the authorization endpoint signs in without asking. Default: the request's `login_hint`, else `alice`. */
  readonly user?: string;
  /** A path in the issuer, such as `/realms/one`. Default: none. */
  readonly issuerPath?: string;
  /** What it does from the start; `clear()` comes back to this. */
  readonly behaviours?: readonly Behaviour[];
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Makes tokens and codes predictable, the same for the same order of requests. Default: they are random. Keys always are. */
  readonly seed?: number;
  /** Whether the ledger's entries have the refresh tokens themselves. Default: no. */
  readonly tokensInLedger?: boolean;
}

/** A login that nobody clicked for. */
export interface DirectLogin {
  readonly subject: string;
  /** Default: the first client. */
  readonly clientId?: string;
  /** Default: `openid offline_access`. */
  readonly scope?: string;
  readonly nonce?: string;
  /** The authorization server's session; logins may share one. Default: a new one. */
  readonly sid?: string;
}

/** What a login gives. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly idToken: string;
  readonly expiresInSeconds: number;
  /** The name of its refresh-token family in the ledger. */
  readonly family: string;
}
