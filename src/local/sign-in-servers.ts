import type { LatchkeyError } from "../errors.ts";
import type { VerifiedLogin } from "../token/ports.ts";
import type { SignedIn } from "./profiles.ts";

/** The authorization servers as a sign-in on this machine needs them. Implemented by oidc/. */
export interface SignInServers {
  /** Throws LatchkeyError `authorization_server_unavailable`. */
  beginLogin(
    name: string,
    request: { readonly redirectUri: string; readonly prompt?: string | undefined },
  ): Promise<{ readonly url: string; readonly state: string; readonly nonce: string; readonly codeVerifier: string }>;
  /** Throws LatchkeyError `login_failed` or `authorization_server_unavailable`. */
  completeLogin(
    name: string,
    request: {
      readonly callbackUrl: URL;
      readonly redirectUri: string;
      readonly state: string;
      readonly nonce: string;
      readonly codeVerifier: string;
    },
  ): Promise<VerifiedLogin>;
  /** Whether it can sign in on another device. Never rejects for a configured one. */
  offersDeviceLogin(name: string): Promise<boolean>;
  /** Throws LatchkeyError `login_failed` or `authorization_server_unavailable`. */
  beginDeviceLogin(name: string): Promise<BegunDeviceLogin>;
  /** Throws LatchkeyError `login_failed`, which is the end, or `authorization_server_unavailable`. */
  pollDeviceLogin(
    name: string,
    deviceCode: string,
  ): Promise<{ readonly kind: "pending" | "slow_down" } | { readonly kind: "signed_in"; readonly login: VerifiedLogin }>;
}

/** RFC 8628, section 3.2. `deviceCode` is secret; the others are for the user. */
export interface BegunDeviceLogin {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete: string | undefined;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly intervalSeconds: number;
}

/** How a sign-in came out. */
export type SignInOutcome =
  | { readonly kind: "signed_in"; readonly signedIn: SignedIn }
  | { readonly kind: "failed"; readonly error: LatchkeyError }
  /** Nobody came in time, or it was closed. */
  | { readonly kind: "over" };
