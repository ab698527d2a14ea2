import type { LogoutToken, LogoutTokenCheck } from "../token/ports.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { claimProblems, timeliness } from "./id-token-claims.ts";
import { type Claims, unverifiedClaims, verifySignature } from "./id-token-signature.ts";
import { serverOf } from "./import-check.ts";
import { isObject, nonEmptyString } from "./json.ts";
import { safeText } from "./safe-text.ts";

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout";
/** Longer ones are kept nowhere. */
const longestId = 1_000;

/**
 * Checks a logout token: signature by a published key, issuer, audience, times, `events`, no `nonce`, `sub` or `sid`, a `jti` (OIDC
 * Back-Channel Logout 1.0, section 2.6). Whether it was used already is the caller's to find out. All problems at once, without the
 * token. Never rejects.
 */
export async function checkLogoutToken(servers: readonly AuthorizationServer[], logoutToken: string): Promise<LogoutTokenCheck> {
  const unverified = unverifiedClaims(logoutToken);
  if (unverified === undefined) return rejected("it is not a signed JWT");
  const server = serverOf(servers, unverified);
  if (server === undefined) return rejected(`it is from the issuer ${safeText(unverified.iss) ?? "(none)"}, which is not configured`);
  const problems = problemsOf(unverified, server);
  // Nobody makes us fetch keys for what would be refused whatever its signature is.
  if (problems.length > 0) return rejected(...problems);
  const signature = await verifySignature(logoutToken, server.trust);
  switch (signature.kind) {
    case "bad":
    case "unknown_key":
      return rejected(signature.problem);
    case "unavailable":
      return { kind: "unavailable", cause: server.unavailable(signature.failure) };
    case "good":
      return timed(signature.claims, server);
  }
}

function problemsOf(claims: Claims, { settings }: AuthorizationServer): readonly string[] {
  const { issuer, clientId } = settings;
  const subject = nonEmptyString(claims.sub);
  const sid = nonEmptyString(claims.sid);
  // A logout token may do without a subject, if it has a sid.
  const shared = claimProblems(subject === undefined && sid !== undefined ? { ...claims, sub: sid } : claims, { issuer, clientId });
  return [
    ...shared,
    ...(typeof claims.iat === "number" ? [] : ["it has no time of issue"]),
    ...(isObject(claims.events) && isObject(claims.events[logoutEvent]) ? [] : [`its events do not name ${logoutEvent}`]),
    ...("nonce" in claims ? ["it has a nonce, so it is no logout token"] : []),
    ...(claims.sid === undefined || sid !== undefined ? [] : ["its sid is not a text"]),
    ...(isId(claims.jti) ? [] : ["it has no jti"]),
  ];
}

/** After the keys were fetched: their answer tells the issuer's time. */
function timed(claims: Claims, server: AuthorizationServer): LogoutTokenCheck {
  const { issuer, clientId, clockToleranceSeconds } = server.settings;
  const { jti, iat, exp } = claims;
  if (!isId(jti) || typeof iat !== "number" || typeof exp !== "number") return rejected("it has no jti, iat or exp");
  const times = timeliness(claims, server.serverTime(server.services.clock.now()), clockToleranceSeconds);
  if (times.kind === "expired") return rejected(`it expired ${times.bySeconds} s ago`);
  if (times.kind === "early") return rejected(`it was issued ${times.bySeconds} s in the future`);
  const toHere = (seconds: number): number => (seconds + clockToleranceSeconds + (server.clockAheadSeconds ?? 0)) * 1000;
  const token: LogoutToken = {
    issuer,
    clientId,
    subject: nonEmptyString(claims.sub),
    sid: nonEmptyString(claims.sid),
    jti,
    // Times are in whole seconds: the one that has begun counts.
    endsSignInsUntil: toHere(iat + 1),
    expiresAt: toHere(exp),
  };
  return { kind: "ok", token };
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= longestId;
}

function rejected(...problems: readonly string[]): LogoutTokenCheck {
  return { kind: "rejected", problems };
}
