import type { Principal } from "../session/login-session.ts";
import type { RawReply, Verification, VerifiedReply } from "../token/ports.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { grantSid } from "./grant-sid.ts";
import { checkIdToken } from "./id-token.ts";
import type { Claims } from "./id-token-signature.ts";
import { profileOf } from "./profile.ts";
import type { AuthorizationServerSettings } from "./settings.ts";
import { readTokenReply, revocableTokens, type TokenReply } from "./token-reply.ts";

/** How long a signing key may stay unpublished before its tokens count as wrongly signed: key sets are cached on the way. */
const unpublishedKeyGraceMs = 30_000;

/**
 * Checks a refresh reply against the principal that it must belong to (OIDC Core 12.2): the same issuer, subject and
 * audience, a good signature, not expired. From the reply alone, so it can be done again after a restart. Without an ID
 * token the identity of the login stays. Another token type than bearer is treated like a wrong identity: the tokens are
 * useless here, and presenting the old refresh token again could only do harm. Never rejects.
 */
export async function verifyReply(server: AuthorizationServer, principal: Principal, raw: RawReply): Promise<Verification> {
  const reply = readTokenReply(raw.body);
  if (reply === undefined) return { kind: "unreadable", problem: "the reply is no JSON object with an access token" };
  if (!reply.bearer)
    return mismatch(reply, "its access token is not a bearer token (token_type), which is the only kind that Latchkey presents");
  if (reply.idToken === undefined) return { kind: "verified", tokens: verifiedReply(server.settings, reply, undefined) };
  return await verifyIdToken(server, principal, raw, reply, reply.idToken);
}

/** The content of a reply whose ID token, if it has one, was found valid with these claims. */
export function verifiedReply(settings: AuthorizationServerSettings, reply: TokenReply, claims: Claims | undefined): VerifiedReply {
  const profile = claims === undefined ? {} : profileOf(claims);
  return {
    accessToken: reply.accessToken,
    expiresInSeconds: reply.expiresInSeconds,
    refreshToken: reply.refreshToken,
    refreshExpiresInSeconds: reply.refreshExpiresInSeconds,
    grantedScopes: reply.grantedScopes,
    idToken: reply.idToken,
    // Half a profile would replace the whole one of the login.
    profile: profile.name !== undefined && profile.email !== undefined ? profile : undefined,
    sid: grantSid(settings, claims?.sid),
  };
}

async function verifyIdToken(
  server: AuthorizationServer,
  principal: Principal,
  raw: RawReply,
  reply: TokenReply,
  idToken: string,
): Promise<Verification> {
  const now = server.services.clock.now();
  const check = await checkIdToken(idToken, server.settings, server.trust, {
    issuer: principal.issuer,
    clientId: principal.clientId,
    subject: principal.subject,
    // When it came; it may well have expired since. And now, for the case that the clock was wrong then and was set.
    validAt: [raw.receivedAt, now],
    clockAheadSeconds: () => server.clockAheadSeconds,
  });
  switch (check.kind) {
    case "valid":
      return { kind: "verified", tokens: verifiedReply(server.settings, reply, check.claims) };
    case "rejected":
      return mismatch(reply, check.problem);
    case "unknown_key":
      if (check.asOf < raw.receivedAt || now - raw.receivedAt < unpublishedKeyGraceMs)
        return { kind: "unavailable", problem: check.problem };
      return mismatch(reply, check.problem);
    case "clock_off":
      return { kind: "unavailable", problem: check.problem };
    case "keys_unavailable":
      return { kind: "unavailable", problem: `the ID token's keys cannot be had: ${check.failure.problem}`, cause: check.failure.cause };
  }
}

function mismatch(reply: TokenReply, problem: string): Verification {
  return { kind: "identity_mismatch", problem, revocable: revocableTokens(reply) };
}
