import type { RevocableToken, VerifiedLogin } from "./ports.ts";
import type { TokenCore } from "./token-core.ts";

/** Revokes the tokens of a login that is not accepted. It never throws: what cannot be revoked is said in the audit. */
export async function revokeTokens(core: TokenCore, login: VerifiedLogin): Promise<void> {
  const tokens: RevocableToken[] = [{ kind: "access_token", token: login.tokens.accessToken }];
  if (login.tokens.refreshToken !== undefined) tokens.unshift({ kind: "refresh_token", token: login.tokens.refreshToken });
  await revokeAll(core, login.authorizationServer, tokens);
}

/** Revokes tokens that no login session holds, each once. It never throws: what cannot be revoked is said in the audit. */
export async function revokeAll(core: TokenCore, authorizationServer: string, tokens: readonly RevocableToken[]): Promise<void> {
  const { issuer } = core.issuers.mustGet(authorizationServer).policy;
  for (const token of tokens) {
    const outcome = await core.server
      .revoke(authorizationServer, token)
      .catch((cause: unknown) => ({ kind: "unavailable" as const, cause }));
    const event = outcome.kind === "unavailable" ? "revocation_failed" : "revocation_done";
    core.audit.record({ event, issuer, token: token.kind, outcome: outcome.kind });
  }
}
