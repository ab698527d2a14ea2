import type { ImportCheck } from "../token/ports.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { grantSid } from "./grant-sid.ts";
import { claimProblems, timeliness } from "./id-token-claims.ts";
import { type Claims, unverifiedClaims, verifySignature } from "./id-token-signature.ts";
import { nonEmptyString } from "./json.ts";
import { profileOf } from "./profile.ts";
import { safeText } from "./safe-text.ts";

/** An ID token that has expired says who somebody is all the same, for this long; the refresh that follows proves the rest. */
const acceptedExpirySeconds = 24 * 3600;

/**
 * Validates the ID token of an import (R17): which authorization server it is from, and whose it is. A wrong signature,
 * issuer or audience is never accepted, an expiry of up to 24 hours is. All problems at once, without the token. The access
 * token of an import is not looked at: the backend may have refreshed it since, and the import gets its own. Never rejects.
 */
export async function checkImport(servers: readonly AuthorizationServer[], request: { readonly idToken: string }): Promise<ImportCheck> {
  const unverified = unverifiedClaims(request.idToken);
  if (unverified === undefined) return { kind: "rejected", problems: ["id_token is not a signed JWT"] };
  const server = serverOf(servers, unverified);
  if (server === undefined) {
    const issuer = safeText(unverified.iss) ?? "(none)";
    const known = [...new Set(servers.map((each) => each.settings.issuer))].join(", ");
    return { kind: "rejected", problems: [`id_token is from the issuer ${issuer}, which is not configured (configured: ${known})`] };
  }
  return await checkAgainst(server, request.idToken, unverified);
}

async function checkAgainst(server: AuthorizationServer, idToken: string, unverified: Claims): Promise<ImportCheck> {
  const { name, issuer, clientId, clockToleranceSeconds } = server.settings;
  const signature = await verifySignature(idToken, server.trust);
  // After the keys were fetched: their answer tells the issuer's time.
  const times = timeliness(unverified, server.serverTime(server.services.clock.now()), clockToleranceSeconds);
  const found = [...claimProblems(unverified, { issuer, clientId })];
  if (times.kind === "early") found.push(`it was issued ${times.bySeconds} s in the future`);
  if (times.kind === "expired" && times.bySeconds > acceptedExpirySeconds)
    found.push(`it expired ${times.bySeconds} s ago, and an import accepts ${acceptedExpirySeconds} s at most`);
  switch (signature.kind) {
    case "bad":
    case "unknown_key":
      found.unshift(signature.problem);
      break;
    case "unavailable":
      if (found.length === 0) return { kind: "unavailable", cause: server.unavailable(signature.failure) };
      break;
    case "good":
      break;
  }
  const subject = nonEmptyString(unverified.sub);
  if (found.length > 0 || subject === undefined) return { kind: "rejected", problems: found.map((problem) => `id_token: ${problem}`) };
  const principal = { issuer, subject, clientId, sid: grantSid(server.settings, unverified.sid) };
  return { kind: "ok", authorizationServer: name, principal, profile: profileOf(unverified), expired: times.kind === "expired" };
}

/** Whom unverified claims would be from: of several clients at one issuer, the one that is the audience. */
export function serverOf(servers: readonly AuthorizationServer[], claims: Claims): AuthorizationServer | undefined {
  const ofIssuer = servers.filter(({ settings }) => settings.issuer === claims.iss);
  const audience = claims.aud;
  const isAudience = (clientId: string): boolean => audience === clientId || (Array.isArray(audience) && audience.includes(clientId));
  return ofIssuer.find(({ settings }) => isAudience(settings.clientId)) ?? ofIssuer[0];
}
