/** Internal id of a login session: 128+ random bits, stable for the record's life, never shown outside. */
export type LoginSessionId = string & { readonly __brand: "LoginSessionId" };
/** The public name of a login session. It authorises nothing. */
export type LoginSessionHandle = string & { readonly __brand: "LoginSessionHandle" };
export type AccessToken = string & { readonly __brand: "AccessToken" };
export type RefreshToken = string & { readonly __brand: "RefreshToken" };
export type IdToken = string & { readonly __brand: "IdToken" };
/** Keyed hash of a refresh token: enough to know the token again, useless for anything else. */
export type RefreshTokenHash = string & { readonly __brand: "RefreshTokenHash" };
export type AttemptId = string & { readonly __brand: "AttemptId" };

/** Who signed in, where, through which client. It never changes in the life of a record. */
export interface Principal {
  readonly issuer: string;
  readonly subject: string;
  readonly clientId: string;
  /** The authorization server's own session id (`sid` of OIDC Back-Channel Logout 1.0), where it gives one. */
  readonly sid?: string | undefined;
}

/** What the ID token or userinfo said of the user, for display only. */
export interface Profile {
  readonly name?: string | undefined;
  readonly email?: string | undefined;
}

/** What an access token is for: a resource (RFC 8707) and scopes. No resource and no scopes: what the login asked for. */
export interface AccessTokenTarget {
  readonly resource?: string | undefined;
  readonly scopes: readonly string[];
}

export interface AccessTokenEntry {
  readonly target: AccessTokenTarget;
  readonly accessToken: AccessToken;
  readonly grantedScopes: readonly string[];
  /** Milliseconds since the epoch: when the request that brought it was sent. */
  readonly obtainedAt: number;
  /** Milliseconds since the epoch, counted from `obtainedAt`, so never later than the truth. */
  readonly expiresAt: number;
}

/** Why a refresh token is presented; recorded with each presentation (I1). */
export type PresentationReason =
  | "due"
  | "demand"
  | "rejected"
  | "import"
  | "introspected_active"
  | "within_grace"
  | "not_rotating"
  | "last_presentation"
  | "after_server_error";

/** The write-ahead intent of one presentation of the refresh token (I2). It stays until the presentation is settled. */
export interface Attempt {
  readonly id: AttemptId;
  readonly epoch: number;
  readonly generation: number;
  /** The process that presents. */
  readonly owner: string;
  readonly claimedAt: number;
  /** After this moment (ms since the epoch) nobody waits for the owner any more. */
  readonly deadline: number;
  readonly target: AccessTokenTarget;
  readonly reason: PresentationReason;
  /** True once the answer counts as lost: the refresh token may be spent. */
  readonly lost: boolean;
}

/** A reply of the token endpoint that is stored but not yet verified. Never served, never presented. */
export interface PendingReply {
  readonly attemptId: AttemptId;
  readonly target: AccessTokenTarget;
  readonly sentAt: number;
  readonly receivedAt: number;
  /** The body as it came. */
  readonly body: string;
  readonly verificationTries: number;
  readonly nextVerificationAt: number;
}

export type FailureKind = "not_sent" | "refused" | "server_error" | "ambiguous" | "grant_dead" | "client_broken" | "unverified";

export interface Health {
  readonly lastRefreshAt?: number | undefined;
  readonly lastFailure?: { readonly kind: FailureKind; readonly at: number } | undefined;
  /** Failures in a row since the last success. */
  readonly failures: number;
  /** Refusals (section 2.5 of the protocol) in a row, and when the first of them came. */
  readonly refusals: number;
  readonly firstRefusalAt?: number | undefined;
  /** No presentation before this moment (ms since the epoch), unless the grace policy asks for one. */
  readonly notBefore?: number | undefined;
}

/** What was seen of this authorization server on this login session. */
export interface Observed {
  readonly rotation: "unknown" | "rotates" | "same";
  /** `trusted`: it once answered `active: true` for a current refresh token (RFC 7662). */
  readonly introspection: "unknown" | "trusted";
  /** `fixed`: the last refresh did not put off the end of the refresh token. Undefined: it does, or nothing is known. */
  readonly refreshTokenEnd?: "fixed" | undefined;
}

export type LoginSessionState = "live" | "refreshing" | "uncertain" | "login_required" | "ended";

export type LoginRequiredReason = "grant_dead" | "lost_reply" | "refused" | "identity" | "idle" | "absolute_limit";
export type EndedReason = "logout" | "backchannel_logout" | "administrator" | "import_owner" | "grant_ended";

/** A token that is still to be revoked (RFC 7009). */
export interface RevocationDebt {
  readonly kind: "refresh_token" | "access_token";
  readonly token: RefreshToken | AccessToken;
  readonly tries: number;
  readonly nextTryAt: number;
  /** After this moment the token is dead by itself and nothing is owed. */
  readonly expiresAt: number;
  /** The `sid` that its login had: what is of one grant at the authorization server. */
  readonly sid?: string | undefined;
  /** A wrong answer brought it: it is not of this user's grant. */
  readonly foreign?: true | undefined;
}

/** How the revocation at the authorization server stands. `shared`: it waits for another login session of the same grant. */
export type RevocationState = "none" | "pending" | "done" | "shared" | "unsupported" | "expired";

/** What a logout says of the revocation. `done`: nothing of the login session is alive at the authorization server any more. */
export type RevocationAnswer = "done" | "pending" | "shared" | "unsupported";

/** Nothing that was left to revoke, or nothing that lived long enough to be: that is done. */
export function revocationAnswer(state: RevocationState): RevocationAnswer {
  return state === "none" || state === "expired" ? "done" : state;
}

/** How the login session came to be. */
export type LoginOrigin =
  | { readonly kind: "browser" }
  | { readonly kind: "import" }
  | { readonly kind: "demo" }
  | { readonly kind: "local"; readonly profile: string }
  /** An MCP client that the user consented to; the name is its own word. */
  | { readonly kind: "mcp_client"; readonly clientId: string; readonly clientName?: string | undefined };

/**
 * One sign-in of one user at one authorization server: one refresh-token family. Immutable; replaced whole by
 * compare-and-set on `version`. All times are milliseconds since the epoch.
 */
export interface LoginSession {
  readonly id: LoginSessionId;
  readonly handle: LoginSessionHandle;
  /** The name of the authorization server in the configuration. */
  readonly authorizationServer: string;
  readonly principal: Principal;
  readonly profile: Profile;
  readonly origin: LoginOrigin;
  readonly createdAt: number;
  /** The newest sign-in that repaired it; undefined: none did. The absolute limit counts from it. */
  readonly repairedAt?: number | undefined;
  readonly lastUsedAt: number;
  /** Sign-ins of this record. */
  readonly epoch: number;
  /** Refreshes, plus one; it only grows. */
  readonly generation: number;
  /** Compare-and-set counter. */
  readonly version: number;
  readonly state: LoginSessionState;
  readonly reason?: { readonly code: LoginRequiredReason | EndedReason; readonly at: number } | undefined;
  readonly refreshToken?: RefreshToken | undefined;
  readonly refreshTokenExpiresAt?: number | undefined;
  readonly refreshTokenHash?: RefreshTokenHash | undefined;
  readonly consumedRefreshTokenHash?: RefreshTokenHash | undefined;
  /** Of the refresh token that an import brought. Kept for good: a late repetition of the import must not present it again. */
  readonly importedRefreshTokenHash?: RefreshTokenHash | undefined;
  readonly accessTokens: readonly AccessTokenEntry[];
  /** Kept for RP-initiated logout only. */
  readonly idToken?: IdToken | undefined;
  readonly pending?: PendingReply | undefined;
  /** Late replies that came while one is pending, in their order: the next is looked at if that one proves to be none. */
  readonly queued?: readonly PendingReply[] | undefined;
  readonly attempts: readonly Attempt[];
  readonly observed: Observed;
  readonly health: Health;
  readonly revocation: RevocationState;
  readonly debts: readonly RevocationDebt[];
  /** The life of the store in which its tokens were written. In another one the refresh token may be spent. */
  readonly incarnation?: string | undefined;
  /** When background work must look at this record next; undefined: never. */
  readonly nextDueAt?: number | undefined;
}

/**
 * True when `entry` was made for `target`: the same resource, and at least its scopes. A target without scopes means those of
 * the login, which an access token for chosen scopes may well lack.
 */
export function covers(entry: AccessTokenEntry, target: AccessTokenTarget): boolean {
  if (entry.target.resource !== target.resource) return false;
  return target.scopes.length === 0
    ? entry.target.scopes.length === 0
    : target.scopes.every((scope) => entry.grantedScopes.includes(scope));
}

/** One string for one target, whatever the order of its scopes. */
export function targetKey(target: AccessTokenTarget): string {
  return `${target.resource ?? ""} ${[...new Set(target.scopes)].sort().join(" ")}`;
}
