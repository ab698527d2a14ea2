import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentAudit } from "../../src/audit/audit.ts";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import { AuthorizationServers } from "../../src/oidc/authorization-servers.ts";
import { newSigningKey, ScriptedAuthorizationServer, sendText } from "../support/scripted-authorization-server.ts";
import { adapterFor, settingsFor } from "./fixtures.ts";

let server: ScriptedAuthorizationServer;
beforeEach(async () => {
  server = await ScriptedAuthorizationServer.start();
});
afterEach(() => server.close());

const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;
const check = (idToken: string) => adapterFor(server).checkImport({ idToken });

async function problemsOf(idToken: string): Promise<string> {
  const result = await check(idToken);
  if (result.kind !== "rejected") throw new Error(result.kind);
  for (const part of idToken.split(".")) if (part.length > 8) expect(result.problems.join()).not.toContain(part);
  return result.problems.join("\n");
}

describe("the ID token of an import (R17)", () => {
  it("says whose it is and from where", async () => {
    expect(await check(await server.idToken({ sid: "sid-1", name: "Alice" }))).toEqual({
      kind: "ok",
      authorizationServer: "main",
      principal: { issuer: server.issuer, subject: "alice", clientId: "client-1", sid: "sid-1" },
      profile: { name: "Alice" },
      expired: false,
    });
  });

  it("is accepted within a day of its expiry, and marked so (F47)", async () => {
    expect(await check(await server.idToken({ iat: inSeconds(-90_000), exp: inSeconds(-23 * 3600) }))).toMatchObject({
      kind: "ok",
      expired: true,
    });
  });

  it("finds the client among several of one issuer by the audience", async () => {
    const adapter = new AuthorizationServers([settingsFor(server), settingsFor(server, { name: "second", clientId: "client-2" })], {
      clock: systemClock,
      logger: silentLogger,
      audit: silentAudit,
    });
    expect(await adapter.checkImport({ idToken: await server.idToken({ aud: ["client-2"] }) })).toMatchObject({
      authorizationServer: "second",
    });
    expect(await adapter.checkImport({ idToken: await server.idToken() })).toMatchObject({ authorizationServer: "main" });
  });

  it.each(["", "garbage", "a.b.c", "a.b.c.d.e", `${"x".repeat(70_000)}.b.c`])("is refused when it is no signed JWT", async (idToken) => {
    expect(await problemsOf(idToken)).toBe("id_token is not a signed JWT");
    expect(server.requests).toHaveLength(0);
  });

  it.each([
    [
      "another issuer",
      { iss: "https://evil.example/<script>" },
      "is from the issuer https://evil.example/script, which is not configured (configured: http://127.0.0.1",
    ],
    ["another audience", { aud: "client-2" }, "it is not for the client client-1"],
    ["no subject", { sub: undefined }, "it names no subject"],
    ["no expiry", { exp: undefined }, "it has no expiry"],
    [
      "an expiry of more than a day ago (F47)",
      { iat: inSeconds(-99_000), exp: inSeconds(-25 * 3600) },
      "an import accepts 86400 s at most",
    ],
    ["an issue in the future", { iat: inSeconds(3600), exp: inSeconds(7200) }, "s in the future"],
  ])("is refused with %s", async (_name, claims, words) => {
    expect(await problemsOf(await server.idToken(claims))).toContain(words);
  });

  it("is refused with a foreign signature, whatever its key is called", async () => {
    expect(await problemsOf(await server.idToken({}, { key: await newSigningKey("ES256", server.key.kid) }))).toContain(
      "its signature is wrong",
    );
    expect(await problemsOf(await server.idToken({}, { key: await newSigningKey("RS256", "foreign") }))).toContain("does not publish");
  });

  it("is refused unsigned", async () => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = { iss: server.issuer, sub: "alice", aud: "client-1", iat: inSeconds(0), exp: inSeconds(300) };
    expect(await problemsOf(`${part({ alg: "none" })}.${part(claims)}.`)).toContain("signed with none");
  });

  it("is refused with all its problems at once", async () => {
    const key = await newSigningKey("ES256", server.key.kid);
    const problems = await problemsOf(await server.idToken({ aud: "client-2", iat: inSeconds(-99_000), exp: inSeconds(-95_000) }, { key }));
    expect(problems.split("\n")).toHaveLength(3);
  });

  it("cannot be decided while the keys cannot be fetched, unless it is refused anyway", async () => {
    server.on("/jwks", (_request, response) => sendText(response, 503, ""));
    expect(await check(await server.idToken())).toMatchObject({ kind: "unavailable", cause: { code: "authorization_server_unavailable" } });
    expect(await problemsOf(await server.idToken({ aud: "client-2" }))).toContain("it is not for the client client-1");
  });
});
