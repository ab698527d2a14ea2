import type { LatchkeyError } from "../errors.ts";
import { asLatchkeyError } from "../errors.ts";
import type { Profile } from "../session/login-session.ts";
import type { RawReply, VerifiedLogin } from "../token/ports.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { exchangeCode, type LoginCallback } from "./code-exchange.ts";
import { grantSid } from "./grant-sid.ts";
import { checkIdToken } from "./id-token.ts";
import type { Claims } from "./id-token-signature.ts";
import { nonEmptyString } from "./json.ts";
import { loginFailed, signInAgain } from "./login-refusal.ts";
import { profileOf } from "./profile.ts";
import { verifiedReply } from "./reply-verification.ts";
import { revoke } from "./revocation.ts";
import { readTokenReply, revocableTokens, type TokenReply } from "./token-reply.ts";
import { settingPath } from "./unavailable.ts";
import { askUserinfo } from "./userinfo.ts";

/**
 * Finishes a login: checks the redirect, changes the code, validates the ID token with its nonce. Tokens that lead to no
 * login are revoked in the background, as far as that goes. Throws LatchkeyError `login_failed` or
 * `authorization_server_unavailable`; then there is no login, and the code is spent.
 */
export function completeLogin(server: AuthorizationServer, callback: LoginCallback): Promise<VerifiedLogin> {
  return auditRefusal(server, async () => await readLogin(server, callback.nonce, await exchangeCode(server, callback)));
}

/** Makes a login of a token reply that came without a browser (RFC 8628). Throws as `completeLogin`. */
export function completeDeviceLogin(server: AuthorizationServer, reply: RawReply): Promise<VerifiedLogin> {
  // No browser brought it back: there is no redirect that somebody could have slipped in, and no nonce.
  return auditRefusal(server, () => readLogin(server, undefined, reply));
}

async function auditRefusal(server: AuthorizationServer, complete: () => Promise<VerifiedLogin>): Promise<VerifiedLogin> {
  try {
    return await complete();
  } catch (thrown) {
    const error = asLatchkeyError(thrown);
    server.services.audit.record({
      event: "login_refused",
      authorizationServer: server.settings.name,
      issuer: server.settings.issuer,
      code: error.code,
      problem: error.message,
    });
    throw error;
  }
}

async function readLogin(server: AuthorizationServer, nonce: string | undefined, raw: RawReply): Promise<VerifiedLogin> {
  const { settings } = server;
  const reply = readTokenReply(raw.body);
  if (reply === undefined) throw server.unavailable({ problem: "its token endpoint answered 200 with something that is no token reply" });
  const checked = await checkReply(server, nonce, raw, reply);
  if (checked.kind === "refused") {
    discard(server, reply);
    throw checked.error;
  }
  const { claims, subject } = checked;
  return {
    authorizationServer: settings.name,
    principal: { issuer: settings.issuer, subject, clientId: settings.clientId, sid: grantSid(settings, claims.sid) },
    profile: await completeProfile(server, reply, subject, profileOf(claims)),
    tokens: verifiedReply(settings, reply, claims),
    obtainedAt: raw.sentAt,
  };
}

type CheckedReply =
  | { readonly kind: "accepted"; readonly claims: Claims; readonly subject: string }
  | { readonly kind: "refused"; readonly error: LatchkeyError };

async function checkReply(server: AuthorizationServer, nonce: string | undefined, raw: RawReply, reply: TokenReply): Promise<CheckedReply> {
  const { settings } = server;
  const { issuer, clientId } = settings;
  if (!reply.bearer)
    return refused(
      loginFailed(`${issuer} gave an access token of another type than bearer`, "Register this client there for bearer tokens."),
    );
  if (reply.idToken === undefined)
    return refused(loginFailed(`${issuer} gave no ID token`, `The scope openid must be allowed for the client ${clientId} there.`));
  if (reply.refreshToken === undefined) return refused(withoutRefreshToken(server));
  const check = await checkIdToken(reply.idToken, settings, server.trust, {
    issuer,
    clientId,
    nonce,
    validAt: [raw.receivedAt],
    clockAheadSeconds: () => server.clockAheadSeconds,
  });
  switch (check.kind) {
    case "valid":
      return { kind: "accepted", claims: check.claims, subject: nonEmptyString(check.claims.sub) ?? "" };
    case "rejected":
    case "unknown_key":
      return refused(loginFailed(`The sign-in at ${issuer} cannot be trusted: ${check.problem}`, signInAgain));
    case "clock_off":
      return refused(loginFailed(`The sign-in at ${issuer} cannot be checked: ${check.problem}`, "Then sign in again."));
    case "keys_unavailable":
      return refused(
        server.unavailable({ ...check.failure, problem: `the keys of its ID tokens cannot be had: ${check.failure.problem}` }),
      );
  }
}

function withoutRefreshToken({ settings }: AuthorizationServer): LatchkeyError {
  const scopes = settingPath(settings, "scopes");
  const remedy = settings.scopes.includes("offline_access")
    ? `The client ${settings.clientId} needs the refresh_token grant and the scope offline_access there; many servers also want ${settingPath(settings, "prompt")} to be "consent".`
    : `Add offline_access to ${scopes}, and let ${settingPath(settings, "prompt")} be "consent" where the server wants it.`;
  return loginFailed(`${settings.issuer} gave no refresh token, so the sign-in would end with its first access token`, remedy);
}

/** Userinfo fills in a name that the ID token lacks. A login never fails for the want of one. */
async function completeProfile(server: AuthorizationServer, reply: TokenReply, subject: string, profile: Profile): Promise<Profile> {
  if (profile.name !== undefined) return profile;
  const userinfo = await askUserinfo(server, reply.accessToken);
  switch (userinfo.kind) {
    case "known":
      // OIDC Core 5.3.4: of another subject nothing may be used.
      return userinfo.subject === subject ? { ...profileOf(userinfo.claims), ...profile } : profile;
    case "unsupported":
      return profile;
    case "unavailable":
      server.services.logger.debug("Userinfo could not be asked for a name", {
        authorizationServer: server.settings.name,
        problem: userinfo.failure.problem,
      });
      return profile;
  }
}

function discard(server: AuthorizationServer, reply: TokenReply): void {
  for (const token of revocableTokens(reply)) void revoke(server, token);
}

function refused(error: LatchkeyError): CheckedReply {
  return { kind: "refused", error };
}
