import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Verification } from "../../src/token/ports.ts";
import { newSigningKey, ScriptedAuthorizationServer, sendJson, sendText } from "../support/scripted-authorization-server.ts";
import { adapterFor, HeldClock, principalOf, rawReply, tokenBody } from "./fixtures.ts";

let server: ScriptedAuthorizationServer;
beforeEach(async () => {
  server = await ScriptedAuthorizationServer.start();
});
afterEach(() => server.close());

async function verify(body: unknown, adapter = adapterFor(server)): Promise<Verification> {
  return await adapter.verify("main", principalOf(server), rawReply(body));
}

async function verifyToken(idToken: string, adapter = adapterFor(server)): Promise<Verification> {
  return await verify({ ...tokenBody, id_token: idToken }, adapter);
}

const hour = 3600;
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;
const bothTokens = [
  { kind: "refresh_token", token: "rt-2" },
  { kind: "access_token", token: "at-2" },
];

describe("a reply whose ID token proves the principal (OIDC Core 12.2)", () => {
  it.each(["ES256", "ES384", "ES512", "RS256", "RS512", "PS256", "PS384", "EdDSA", "Ed25519"])(
    "is verified when it is signed with %s",
    async (alg) => {
      server.key = await newSigningKey(alg);
      const verification = await verifyToken(await server.idToken({ sid: "sid-1" }));
      expect(verification).toMatchObject({
        kind: "verified",
        tokens: { accessToken: "at-2", refreshToken: "rt-2", expiresInSeconds: 30, sid: "sid-1" },
      });
    },
  );

  it("is verified without nonce and with several audiences", async () => {
    expect((await verifyToken(await server.idToken({ aud: ["other", "client-1"] }))).kind).toBe("verified");
    expect((await verifyToken(await server.idToken({ aud: ["other", "client-1"], azp: "client-1" }))).kind).toBe("verified");
  });

  it("is verified when the key set holds keys without ids, and keys of unknown kinds", async () => {
    const other = await newSigningKey("ES256");
    const strip = ({ kid: _kid, ...jwk }: typeof server.key.publicJwk) => jwk;
    server.on("/jwks", (_request, response) =>
      sendJson(response, 200, { keys: [{ kty: "XYZ", kid: "future" }, "nonsense", strip(other.publicJwk), strip(server.key.publicJwk)] }),
    );
    expect((await verifyToken(await server.idToken({}, { header: { kid: undefined } }))).kind).toBe("verified");
  });

  it("is verified by the client secret where discovery announces HS256, and only there", async () => {
    const secret = new TextEncoder().encode("canary-client-secret");
    const hs256 = { alg: "HS256", kid: "any", publicJwk: {}, privateKey: secret };
    const idToken = await server.idToken({}, { key: hs256 });
    const refused = await verifyToken(idToken);
    expect(refused).toMatchObject({ kind: "identity_mismatch" });
    expect(refused.kind === "identity_mismatch" && refused.problem).toContain("HS256");
    server.document = { id_token_signing_alg_values_supported: ["HS256", "ES256"] };
    expect((await verifyToken(idToken)).kind).toBe("verified");
  });

  it("carries the name and email that the ID token has, and no half of them", async () => {
    const whole = await verifyToken(await server.idToken({ name: "Alice <b>", email: "alice@example.com" }));
    expect(whole).toMatchObject({ tokens: { profile: { name: "Alice b", email: "alice@example.com" } } });
    const half = await verifyToken(await server.idToken({ name: "Alice" }));
    expect(half).toMatchObject({ kind: "verified", tokens: { profile: undefined } });
  });
});

describe("a reply without an ID token", () => {
  it("is verified: the identity of the login stays, and nothing is asked (F19)", async () => {
    await server.close();
    expect(await verify(tokenBody)).toMatchObject({ kind: "verified", tokens: { idToken: undefined, profile: undefined } });
    server = await ScriptedAuthorizationServer.start();
  });
});

describe("a reply that is somebody else's (I7, F18)", () => {
  it.each([
    ["another subject", { sub: "bob" }],
    ["no subject", { sub: undefined }],
    ["another audience", { aud: "client-2" }],
    ["no audience", { aud: undefined }],
    ["several audiences without this client", { aud: ["client-2", "client-3"] }],
    ["another authorized party", { aud: ["client-1", "client-2"], azp: "client-2" }],
    ["another issuer", { iss: "https://elsewhere.example" }],
    ["the issuer with a slash more", { iss: "SLASH" }],
    ["no expiry", { exp: undefined }],
    ["an expiry of days ago, which no clock explains", { exp: inSeconds(-72 * hour), iat: inSeconds(-73 * hour) }],
    ["an issue in the far future", { iat: inSeconds(72 * hour), exp: inSeconds(73 * hour) }],
  ])("is a mismatch with %s, and says what to revoke", async (_name, claims) => {
    const changed = "iss" in claims && claims.iss === "SLASH" ? { iss: `${server.issuer}/` } : claims;
    expect(await verifyToken(await server.idToken(changed))).toMatchObject({ kind: "identity_mismatch", revocable: bothTokens });
  });

  it("is a mismatch with a signature by another key of the same name", async () => {
    const forged = await server.idToken({}, { key: await newSigningKey("ES256", server.key.kid) });
    expect(await verifyToken(forged)).toMatchObject({ kind: "identity_mismatch", revocable: bothTokens });
  });

  it("is a mismatch with a changed payload", async () => {
    const [header, , signature] = (await server.idToken()).split(".");
    const payload = Buffer.from(JSON.stringify({ iss: server.issuer, sub: "alice", aud: "client-1", exp: inSeconds(300) })).toString(
      "base64url",
    );
    expect((await verifyToken(`${header}.${payload}.${signature}`)).kind).toBe("identity_mismatch");
  });

  it("is a mismatch with alg none, with an empty signature and without", async () => {
    const header = Buffer.from('{"alg":"none"}').toString("base64url");
    const payload = Buffer.from(JSON.stringify({ iss: server.issuer, sub: "alice", aud: "client-1", exp: inSeconds(300) })).toString(
      "base64url",
    );
    expect((await verifyToken(`${header}.${payload}.`)).kind).toBe("identity_mismatch");
    expect((await verifyToken(`${header}.${payload}`)).kind).toBe("identity_mismatch");
  });

  it("is a mismatch when a published key is used as an HMAC secret", async () => {
    server.key = await newSigningKey("RS256");
    server.document = { id_token_signing_alg_values_supported: ["RS256", "HS256"] };
    const secret = new TextEncoder().encode(JSON.stringify(server.key.publicJwk));
    const confused = await server.idToken({}, { key: { alg: "HS256", kid: server.key.kid, publicJwk: {}, privateKey: secret } });
    expect((await verifyToken(confused)).kind).toBe("identity_mismatch");
  });

  it.each(["garbage", "a.b.c", "a.b.c.d.e"])("is a mismatch with %s for an ID token", async (idToken) => {
    expect((await verifyToken(idToken)).kind).toBe("identity_mismatch");
  });

  it("is a mismatch with a token type that no bearer header can present: the old refresh token must not be tried again", async () => {
    expect(await verify({ ...tokenBody, token_type: "DPoP" })).toMatchObject({ kind: "identity_mismatch", revocable: bothTokens });
  });

  it("says nothing of the other user, and none of the tokens (B10)", async () => {
    const verification = await verifyToken(await server.idToken({ sub: "canary-bob" }));
    if (verification.kind !== "identity_mismatch") throw new Error(verification.kind);
    expect(verification.problem).not.toContain("canary-bob");
    expect(verification.problem).not.toContain("eyJ");
  });
});

describe("a reply that cannot be verified yet (F18)", () => {
  it("waits while the keys cannot be fetched, and is verified once they can", async () => {
    const clock = new HeldClock();
    const adapter = adapterFor(server, {}, clock);
    const raw = rawReply({ ...tokenBody, id_token: await server.idToken() });
    server.on("/jwks", (_request, response) => sendText(response, 503, ""));
    const first = await adapter.verify("main", principalOf(server), raw);
    expect(first).toMatchObject({ kind: "unavailable" });
    expect(first.kind === "unavailable" && first.problem).toContain("/jwks answered 503");
    server.on("/jwks", (_request, response) => sendJson(response, 200, { keys: [server.key.publicJwk] }));
    // For a second everybody gets the failure that is known.
    clock.offsetMs += 1_500;
    expect((await adapter.verify("main", principalOf(server), raw)).kind).toBe("verified");
    expect(server.to("/token")).toHaveLength(0);
  });

  it("is verified by another process from the kept reply alone, hours after its ID token expired", async () => {
    const raw = rawReply({ ...tokenBody, id_token: await server.idToken() });
    const later = new HeldClock();
    later.offsetMs = 8 * hour * 1000;
    expect((await adapterFor(server, {}, later).verify("main", principalOf(server), raw)).kind).toBe("verified");
  });

  it("fetches the keys once for all who wait, and not again for the next", async () => {
    const adapter = adapterFor(server);
    const idToken = await server.idToken();
    const all = await Promise.all(Array.from({ length: 20 }, () => verifyToken(idToken, adapter)));
    expect(all.every(({ kind }) => kind === "verified")).toBe(true);
    expect(server.to("/jwks")).toHaveLength(1);
    expect(server.to("/.well-known/openid-configuration")).toHaveLength(1);
  });

  it("fetches the keys again when they were rotated, also under the old name", async () => {
    const clock = new HeldClock();
    const adapter = adapterFor(server, {}, clock);
    await verifyToken(await server.idToken(), adapter);
    for (const key of [await newSigningKey("ES256", "rotated"), await newSigningKey("ES256", "rotated")]) {
      server.key = key;
      clock.offsetMs += 10_000;
      const raw = rawReply({ ...tokenBody, id_token: await server.idToken() }, clock.now());
      expect((await adapter.verify("main", principalOf(server), raw)).kind).toBe("verified");
    }
    expect(server.to("/jwks")).toHaveLength(3);
  });

  it("uses the keys it has when they are due for another look and cannot be had", async () => {
    const clock = new HeldClock();
    const adapter = adapterFor(server, {}, clock);
    await verifyToken(await server.idToken(), adapter);
    server.on("/jwks", (_request, response) => sendText(response, 500, ""));
    clock.offsetMs += hour * 1000;
    const raw = rawReply({ ...tokenBody, id_token: await server.idToken() });
    expect((await adapter.verify("main", principalOf(server), raw)).kind).toBe("verified");
  });

  it("waits half a minute for a key that is not published yet, and is a mismatch then", async () => {
    const clock = new HeldClock();
    const adapter = adapterFor(server, {}, clock);
    const raw = rawReply({ ...tokenBody, id_token: await server.idToken({}, { key: await newSigningKey("ES256", "unpublished") }) });
    expect((await adapter.verify("main", principalOf(server), raw)).kind).toBe("unavailable");
    clock.offsetMs += 31_000;
    expect((await adapter.verify("main", principalOf(server), raw)).kind).toBe("identity_mismatch");
  });

  it.each([
    ["expired", { iat: inSeconds(-2 * hour), exp: inSeconds(-hour) }, "expired 3600 s ago"],
    ["from the future", { iat: inSeconds(hour), exp: inSeconds(2 * hour) }, "was issued 3600 s in the future"],
    ["not valid yet", { nbf: inSeconds(hour), exp: inSeconds(2 * hour) }, "was issued 3600 s in the future"],
  ])("waits when the ID token is %s by no more than a wrong clock explains, and says so", async (_name, claims, words) => {
    const verification = await verifyToken(await server.idToken(claims));
    if (verification.kind !== "unavailable") throw new Error(verification.kind);
    expect(verification.problem.replace(/3(59|60)\d/, "3600")).toContain(words);
    expect(verification.problem).toContain("authorizationServers.main.clockToleranceSeconds (now 60)");
  });

  it("waits, and ends nothing, when the clock is wrong and the authorization server never says its own time", async () => {
    const clock = new HeldClock();
    clock.offsetMs = 2 * hour * 1000;
    server.hideDate = true;
    const raw = rawReply({ ...tokenBody, id_token: await server.idToken() }, clock.now());
    const adapter = adapterFor(server, {}, clock);
    const first = await adapter.verify("main", principalOf(server), raw);
    expect(first).toMatchObject({ kind: "unavailable", problem: expect.stringContaining("set the clock right") });
    clock.offsetMs = 0;
    expect((await adapter.verify("main", principalOf(server), raw)).kind).toBe("verified");
  });

  it.each([
    ["two minutes ahead", 120],
    ["an hour behind", -hour],
    ["a day ahead", 24 * hour],
    ["three days behind, after it slept", -72 * hour],
  ])("is verified by the clock that dated it when this machine's is %s", async (_name, offset) => {
    const clock = new HeldClock();
    clock.offsetMs = offset * 1000;
    const raw = rawReply({ ...tokenBody, id_token: await server.idToken() }, clock.now());
    expect((await adapterFor(server, {}, clock).verify("main", principalOf(server), raw)).kind).toBe("verified");
  });

  it("is no more valid for that when it is old or too young by its own issuer's clock", async () => {
    const clock = new HeldClock();
    clock.offsetMs = 2 * hour * 1000;
    for (const claims of [
      { iat: inSeconds(-5 * hour), exp: inSeconds(-4 * hour) },
      { iat: inSeconds(5 * hour), exp: inSeconds(6 * hour) },
    ]) {
      const raw = rawReply({ ...tokenBody, id_token: await server.idToken(claims) }, clock.now());
      const verification = await adapterFor(server, {}, clock).verify("main", principalOf(server), raw);
      expect(verification).toMatchObject({ kind: "unavailable", problem: expect.stringMatching(/this clock is 7[12]\d\d s ahead/) });
    }
  });

  it("is verified once a wrong clock has been set", async () => {
    const idToken = await server.idToken({ iat: inSeconds(hour), exp: inSeconds(hour + 300) });
    const clock = new HeldClock();
    const adapter = adapterFor(server, {}, clock);
    const raw = rawReply({ ...tokenBody, id_token: idToken });
    expect((await adapter.verify("main", principalOf(server), raw)).kind).toBe("unavailable");
    clock.offsetMs = hour * 1000;
    expect((await adapter.verify("main", principalOf(server), raw)).kind).toBe("verified");
  });

  it("tolerates clocks that are a minute off", async () => {
    expect((await verifyToken(await server.idToken({ exp: inSeconds(-50) }))).kind).toBe("verified");
    expect((await verifyToken(await server.idToken({ iat: inSeconds(50) }))).kind).toBe("verified");
  });

  it("waits when the authorization server is not configured any more", async () => {
    expect((await adapterFor(server).verify("gone", principalOf(server), rawReply(tokenBody))).kind).toBe("unavailable");
  });
});

describe("what a reply says of its tokens (F19)", () => {
  it.each(["<html>", "", "[]", '"at"', '{"access_token":5}', '{"error":"x"}'])("is unreadable when the body is %s", async (body) => {
    expect((await verify(body)).kind).toBe("unreadable");
  });

  const thirtyDays = 30 * 24 * hour;
  it.each([
    [undefined, 300],
    [null, 300],
    [30, 30],
    ["30", 30],
    [" 45 ", 45],
    [59.9, 59],
    [0.4, 1],
    [0, 300],
    [-5, 300],
    ["soon", 300],
    [true, 300],
    [315_360_000, thirtyDays],
    ["315360000", thirtyDays],
    [1e300, thirtyDays],
  ])("reads expires_in %s as %d s", async (value, seconds) => {
    expect(await verify({ ...tokenBody, expires_in: value })).toMatchObject({ kind: "verified", tokens: { expiresInSeconds: seconds } });
  });

  const jwt = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`;
  it.each([
    ["says how long it lives", jwt({ iat: 1_000, exp: 1_120 }), undefined, 120],
    ["says so where expires_in is nonsense", jwt({ iat: 1_000, exp: 1_120 }), "soon", 120],
    ["does not go before expires_in", jwt({ iat: 1_000, exp: 1_120 }), 30, 30],
    ["lives for years", jwt({ iat: 1_000, exp: 315_361_000 }), undefined, thirtyDays],
    ["ends before it begins", jwt({ iat: 1_000, exp: 900 }), undefined, 300],
    ["does not say when it began", jwt({ exp: 1_120 }), undefined, 300],
    ["has times that are none", jwt({ iat: "1000", exp: null }), undefined, 300],
    ["has no claims", "a.b.c", undefined, 300],
  ])("goes by an access token that is a JWT and %s", async (_name, token, expiresIn, seconds) => {
    const verification = await verify({ ...tokenBody, access_token: token, expires_in: expiresIn });
    expect(verification).toMatchObject({ kind: "verified", tokens: { expiresInSeconds: seconds } });
  });

  it.each([
    [{ refresh_expires_in: 600 }, 600],
    [{ refresh_token_expires_in: "1800" }, 1800],
    [{ refresh_expires_in: 0 }, undefined],
    [{ refresh_expires_in: -1 }, undefined],
    [{ refresh_expires_in: 1e12 }, 315_360_000],
    [{}, undefined],
  ])("reads the refresh token's life from %j", async (members, seconds) => {
    const verification = await verify({ ...tokenBody, ...members });
    expect(verification.kind === "verified" && verification.tokens.refreshExpiresInSeconds).toBe(seconds);
  });

  it.each([undefined, null, ""])("takes a refresh token of %s for none", async (value) => {
    const verification = await verify({ ...tokenBody, refresh_token: value });
    expect(verification).toMatchObject({ kind: "verified", tokens: { refreshToken: undefined } });
  });

  it("gives the same refresh token back when the server does (F41)", async () => {
    expect(await verify({ ...tokenBody, refresh_token: "rt-1" })).toMatchObject({ tokens: { refreshToken: "rt-1" } });
  });

  it.each([
    ["openid  profile", ["openid", "profile"]],
    [
      ["openid", "profile", 5],
      ["openid", "profile"],
    ],
    ["", undefined],
    [undefined, undefined],
  ])("reads the scope %j", async (scope, granted) => {
    const verification = await verify({ ...tokenBody, scope });
    expect(verification.kind === "verified" && verification.tokens.grantedScopes).toEqual(granted);
  });

  it.each(["bearer", "BEARER", "Bearer", undefined])("takes token_type %s for bearer", async (type) => {
    expect((await verify({ ...tokenBody, token_type: type })).kind).toBe("verified");
  });
});

describe("identification for an import (F47)", () => {
  const identify = (body: unknown) => adapterFor(server).identify("main", principalOf(server), rawReply(body));

  it("goes by the ID token of the reply, without userinfo", async () => {
    expect((await identify({ ...tokenBody, id_token: await server.idToken() })).kind).toBe("verified");
    expect((await identify({ ...tokenBody, id_token: await server.idToken({ sub: "bob" }) })).kind).toBe("identity_mismatch");
    expect(server.to("/userinfo")).toHaveLength(0);
  });

  it("asks userinfo with the new access token when the reply has no ID token", async () => {
    server.on("/userinfo", (_request, response) => sendJson(response, 200, { sub: "alice" }));
    expect((await identify(tokenBody)).kind).toBe("verified");
    expect(server.to("/userinfo")[0]?.headers.authorization).toBe("Bearer at-2");
    server.on("/userinfo", (_request, response) => sendJson(response, 200, { sub: "bob" }));
    expect(await identify(tokenBody)).toMatchObject({ kind: "identity_mismatch", revocable: bothTokens });
  });

  it("accepts a signed userinfo answer, and no forged one", async () => {
    const key = server.key;
    server.on("/userinfo", async (_request, response) =>
      sendText(response, 200, await server.idToken({}, { key }), { "content-type": "application/jwt" }),
    );
    expect((await identify(tokenBody)).kind).toBe("verified");
    server.key = await newSigningKey("ES256", key.kid);
    expect((await identify(tokenBody)).kind).toBe("identity_mismatch");
  });

  it("accepts no signed userinfo answer of another issuer", async () => {
    server.on("/userinfo", async (_request, response) =>
      sendText(response, 200, await server.idToken({ iss: "https://elsewhere.example" }), { "content-type": "application/jwt" }),
    );
    expect((await identify(tokenBody)).kind).toBe("identity_mismatch");
  });

  it("waits while userinfo cannot be asked", async () => {
    server.on("/userinfo", (_request, response) => sendText(response, 503, ""));
    expect((await identify(tokenBody)).kind).toBe("unavailable");
    server.on("/userinfo", (_request, response) => response.socket?.destroy());
    expect((await identify(tokenBody)).kind).toBe("unavailable");
  });

  it("is a mismatch when nothing says whose the tokens are", async () => {
    server.on("/userinfo", (_request, response) => sendText(response, 401, "", { "www-authenticate": 'Bearer error="invalid_token"' }));
    expect((await identify(tokenBody)).kind).toBe("identity_mismatch");
    server.document = { userinfo_endpoint: undefined };
    const verification = await identify(tokenBody);
    expect(verification.kind === "identity_mismatch" && verification.problem).toContain("authorizationServers.main.endpoints.userinfo");
  });
});
