import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import type { IdTokenFlaw } from "../../src/testing/behaviour.ts";
import type { FaultServer } from "../../src/testing/fault-server.ts";
import { faultServer, get, post, refresh } from "./plain-client.ts";

/** What jose says about an ID token: its claims, or the code of its complaint. */
async function verified(server: FaultServer, idToken: unknown): Promise<unknown> {
  const keys: JSONWebKeySet = JSON.parse((await get(`${server.issuer}/jwks`)).text);
  const expected = { issuer: server.issuer, audience: "client", subject: "alice" };
  return await jwtVerify(String(idToken), createLocalJWKSet(keys), expected).then(
    ({ payload }) => payload,
    (error: { readonly code: string; readonly claim?: string }) => `${error.code} ${error.claim ?? ""}`.trim(),
  );
}

describe("the ID token of a refresh", () => {
  test.each<[IdTokenFlaw, unknown]>([
    ["wrong_subject", "ERR_JWT_CLAIM_VALIDATION_FAILED sub"],
    ["wrong_issuer", "ERR_JWT_CLAIM_VALIDATION_FAILED iss"],
    ["wrong_audience", "ERR_JWT_CLAIM_VALIDATION_FAILED aud"],
    ["array_audience", { aud: ["client"] }],
    ["wrong_nonce", { nonce: "not-the-nonce" }],
    ["expired", "ERR_JWT_EXPIRED exp"],
    ["bad_signature", "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"],
    ["unknown_key", "ERR_JWKS_NO_MATCHING_KEY"],
    ["unsigned", "ERR_JOSE_NOT_SUPPORTED"],
  ])("can be %s", async (flaw, expected) => {
    const server = await faultServer();
    const { refreshToken } = await server.issue({ subject: "alice" });
    server.set({ kind: "id_token", flaw }, { next: 1 });
    const first = await refresh(server, refreshToken);
    const found = await verified(server, first.json.id_token);
    if (typeof expected === "string") expect(found).toBe(expected);
    else expect(found).toMatchObject(Object(expected));
    const second = await refresh(server, first.json.refresh_token);
    expect(await verified(server, second.json.id_token)).toMatchObject({ sub: "alice" });
  });

  test("can be missing", async () => {
    const server = await faultServer({ behaviours: [{ kind: "id_token", flaw: "missing" }] });
    const { refreshToken, idToken } = await server.issue({ subject: "alice" });
    expect(idToken).not.toBe("");
    expect((await refresh(server, refreshToken)).json).not.toHaveProperty("id_token");
  });

  test.each(["RS256", "ES256", "EdDSA", "PS256"] as const)("can be signed with %s", async (algorithm) => {
    const server = await faultServer({ behaviours: [{ kind: "id_token_algorithm", algorithm }] });
    const { idToken } = await server.issue({ subject: "alice", nonce: "n" });
    expect(decodeProtectedHeader(idToken).alg).toBe(algorithm);
    expect(await verified(server, idToken)).toMatchObject({ sub: "alice", nonce: "n" });
  });

  test("and the Date header can be of another time", async () => {
    const server = await faultServer({ behaviours: [{ kind: "clock_skew", seconds: -86_400 }] });
    const { refreshToken } = await server.issue({ subject: "alice" });
    const reply = await refresh(server, refreshToken);
    expect(Date.parse(reply.headers.get("date") ?? "")).toBeLessThan(Date.now() - 80_000_000);
    expect(await verified(server, reply.json.id_token)).toBe("ERR_JWT_EXPIRED exp");
    server.set({ kind: "clock_skew", seconds: -86_400, shows: "date_header" });
    const other = await refresh(server, reply.json.refresh_token);
    expect(Date.parse(other.headers.get("date") ?? "")).toBeLessThan(Date.now() - 80_000_000);
    expect(await verified(server, other.json.id_token)).toMatchObject({ sub: "alice" });
  });
});

test.each([
  [{ expires_in: undefined }],
  [{ expires_in: "30" }],
  [{ expires_in: -1 }],
  [{ expires_in: 315_360_000 }],
  [{ expires_in: 30.5 }],
  [{ token_type: "bearer" }],
  [{ scope: undefined }],
  [{ scope: ["openid"] }],
  [{ refresh_token: undefined }],
])("fields of a reply can be odd: %j", async (fields) => {
  const server = await faultServer();
  const { refreshToken } = await server.issue({ subject: "alice" });
  const usual = (await refresh(server, refreshToken)).json;
  server.set({ kind: "reply_fields", fields });
  const { json } = await refresh(server, usual.refresh_token);
  for (const [name, value] of Object.entries(fields)) {
    expect(usual).toHaveProperty(name);
    expect(json[name]).toEqual(value);
    expect(name in json).toBe(value !== undefined);
  }
});

describe("introspection", () => {
  test.each([
    ["always_inactive" as const, 200, { active: false }],
    ["unauthorized" as const, 401, { error: "invalid_client" }],
    ["not_found" as const, 404, {}],
  ])("can be %s", async (says, status, json) => {
    const server = await faultServer();
    const { refreshToken } = await server.issue({ subject: "alice" });
    const ask = () => post(`${server.issuer}/introspect`, { token: refreshToken, client_id: "client" });
    expect((await ask()).json).toMatchObject({ active: true, sub: "alice", client_id: "client" });
    server.set({ kind: "introspection", says });
    const reply = await ask();
    expect([reply.status, reply.json]).toEqual([status, json]);
    expect(server.ledger.introspections.map(({ active }) => active)).toEqual([true, false]);
  });

  test("of a used refresh token harms nothing, and another client learns nothing", async () => {
    const server = await faultServer({ clients: [{ clientId: "client" }, { clientId: "other" }] });
    const { refreshToken } = await server.issue({ subject: "alice" });
    const next = (await refresh(server, refreshToken)).json.refresh_token;
    expect((await post(`${server.issuer}/introspect`, { token: refreshToken, client_id: "client" })).json).toEqual({ active: false });
    expect((await post(`${server.issuer}/introspect`, { token: String(next), client_id: "other" })).json).toEqual({ active: false });
    expect(server.isActive(String(next))).toBe(true);
  });
});

describe("revocation", () => {
  const revoke = (server: FaultServer, token: string) => post(`${server.issuer}/revoke`, { token, client_id: "client" });

  test("of an access token leaves the login alive; of a refresh token it ends it; the second time it has no effect", async () => {
    const server = await faultServer();
    const { accessToken, refreshToken } = await server.issue({ subject: "alice" });
    const userinfo = () => get(`${server.issuer}/userinfo`, { authorization: `Bearer ${accessToken}` });
    expect((await userinfo()).json).toMatchObject({ sub: "alice" });
    await revoke(server, accessToken);
    expect((await userinfo()).status).toBe(401);
    expect(server.isActive(refreshToken)).toBe(true);
    for (const status of [200, 200]) expect((await revoke(server, refreshToken)).status).toBe(status);
    expect(server.ledger.revocations.map(({ kind, effective }) => [kind, effective])).toEqual([
      ["access_token", true],
      ["refresh_token", true],
      ["refresh_token", false],
    ]);
  });

  test("can be unavailable, refuse what it does not know, or be absent", async () => {
    const server = await faultServer();
    const { refreshToken } = await server.issue({ subject: "alice" });
    server.set({ kind: "revocation", says: "unavailable" }, { next: 1, target: "revocation" });
    expect((await revoke(server, refreshToken)).status).toBe(503);
    expect(server.isActive(refreshToken)).toBe(true);
    server.set({ kind: "revocation", says: "refuses_unknown" });
    expect((await revoke(server, refreshToken)).status).toBe(200);
    expect((await revoke(server, refreshToken)).json).toEqual({ error: "invalid_token" });
    server.set({ kind: "revocation", says: "absent" });
    expect((await revoke(server, refreshToken)).status).toBe(404);
    expect((await get(`${server.issuer}/.well-known/openid-configuration`)).json).not.toHaveProperty("revocation_endpoint");
  });

  test("takes the other logins of a shared grant along", async () => {
    const server = await faultServer({ behaviours: [{ kind: "shared_grant" }] });
    const logins = [await server.issue({ subject: "alice", sid: "one" }), await server.issue({ subject: "alice", sid: "one" })];
    await revoke(server, logins[0]?.refreshToken ?? "");
    expect(logins.map(({ refreshToken }) => server.isActive(refreshToken))).toEqual([false, false]);
  });
});

test("discovery can redirect, lack members and have other ones", async () => {
  const server = await faultServer({ issuerPath: "/realms/one" });
  const address = `${server.issuer}/.well-known/openid-configuration`;
  server.set({ kind: "discovery_redirect" });
  server.set({ kind: "discovery_fields", fields: { revocation_endpoint: undefined, token_endpoint: "https://else.example/token" } });
  expect((await get(address)).headers.get("location")).toBe(`${server.issuer}/moved/openid-configuration`);
  const document: unknown = await (await fetch(address)).json();
  expect(document).toMatchObject({ issuer: server.issuer, token_endpoint: "https://else.example/token" });
  expect(document).not.toHaveProperty("revocation_endpoint");
  const sameByRfc8414 = `${server.origin}/.well-known/oauth-authorization-server/realms/one`;
  server.clear();
  expect((await get(sameByRfc8414)).json).toMatchObject({ issuer: server.issuer });
  expect([server.requestsTo("discovery"), server.requestsTo("token"), server.requestsTo("any")]).toEqual([4, 0, 4]);
});
