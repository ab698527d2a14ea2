import type { Principal } from "../session/login-session.ts";
import type { RawReply, Verification } from "../token/ports.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { verifyReply } from "./reply-verification.ts";
import { readTokenReply, revocableTokens } from "./token-reply.ts";
import { askUserinfo } from "./userinfo.ts";

/**
 * As `verifyReply`, but the reply has to prove whose it is: an import brings a refresh token that nobody here has seen
 * before. By the reply's ID token, else by userinfo with its access token; where neither names the subject, it is a mismatch.
 */
export async function identifyReply(server: AuthorizationServer, principal: Principal, raw: RawReply): Promise<Verification> {
  const verification = await verifyReply(server, principal, raw);
  if (verification.kind !== "verified" || verification.tokens.idToken !== undefined) return verification;
  const userinfo = await askUserinfo(server, verification.tokens.accessToken);
  switch (userinfo.kind) {
    case "known":
      return userinfo.subject === principal.subject ? verification : mismatch(raw, "userinfo says that the tokens are another user's");
    case "unsupported":
      return mismatch(raw, `the reply has no ID token, and userinfo does not say whose it is: ${userinfo.problem}`);
    case "unavailable":
      return { kind: "unavailable", problem: `userinfo cannot be asked: ${userinfo.failure.problem}`, cause: userinfo.failure.cause };
  }
}

function mismatch(raw: RawReply, problem: string): Verification {
  const reply = readTokenReply(raw.body);
  return { kind: "identity_mismatch", problem, revocable: reply === undefined ? [] : revocableTokens(reply) };
}
