import type { FailureKind, LoginSession } from "../session/login-session.ts";

/** How a flight ended. The record says what can be served now; undefined: the login session is gone. */
export interface FlightResult {
  readonly record: LoginSession | undefined;
  /** Set when this flight asked the authorization server in vain. */
  readonly failure?:
    | { readonly kind: FailureKind; readonly errorCode?: string | undefined; readonly retryAfterSeconds?: number | undefined }
    | undefined;
}
