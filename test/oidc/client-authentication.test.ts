import { generateKeyPairSync } from "node:crypto";
import { createRemoteJWKSet, exportJWK, importSPKI, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AuthorizationServerSettings } from "../../src/oidc/settings.ts";
import { settingsProblems } from "../../src/oidc/settings-problems.ts";
import { ScriptedAuthorizationServer, type ScriptedRequest, sendJson, sendText } from "../support/scripted-authorization-server.ts";
import { adapterFor, HeldClock, refreshRequest, refreshToken, settingsFor, tokenBody } from "./fixtures.ts";

let server: ScriptedAuthorizationServer;
beforeEach(async () => {
  server = await ScriptedAuthorizationServer.start();
  server.onToken(tokenBody);
});
afterEach(() => server.close());

async function requestBy(changes: Partial<AuthorizationServerSettings>): Promise<ScriptedRequest> {
  await adapterFor(server, changes).refresh(refreshRequest());
  const [request] = server.to("/token");
  if (request === undefined) throw new Error("no request");
  return request;
}

describe("client_secret_basic (RFC 6749, section 2.3.1)", () => {
  const odd = { clientId: "tool:one", clientSecret: "p%+ä&= w" };

  it("encodes id and secret as a form does, so that a server that decodes finds what was registered", async () => {
    const { headers } = await requestBy(odd);
    expect(headers.authorization).toBe(`Basic ${btoa("tool%3Aone:p%25%2B%C3%A4%26%3D+w")}`);
  });

  it("leaves what usual ids and secrets are made of as it is, for servers that do not decode", async () => {
    const { headers } = await requestBy({ clientId: "0f-1_a.b", clientSecret: "A-b_c.d*9" });
    expect(headers.authorization).toBe(`Basic ${btoa("0f-1_a.b:A-b_c.d*9")}`);
  });

  it("sends them as they are by setting", async () => {
    const { headers } = await requestBy({ ...odd, clientSecretEncoding: "raw" });
    expect(headers.authorization).toBe(`Basic ${Buffer.from("tool:one:p%+ä&= w", "utf8").toString("base64")}`);
  });

  it("is the same at the revocation endpoint", async () => {
    server.on("/revoke", (_request, response) => sendText(response, 200, ""));
    await adapterFor(server, { ...odd, clientSecretEncoding: "raw" }).revoke("main", { kind: "refresh_token", token: refreshToken() });
    expect(server.to("/revoke")[0]?.headers.authorization).toBe(`Basic ${Buffer.from("tool:one:p%+ä&= w", "utf8").toString("base64")}`);
  });
});

describe("private_key_jwt (RFC 7523)", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = rsa.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const withoutSecret = { clientSecret: undefined, clientKey: pem };

  it("signs an assertion for the issuer, new for each request, and sends no secret", async () => {
    const first = await requestBy(withoutSecret);
    expect(first.headers.authorization).toBeUndefined();
    expect(first.form.get("client_assertion_type")).toBe("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    const key = await importSPKI(rsa.publicKey.export({ type: "spki", format: "pem" }).toString(), "RS256");
    const { payload } = await jwtVerify(first.form.get("client_assertion") ?? "", key, { issuer: "client-1", subject: "client-1" });
    expect(payload.aud).toBe(server.issuer);
    server.requests.length = 0;
    const second = await requestBy(withoutSecret);
    expect((await jwtVerify(second.form.get("client_assertion") ?? "", key)).payload.jti).not.toBe(payload.jti);
  });

  it.each([
    ["RS256", () => rsa.privateKey, undefined],
    ["PS256", () => rsa.privateKey, "PS256"],
    ["ES256", () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey, undefined],
    ["ES384", () => generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey, undefined],
    ["Ed25519", () => generateKeyPairSync("ed25519").privateKey, undefined],
  ])("signs with %s, by a JWK whose kid it names", async (alg, generate, named) => {
    const jwk = await exportJWK(generate());
    const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...open } = jwk;
    server.on("/client-jwks", (_request, response) => sendJson(response, 200, { keys: [{ ...open, kid: "k-1" }] }));
    const clientKey = JSON.stringify({ ...jwk, kid: "k-1", ...(named === undefined ? {} : { alg: named }) });
    const { form } = await requestBy({ clientSecret: undefined, clientKey });
    const keys = createRemoteJWKSet(new URL(`${server.origin}/client-jwks`));
    const { protectedHeader } = await jwtVerify(form.get("client_assertion") ?? "", keys);
    expect(protectedHeader).toMatchObject({ alg, kid: "k-1" });
  });

  it("is for the token endpoint by setting", async () => {
    const { form } = await requestBy({ ...withoutSecret, clientKeyId: "k-2", clientAssertionAudience: "token_endpoint" });
    const [header, payload] = (form.get("client_assertion") ?? "").split(".").map((part) => Buffer.from(part, "base64url").toString());
    expect(JSON.parse(header ?? "")).toMatchObject({ kid: "k-2" });
    expect(JSON.parse(payload ?? "")).toMatchObject({ aud: `${server.origin}/token` });
  });

  it("is dated by the authorization server's clock when this one is wrong", async () => {
    const clock = new HeldClock();
    clock.offsetMs = 3_600_000;
    await adapterFor(server, withoutSecret, clock).refresh(refreshRequest());
    const payload = (server.to("/token")[0]?.form.get("client_assertion") ?? "").split(".")[1] ?? "";
    const { iat, exp } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { iat: number; exp: number };
    expect(Math.abs(iat - Date.now() / 1000)).toBeLessThan(30);
    expect(exp).toBeGreaterThan(Date.now() / 1000);
  });

  it.each([
    ["text that is no key", "hunter2", "is no private key: give PEM (PKCS #8, without a passphrase) or a JWK"],
    ["a public key", rsa.publicKey.export({ type: "spki", format: "pem" }).toString(), "is no private key"],
    [
      "a key that cannot sign",
      generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      "is of a kind that cannot sign here",
    ],
  ])("refuses %s at the start, and does not show it", (_name, clientKey, words) => {
    const [problem, ...others] = settingsProblems(settingsFor(server, { clientSecret: undefined, clientKey }));
    expect(others).toEqual([]);
    expect(problem).toContain(`authorizationServers.main.clientKey ${words}`);
    expect(problem).not.toContain(clientKey);
  });

  it("needs the key", () => {
    expect(settingsProblems(settingsFor(server, { clientAuthentication: "private_key_jwt" }))).toEqual([
      "authorizationServers.main.clientAuthentication is private_key_jwt, but authorizationServers.main.clientKey is missing",
    ]);
  });
});

describe("what a refresh says beyond the refresh token", () => {
  const target = { resource: "https://api.example", scopes: ["read"] };

  it.each([
    ["resource and scope", {}, { resource: "https://api.example", scope: "read" }],
    ["no resource at servers that want it at the login alone", { resourceParameter: "login" as const }, { scope: "read" }],
    ["no resource at servers that know none", { resourceParameter: "never" as const }, { scope: "read" }],
    ["no scope at servers that refuse it", { refreshScope: "omit" as const }, { resource: "https://api.example" }],
  ])("is %s", async (_name, changes, said) => {
    await adapterFor(server, { resource: "https://login.example", ...changes }).refresh(refreshRequest({ target }));
    const { grant_type: _type, refresh_token: _token, ...rest } = Object.fromEntries(server.to("/token")[0]?.form ?? []);
    expect(rest).toEqual(said);
  });

  it.each([
    ["always", "https://api.example"],
    ["login", "https://api.example"],
    ["never", null],
  ] as const)("a login sends the resource with resourceParameter %s as %s", async (resourceParameter, sent) => {
    const redirectUri = "http://127.0.0.1:8420/login/callback";
    const adapter = adapterFor(server, { resource: "https://api.example", resourceParameter });
    const { url, ...kept } = await adapter.beginLogin("main", { redirectUri });
    expect(new URL(url).searchParams.get("resource")).toBe(sent);
    const callbackUrl = new URL(`${redirectUri}?code=c-1&state=${kept.state}`);
    await adapter.completeLogin("main", { callbackUrl, redirectUri, ...kept }).catch(() => undefined);
    expect(server.to("/token")[0]?.form.get("resource")).toBe(sent);
  });
});
