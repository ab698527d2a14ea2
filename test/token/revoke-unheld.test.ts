import { describe, expect, it } from "vitest";
import type { AccessToken } from "../../src/session/login-session.ts";
import { revokeAll, revokeTokens } from "../../src/token/revoke-unheld.ts";
import { makeBench } from "../support/token-bench.ts";

const token = { kind: "access_token" as const, token: "at" as AccessToken };

describe("tokens that no login session holds", () => {
  it("are revoked at once, the refresh token first", async () => {
    const { one, server } = makeBench();
    const login = server.signIn("alice");
    await revokeTokens(one.core, login);
    expect(server.revoked.map((each) => each.token)).toEqual([login.tokens.refreshToken, login.tokens.accessToken]);
    await revokeTokens(one.core, { ...login, tokens: { ...login.tokens, refreshToken: undefined } });
    expect(server.revoked).toHaveLength(3);
    expect(one.events[0]).toEqual({ event: "revocation_done", issuer: server.issuer, token: "refresh_token", outcome: "revoked" });
  });

  it("are said in the audit when they cannot be revoked, and nothing fails by that", async () => {
    const { one, server } = makeBench();
    server.revocationAnswers.push({ kind: "unavailable", cause: new Error("503") }, { kind: "unsupported" });
    await revokeAll(one.core, "main", [token, token]);
    server.revoke = () => Promise.reject(new Error("unexpected"));
    await revokeAll(one.core, "main", [token]);
    expect(one.events.map((each) => [each.event, "outcome" in each ? each.outcome : undefined])).toEqual([
      ["revocation_failed", "unavailable"],
      ["revocation_done", "unsupported"],
      ["revocation_failed", "unavailable"],
    ]);
  });
});
