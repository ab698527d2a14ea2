import { exportJWK, generateKeyPair } from "jose";
import * as client from "openid-client";
import { describe, expect, test } from "vitest";
import type { ClientAuthentication } from "../../src/testing/options.ts";
import { faultServer, get, post, refresh } from "./plain-client.ts";

const redirectUri = "http://127.0.0.1/callback";

describe("openid-client signs in with code, PKCE and nonce, refreshes, introspects and revokes, as a client with", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const secret = "se%cr+t:1 2";
  test.each<[string, ClientAuthentication, client.ClientAuth]>([
    ["none", { method: "none" }, client.None()],
    ["basic, percent-encoded", { method: "client_secret_basic", secret, encoding: "percent" }, client.ClientSecretBasic(secret)],
    ["basic, either way", { method: "client_secret_basic", secret }, client.ClientSecretBasic(secret)],
    ["post", { method: "client_secret_post", secret }, client.ClientSecretPost(secret)],
    ["private_key_jwt", { method: "private_key_jwt", keys: [await exportJWK(publicKey)] }, client.PrivateKeyJwt(privateKey)],
  ])("%s", async (_name, authentication, way) => {
    const server = await faultServer({ clients: [{ clientId: "app_1", authentication }], issuerPath: "/realms/one" });
    const configuration = await client.discovery(new URL(server.issuer), "app_1", undefined, way, {
      execute: [client.allowInsecureRequests],
    });
    const verifier = client.randomPKCECodeVerifier();
    const url = client.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: "openid offline_access",
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state: "state-1",
      nonce: "nonce-1",
      login_hint: "bob",
    });
    const location = (await get(url.href)).headers.get("location") ?? "";
    const tokens = await client.authorizationCodeGrant(configuration, new URL(location), {
      pkceCodeVerifier: verifier,
      expectedState: "state-1",
      expectedNonce: "nonce-1",
    });
    expect(tokens.claims()).toMatchObject({ iss: server.issuer, sub: "bob", aud: "app_1", nonce: "nonce-1", sid: "sid-1" });
    expect(await client.fetchUserInfo(configuration, tokens.access_token, "bob")).toMatchObject({ sub: "bob" });
    const refreshed = await client.refreshTokenGrant(configuration, tokens.refresh_token ?? "");
    expect(refreshed.claims()).toMatchObject({ sub: "bob" });
    expect(await client.tokenIntrospection(configuration, refreshed.refresh_token ?? "")).toMatchObject({ active: true, sub: "bob" });
    await client.tokenRevocation(configuration, refreshed.refresh_token ?? "");
    expect(await client.tokenIntrospection(configuration, refreshed.refresh_token ?? "")).toEqual({ active: false });
    expect(server.ledger.revocations).toMatchObject([{ kind: "refresh_token", family: "family-1", generation: 1, effective: true }]);
    expect(server.ledger.introspections.map(({ active }) => active)).toEqual([true, false]);
    expect(server.ledger.families).toMatchObject([{ subject: "bob", clientId: "app_1", generation: 1, ended: "revoked" }]);
  });
});

describe("a client is believed only as it is registered: ", () => {
  const grant = { grant_type: "refresh_token", refresh_token: "rt" };
  const basic = (text: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });
  test.each<[string, ClientAuthentication, Record<string, string>, Record<string, string>, string]>([
    ["no secret", { method: "client_secret_post", secret: "a" }, { client_id: "client" }, {}, "invalid_client"],
    ["a wrong one", { method: "client_secret_basic", secret: "a" }, {}, basic("client:b"), "invalid_client"],
    ["post for basic", { method: "client_secret_basic", secret: "a" }, { client_id: "client", client_secret: "a" }, {}, "invalid_client"],
    ["raw for encoded", { method: "client_secret_basic", secret: "a%41", encoding: "percent" }, {}, basic("client:a%41"), "invalid_client"],
    ["encoded for raw", { method: "client_secret_basic", secret: "a b", encoding: "raw" }, {}, basic("client:a+b"), "invalid_client"],
    ["raw as registered", { method: "client_secret_basic", secret: "a b", encoding: "raw" }, {}, basic("client:a b"), "invalid_grant"],
    ["a broken assertion", { method: "private_key_jwt", keys: [] }, { client_assertion: "a.b.c" }, {}, "invalid_client"],
    ["a stranger", { method: "none" }, { client_id: "stranger" }, {}, "invalid_client"],
  ])("%s", async (_name, authentication, form, headers, error) => {
    const server = await faultServer({ clients: [{ clientId: "client", authentication }] });
    expect((await post(`${server.issuer}/token`, { ...grant, ...form }, headers)).json).toEqual({ error });
  });
});

describe("the code", () => {
  const authorize = async (server: { readonly issuer: string }, more: Record<string, string> = {}): Promise<URL> => {
    const query = new URLSearchParams({ response_type: "code", client_id: "client", redirect_uri: redirectUri, scope: "openid", ...more });
    return new URL((await get(`${server.issuer}/authorize?${query}`)).headers.get("location") ?? "none:");
  };
  const exchange = (server: { readonly issuer: string }, code: string | null, more: Record<string, string> = {}) =>
    post(`${server.issuer}/token`, {
      grant_type: "authorization_code",
      client_id: "client",
      redirect_uri: redirectUri,
      code: code ?? "",
      ...more,
    });

  test("is good once; the second exchange ends what the first one gave", async () => {
    const server = await faultServer({ user: "carol" });
    const code = (await authorize(server)).searchParams.get("code");
    expect((await exchange(server, code)).status).toBe(200);
    expect((await exchange(server, code)).json).toEqual({ error: "invalid_grant" });
    expect(server.ledger.families).toMatchObject([{ subject: "carol", ended: "code_reuse" }]);
  });

  test("needs its verifier and its redirect URI", async () => {
    const server = await faultServer();
    const code = (await authorize(server, { code_challenge: "x", code_challenge_method: "S256" })).searchParams.get("code");
    expect((await exchange(server, code, { code_verifier: "y" })).json).toEqual({ error: "invalid_grant" });
    const plain = (await authorize(server)).searchParams.get("code");
    expect((await exchange(server, plain, { redirect_uri: "http://127.0.0.1/other" })).json).toEqual({ error: "invalid_grant" });
  });

  test("is not sent to an address that is not the client's, and errors go to the client", async () => {
    const server = await faultServer({ clients: [{ clientId: "client", redirectUris: [redirectUri] }] });
    expect((await authorize(server, { redirect_uri: "http://evil.example/" })).href).toBe("none:");
    expect((await authorize(server, { response_type: "token" })).searchParams.get("error")).toBe("unsupported_response_type");
  });
});

test("the end of the session ends its logins, and leads back", async () => {
  const server = await faultServer();
  const { idToken, refreshToken } = await server.issue({ subject: "alice", sid: "shared" });
  await server.issue({ subject: "alice", sid: "shared" });
  await server.issue({ subject: "alice" });
  const query = new URLSearchParams({ id_token_hint: idToken, post_logout_redirect_uri: "http://127.0.0.1/out", state: "s" });
  expect((await get(`${server.issuer}/end-session?${query}`)).headers.get("location")).toBe("http://127.0.0.1/out?state=s");
  expect(server.ledger.families.map(({ ended }) => ended)).toEqual(["end_session", "end_session", undefined]);
  expect((await refresh(server, refreshToken)).json).toEqual({ error: "invalid_grant" });
});

test("with a seed tokens are the same in every run, and the ledger shows them only when asked", async () => {
  const [first, second] = [await faultServer({ seed: 5 }), await faultServer({ seed: 5, tokensInLedger: true })];
  const logins = [await first.issue({ subject: "alice" }), await second.issue({ subject: "alice" })];
  expect(logins[0]?.refreshToken).toBe(logins[1]?.refreshToken);
  const token = logins[0]?.refreshToken ?? "";
  await refresh(first, token);
  await refresh(second, token);
  expect(JSON.stringify(first.ledger.refreshes)).not.toContain(token);
  expect(second.ledger.refreshes[0]?.refreshToken).toBe(token);
});
