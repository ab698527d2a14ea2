import type { AccessToken, AccessTokenTarget, IdToken, Principal, Profile, RefreshToken } from "../session/login-session.ts";

/** A 200 of the token endpoint, taken before anything looked at it. */
export interface RawReply {
  /** When the request was sent and when the body was complete, milliseconds since the epoch. */
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly body: string;
}

/**
 * What became of one presentation of a refresh token (RFC 6749, section 6), classified once, by status, code and
 * challenge. Only `ambiguous` leaves open whether the token is spent.
 */
export type RefreshOutcome =
  | { readonly kind: "rotated"; readonly reply: RawReply }
  | { readonly kind: "not_sent"; readonly retryAfterSeconds?: number | undefined; readonly cause: unknown }
  /** `errorCode`: the code of the error reply (RFC 6749, section 5.2), where there was one: `invalid_scope`, `invalid_target`. */
  | {
      readonly kind: "refused";
      readonly errorCode?: string | undefined;
      readonly retryAfterSeconds?: number | undefined;
      readonly cause: unknown;
    }
  | { readonly kind: "server_error"; readonly retryAfterSeconds?: number | undefined; readonly cause: unknown }
  | { readonly kind: "ambiguous"; readonly cause: unknown }
  | { readonly kind: "grant_dead"; readonly cause: unknown }
  | { readonly kind: "client_broken"; readonly cause: unknown };

export interface RefreshRequest {
  /** The authorization server's name in the configuration. */
  readonly authorizationServer: string;
  readonly refreshToken: RefreshToken;
  readonly target: AccessTokenTarget;
  /** The whole presentation must be over after this many milliseconds; then it is `ambiguous` or `not_sent`. */
  readonly timeoutMs: number;
}

/** A reply whose content was checked against the principal (OIDC Core 12.2). Lifetimes in seconds, with defaults filled in. */
export interface VerifiedReply {
  readonly accessToken: AccessToken;
  readonly expiresInSeconds: number;
  /** Undefined: the authorization server sent none, and the old one stays. */
  readonly refreshToken?: RefreshToken | undefined;
  readonly refreshExpiresInSeconds?: number | undefined;
  /** Undefined: the authorization server did not say, so what was asked for was granted (RFC 6749, section 5.1). */
  readonly grantedScopes?: readonly string[] | undefined;
  readonly idToken?: IdToken | undefined;
  readonly profile?: Profile | undefined;
  readonly sid?: string | undefined;
}

export type Verification =
  | { readonly kind: "verified"; readonly tokens: VerifiedReply }
  /** Another issuer, subject or audience, or a bad signature. `revocable` are the tokens that it brought. */
  | { readonly kind: "identity_mismatch"; readonly problem: string; readonly revocable: readonly RevocableToken[] }
  /** The keys could not be fetched, or a clock is off: verify the same reply again later. */
  | { readonly kind: "unavailable"; readonly problem: string; readonly cause?: unknown }
  /** A 200 that is no token reply (HTML, cut off): as ambiguous as no answer. */
  | { readonly kind: "unreadable"; readonly problem: string };

export interface RevocableToken {
  readonly kind: "refresh_token" | "access_token";
  readonly token: RefreshToken | AccessToken;
}

export type IntrospectionOutcome =
  | { readonly kind: "active"; readonly expiresAt?: number | undefined }
  | { readonly kind: "inactive" }
  /** No endpoint, or this client may not use it. */
  | { readonly kind: "unsupported" }
  /** `answered`: with an error; the authorization server can be reached. */
  | {
      readonly kind: "unavailable";
      readonly answered?: boolean | undefined;
      readonly retryAfterSeconds?: number | undefined;
      readonly cause: unknown;
    };

export type RevocationOutcome =
  /** 200, or a 400 about a token that the server does not know any more: nothing is left to revoke. */
  | { readonly kind: "revoked" }
  | { readonly kind: "unsupported" }
  | { readonly kind: "unavailable"; readonly retryAfterSeconds?: number | undefined; readonly cause: unknown };

/** The authorization server as the token service needs it. Implemented by oidc/. Expected outcomes are values; nothing here throws for them. */
export interface AuthorizationServerPort {
  /** One POST on a fresh connection, never repeated inside. */
  refresh(request: RefreshRequest): Promise<RefreshOutcome>;
  /** Checks a reply against the principal it must belong to. No POST to the token endpoint. */
  verify(authorizationServer: string, principal: Principal, reply: RawReply): Promise<Verification>;
  introspect(authorizationServer: string, token: RefreshToken): Promise<IntrospectionOutcome>;
  revoke(authorizationServer: string, token: RevocableToken): Promise<RevocationOutcome>;
}

/** Tokens of a finished login or import, verified: what a new login session is made of. */
export interface VerifiedLogin {
  readonly authorizationServer: string;
  readonly principal: Principal;
  readonly profile: Profile;
  readonly tokens: VerifiedReply;
  readonly obtainedAt: number;
}

/** What an ID token that is handed in for an import says, after its check. */
export type ImportCheck =
  | {
      readonly kind: "ok";
      readonly authorizationServer: string;
      readonly principal: Principal;
      readonly profile: Profile;
      /** It has expired, within the 24 h that an import allows. */
      readonly expired: boolean;
    }
  /** All problems at once, safe to show. */
  | { readonly kind: "rejected"; readonly problems: readonly string[] }
  | { readonly kind: "unavailable"; readonly cause: unknown };

/** What an import needs of the authorization server besides a refresh. Implemented by oidc/. */
export interface ImportPort {
  /** Checks signature, issuer, audience and expiry of an ID token (OIDC Core 3.1.3.7). */
  checkImport(request: { readonly idToken: string; readonly accessToken?: string | undefined }): Promise<ImportCheck>;
  /** As `verify`, but the reply has to prove the subject: by its ID token, else by userinfo. */
  identify(authorizationServer: string, principal: Principal, reply: RawReply): Promise<Verification>;
}

/** A logout token that passed every check (OIDC Back-Channel Logout 1.0, section 2.6) but that of its replay. */
export interface LogoutToken {
  readonly issuer: string;
  /** Its audience. */
  readonly clientId: string;
  /** At least one of the two is there. */
  readonly subject?: string | undefined;
  readonly sid?: string | undefined;
  readonly jti: string;
  /** Sign-ins after this moment (ms since the epoch, the tolerance of clocks counted in) came after the logout. */
  readonly endsSignInsUntil: number;
  /** From this moment on it is refused as expired (ms since the epoch). */
  readonly expiresAt: number;
}

export type LogoutTokenCheck =
  | { readonly kind: "ok"; readonly token: LogoutToken }
  /** All problems at once, safe to show. */
  | { readonly kind: "rejected"; readonly problems: readonly string[] }
  /** The keys could not be fetched. */
  | { readonly kind: "unavailable"; readonly cause: unknown };

/** Checks logout tokens. Implemented by oidc/. */
export interface LogoutTokenPort {
  checkLogoutToken(logoutToken: string): Promise<LogoutTokenCheck>;
}

/** What is known of an authorization server and its tokens, from the configuration. Times in seconds. */
export interface AuthorizationServerPolicy {
  readonly name: string;
  readonly issuer: string;
  /** What the login asks for, and what a target without a resource or scopes means. */
  readonly defaultTarget: AccessTokenTarget;
  /** Known lifetime of a refresh token, if any. */
  readonly refreshTokenLifetimeSeconds?: number | undefined;
  /** The same refresh token may be presented again within this time of its first use. */
  readonly reuseLeewaySeconds?: number | undefined;
  readonly rotation: "auto" | "always" | "never";
  /** Whether a token whose reply was lost is presented a last time. */
  readonly lostReply: "present" | "retire";
  readonly sharedGrant: "wait" | "revoke";
  readonly introspection: "auto" | "never";
}

/** Settings of the token service. Times in seconds. */
export interface TokenPolicy {
  /** Upper bound of one presentation; undefined: min(20, max(3, L / 4)). */
  readonly timeoutSeconds?: number | undefined;
  readonly idleLimitSeconds: number;
  readonly absoluteLimitSeconds?: number | undefined;
  readonly tombstoneSeconds: number;
}
