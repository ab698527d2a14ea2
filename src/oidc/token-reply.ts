import type { AccessToken, IdToken, RefreshToken } from "../session/login-session.ts";
import type { RevocableToken } from "../token/ports.ts";
import { longestJwt } from "./id-token-signature.ts";
import { nonEmptyString, parseJsonObject } from "./json.ts";

/** A token reply (RFC 6749, section 5.1) as it is used here, defaults filled in. Lifetimes in seconds. */
export interface TokenReply {
  readonly accessToken: AccessToken;
  /** False: a token type that a bearer header cannot present (RFC 6749, section 7.1). */
  readonly bearer: boolean;
  readonly expiresInSeconds: number;
  readonly refreshToken: RefreshToken | undefined;
  readonly refreshExpiresInSeconds: number | undefined;
  readonly grantedScopes: readonly string[] | undefined;
  readonly idToken: IdToken | undefined;
}

const assumedLifetimeSeconds = 300;
/** Refreshing once a month more than needed harms nobody; a timer or a date far out of range does. */
const longestLifetimeSeconds = 30 * 24 * 3600;
const longestRefreshLifetimeSeconds = 10 * 365 * 24 * 3600;

/**
 * Reads the body of a 200 of the token endpoint; undefined when it is no JSON object with an access token.
 * - `expires_in`: a number or a numeric string, 1 s to 30 days; absent, zero, negative or anything else: what an access token
 *   that is a JWT says of itself (exp less iat, both by the same clock; unverified, since it is for the timetable only), else 300 s.
 * - `refresh_expires_in`, `refresh_token_expires_in`: the same, up to 10 years; zero (Keycloak: never) or anything else: unknown.
 * - `refresh_token`: empty is absent. `scope`: a string, or a list as some servers send it; empty is absent.
 * - `token_type`: absent counts as bearer.
 */
export function readTokenReply(body: string): TokenReply | undefined {
  const reply = parseJsonObject(body);
  const accessToken = nonEmptyString(reply?.access_token);
  if (reply === undefined || accessToken === undefined) return undefined;
  const type = reply.token_type;
  const refreshLifetime = seconds(reply.refresh_expires_in) ?? seconds(reply.refresh_token_expires_in);
  return {
    accessToken: accessToken as AccessToken,
    bearer: type === undefined || type === null || (typeof type === "string" && type.toLowerCase() === "bearer"),
    expiresInSeconds: Math.min(longestLifetimeSeconds, seconds(reply.expires_in) ?? lifetimeOfJwt(accessToken) ?? assumedLifetimeSeconds),
    refreshToken: nonEmptyString(reply.refresh_token) as RefreshToken | undefined,
    refreshExpiresInSeconds: refreshLifetime === undefined ? undefined : Math.min(longestRefreshLifetimeSeconds, refreshLifetime),
    grantedScopes: scopes(reply.scope),
    idToken: nonEmptyString(reply.id_token) as IdToken | undefined,
  };
}

/** The tokens of a reply that nobody will use: what can be revoked of it, the refresh token first. */
export function revocableTokens(reply: TokenReply): readonly RevocableToken[] {
  const accessToken: RevocableToken = { kind: "access_token", token: reply.accessToken };
  return reply.refreshToken === undefined ? [accessToken] : [{ kind: "refresh_token", token: reply.refreshToken }, accessToken];
}

function lifetimeOfJwt(accessToken: string): number | undefined {
  const parts = accessToken.split(".");
  if (parts.length !== 3 || accessToken.length > longestJwt) return undefined;
  const claims = parseJsonObject(Buffer.from(parts[1] ?? "", "base64url").toString("utf8"));
  return typeof claims?.exp === "number" && typeof claims.iat === "number" ? seconds(claims.exp - claims.iat) : undefined;
}

/** A positive number of seconds, whole and at least 1; undefined for everything else. */
function seconds(value: unknown): number | undefined {
  const number = typeof value === "string" && /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || Number.isNaN(number) || number <= 0) return undefined;
  return Math.max(1, Math.floor(number));
}

function scopes(value: unknown): readonly string[] | undefined {
  const names =
    typeof value === "string" ? value.split(/\s+/) : Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
  const found = [...new Set(names.filter((name) => name !== ""))];
  return found.length > 0 ? found : undefined;
}
