import { generateKeyPairSync } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type ClientMetadata, Provider } from "oidc-provider";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DemoAuthorizationServer, startDemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { signInByForm } from "../../src/demo/scripted-browser.ts";
import type { AuthorizationServers } from "../../src/oidc/authorization-servers.ts";
import type { AuthorizationServerSettings } from "../../src/oidc/settings.ts";
import type { RefreshToken } from "../../src/session/login-session.ts";
import type { RawReply, VerifiedLogin } from "../../src/token/ports.ts";
import { adapterFor, refreshRequest } from "./fixtures.ts";

const redirectUri = "http://127.0.0.1:8420/login/callback";
let server: DemoAuthorizationServer;
let adapter: AuthorizationServers;

beforeAll(async () => {
  server = await startDemoAuthorizationServer({ redirectUris: [redirectUri] });
  adapter = adapterFor(server, {
    clientId: server.clientId,
    clientSecret: server.clientSecret,
    scopes: ["openid", "profile", "email", "offline_access"],
  });
});
afterAll(() => server.close());

async function signIn(user: string): Promise<VerifiedLogin> {
  const begun = await adapter.beginLogin("main", { redirectUri });
  const callbackUrl = await signInByForm(begun.url, user);
  return await adapter.completeLogin("main", { ...begun, callbackUrl, redirectUri });
}

async function refresh(refreshToken: RefreshToken): Promise<RawReply> {
  const outcome = await adapter.refresh(refreshRequest({ refreshToken }));
  if (outcome.kind !== "rotated") throw new Error(outcome.kind);
  return outcome.reply;
}

function refreshTokenOf(login: VerifiedLogin): RefreshToken {
  if (login.tokens.refreshToken === undefined) throw new Error("no refresh token");
  return login.tokens.refreshToken;
}

describe("against a strict authorization server (oidc-provider)", () => {
  it("signs in, refreshes, finds reuse punished, and sees the family dead", async () => {
    const login = await signIn("alice");
    expect(login).toMatchObject({ principal: { issuer: server.issuer, clientId: server.clientId }, tokens: { expiresInSeconds: 30 } });
    const first = refreshTokenOf(login);
    const verification = await adapter.verify("main", login.principal, await refresh(first));
    if (verification.kind !== "verified") throw new Error(verification.kind);
    const second = verification.tokens.refreshToken;
    if (second === undefined) throw new Error("not rotated");
    expect(second).not.toBe(first);
    // The reuse of the first ends the family, the second included.
    expect((await adapter.refresh(refreshRequest({ refreshToken: first }))).kind).toBe("grant_dead");
    expect((await adapter.refresh(refreshRequest({ refreshToken: second }))).kind).toBe("grant_dead");
  });

  it("finds another user's reply out (I7)", async () => {
    const [alice, bob] = [await signIn("alice"), await signIn("bob")];
    const verification = await adapter.verify("main", alice.principal, await refresh(refreshTokenOf(bob)));
    expect(verification.kind).toBe("identity_mismatch");
  });

  it("introspects a current refresh token as active and a revoked one as inactive (R7)", async () => {
    const token = refreshTokenOf(await signIn("carol"));
    expect(await adapter.introspect("main", token)).toMatchObject({ kind: "active", expiresAt: expect.any(Number) });
    expect(await adapter.revoke("main", { kind: "refresh_token", token })).toEqual({ kind: "revoked" });
    expect(await adapter.introspect("main", token)).toEqual({ kind: "inactive" });
    expect(await adapter.revoke("main", { kind: "refresh_token", token })).toEqual({ kind: "revoked" });
  });

  it("signs in again right after a logout, and the new login lives (S3)", async () => {
    await adapter.revoke("main", { kind: "refresh_token", token: refreshTokenOf(await signIn("dave")) });
    const again = await signIn("dave");
    expect((await adapter.verify("main", again.principal, await refresh(refreshTokenOf(again)))).kind).toBe("verified");
  });

  it("checks an import and identifies its refresh", async () => {
    const tokens = await server.signIn("erin");
    const checked = await adapter.checkImport({ idToken: tokens.idToken });
    if (checked.kind !== "ok") throw new Error(checked.kind);
    const reply = await refresh(tokens.refreshToken as RefreshToken);
    expect((await adapter.identify("main", checked.principal, reply)).kind).toBe("verified");
    const other = await refresh((await server.signIn("frank")).refreshToken as RefreshToken);
    expect((await adapter.identify("main", checked.principal, other)).kind).toBe("identity_mismatch");
  });

  it("has a code accepted once, and a wrong secret told as such (F16)", async () => {
    const begun = await adapter.beginLogin("main", { redirectUri });
    const callbackUrl = await signInByForm(begun.url, "grace");
    await adapter.completeLogin("main", { ...begun, callbackUrl, redirectUri });
    await expect(adapter.completeLogin("main", { ...begun, callbackUrl, redirectUri })).rejects.toMatchObject({ code: "login_failed" });
    const wrong = adapterFor(server, { clientId: server.clientId, clientSecret: "wrong" });
    expect((await wrong.refresh(refreshRequest())).kind).toBe("client_broken");
    expect((await adapter.refresh(refreshRequest({ refreshToken: "unknown" as RefreshToken }))).kind).toBe("grant_dead");
  });
});

describe("how a client proves itself to a strict authorization server (oidc-provider)", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = (key: typeof rsa.privateKey): string => key.export({ type: "pkcs8", format: "pem" }).toString();
  const odd = "a b+c%d&e=f:g/~!";
  const client = (client_id: string, metadata: Partial<ClientMetadata>): ClientMetadata => ({
    client_id,
    redirect_uris: ["https://latchkey.example/login/callback"],
    grant_types: ["authorization_code", "refresh_token"],
    id_token_signed_response_alg: "ES256",
    ...metadata,
  });
  const keyed = (key: typeof rsa.publicKey, alg: "RS256" | "PS256" | "ES256"): Partial<ClientMetadata> => ({
    token_endpoint_auth_method: "private_key_jwt",
    token_endpoint_auth_signing_alg: alg,
    jwks: { keys: [{ ...key.export({ format: "jwk" }), alg, use: "sig", kid: "k" } as never] },
  });
  let http: Server;
  let issuer: string;

  beforeAll(async () => {
    http = createServer();
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const provider = new Provider(issuer, {
      clients: [
        client("basic", { client_secret: odd, token_endpoint_auth_method: "client_secret_basic" }),
        client("plus", { client_secret: "a+b", token_endpoint_auth_method: "client_secret_basic" }),
        client("post", { client_secret: odd, token_endpoint_auth_method: "client_secret_post" }),
        client("public", { token_endpoint_auth_method: "none" }),
        client("rs256", keyed(rsa.publicKey, "RS256")),
        client("ps256", keyed(rsa.publicKey, "PS256")),
        client("es256", keyed(ec.publicKey, "ES256")),
      ],
      jwks: { keys: [{ ...ec.privateKey.export({ format: "jwk" }), alg: "ES256", use: "sig", kid: "s" } as never] },
      enabledJWA: { clientAuthSigningAlgValues: ["RS256", "PS256", "ES256"] },
      cookies: { keys: ["a-key-of-this-test"] },
      features: { devInteractions: { enabled: false } },
    });
    http.on("request", provider.callback());
  });
  afterAll(() => {
    http.closeAllConnections();
    http.close();
  });

  it.each<[string, Partial<AuthorizationServerSettings>]>([
    ["basic with a secret of every kind of character", { clientId: "basic", clientSecret: odd }],
    ["post", { clientId: "post", clientSecret: odd, clientAuthentication: "client_secret_post" }],
    ["nothing", { clientId: "public", clientSecret: undefined }],
    ["an RSA key", { clientId: "rs256", clientSecret: undefined, clientKey: pem(rsa.privateKey) }],
    [
      "an RSA key with PSS",
      { clientId: "ps256", clientKey: JSON.stringify({ ...rsa.privateKey.export({ format: "jwk" }), alg: "PS256" }) },
    ],
    ["an elliptic key", { clientId: "es256", clientSecret: undefined, clientKey: pem(ec.privateKey), clientKeyId: "k" }],
    [
      "a key, in an assertion for the token endpoint",
      { clientId: "rs256", clientKey: pem(rsa.privateKey), clientAssertionAudience: "token_endpoint" },
    ],
  ])("by %s: it hears about the refresh token, and not about the client", async (_name, changes) => {
    expect((await adapterFor({ issuer }, changes).refresh(refreshRequest())).kind).toBe("grant_dead");
  });

  it.each<[string, Partial<AuthorizationServerSettings>]>([
    ["a secret that is not encoded where it should be", { clientId: "plus", clientSecret: "a+b", clientSecretEncoding: "raw" }],
    ["another key", { clientId: "es256", clientKey: pem(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey) }],
  ])("by %s: the client is told apart from the login (F16)", async (_name, changes) => {
    expect((await adapterFor({ issuer }, changes).refresh(refreshRequest())).kind).toBe("client_broken");
  });
});
