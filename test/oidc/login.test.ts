import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LatchkeyError } from "../../src/errors.ts";
import { AuthorizationServers } from "../../src/oidc/authorization-servers.ts";
import type { BegunLogin } from "../../src/oidc/login-request.ts";
import type { AuthorizationServerSettings } from "../../src/oidc/settings.ts";
import { newSigningKey, ScriptedAuthorizationServer, sendJson, sendText } from "../support/scripted-authorization-server.ts";
import { adapterFor, recordingServices, settingsFor, tokenBody } from "./fixtures.ts";

const redirectUri = "https://latchkey.example/login/callback";

let server: ScriptedAuthorizationServer;
beforeEach(async () => {
  server = await ScriptedAuthorizationServer.start();
  server.on("/revoke", (_request, response) => sendText(response, 200, ""));
});
afterEach(() => server.close());

async function authorizationRequest(
  changes: Partial<AuthorizationServerSettings> = {},
  request: { prompt?: string; loginHint?: string } = {},
) {
  const begun = await adapterFor(server, changes).beginLogin("main", { redirectUri, ...request });
  return { begun, url: new URL(begun.url), parameters: Object.fromEntries(new URL(begun.url).searchParams) };
}

describe("a login that begins", () => {
  it("asks with code, PKCE S256, state and nonce (RFC 7636)", async () => {
    const { begun, url, parameters } = await authorizationRequest();
    expect(url.href.startsWith(`${server.issuer}/authorize?`)).toBe(true);
    expect(parameters).toEqual({
      client_id: "client-1",
      response_type: "code",
      redirect_uri: redirectUri,
      scope: "openid profile offline_access",
      prompt: "consent",
      state: begun.state,
      nonce: begun.nonce,
      code_challenge: createHash("sha256").update(begun.codeVerifier).digest("base64url"),
      code_challenge_method: "S256",
    });
  });

  it("never uses a state, nonce or verifier twice (B7)", async () => {
    const [one, two] = await Promise.all([authorizationRequest(), authorizationRequest()]);
    const values = [one.begun, two.begun].flatMap(({ state, nonce, codeVerifier }) => [state, nonce, codeVerifier]);
    expect(new Set(values).size).toBe(6);
  });

  it("keeps what the address of the endpoint has already, and lets no extra parameter replace its own", async () => {
    server.document = { authorization_endpoint: `${server.origin}/authorize?policy=b2c` };
    const extraAuthorizationParameters = { audience: "api", state: "fixed", code_challenge_method: "plain" };
    const { begun, parameters } = await authorizationRequest({ extraAuthorizationParameters, resource: "https://api.example" });
    expect(parameters).toMatchObject({
      policy: "b2c",
      audience: "api",
      resource: "https://api.example",
      state: begun.state,
      code_challenge_method: "S256",
    });
  });

  it.each([
    [{}, {}, "consent"],
    [{}, { prompt: "select_account" }, "select_account consent"],
    [{}, { prompt: "none" }, "none"],
    [{ prompt: "" }, {}, undefined],
    [{ prompt: "login" }, { prompt: "login" }, "login"],
    [{ scopes: ["profile"] }, {}, undefined],
  ])("with settings %j and request %j has the prompt %s", async (changes, request, prompt) => {
    expect((await authorizationRequest(changes, request)).parameters["prompt"]).toBe(prompt);
  });

  it("asks for openid in any case, and hands on a login hint", async () => {
    const { parameters } = await authorizationRequest({ scopes: ["profile"] }, { loginHint: "alice@example.com" });
    expect(parameters).toMatchObject({ scope: "openid profile", login_hint: "alice@example.com" });
  });
});

interface Return {
  readonly claims?: Record<string, unknown>;
  readonly reply?: Record<string, unknown>;
  readonly parameters?: Record<string, string>;
  readonly changes?: Partial<AuthorizationServerSettings>;
  readonly key?: typeof server.key;
}

/** Signs in and comes back; the token endpoint answers with an ID token of these claims, changed by `reply`. */
async function comeBack({ claims = {}, reply = {}, parameters = {}, changes = {}, key }: Return = {}) {
  const recording = recordingServices();
  const adapter = new AuthorizationServers([settingsFor(server, changes)], recording.services);
  const begun = await adapter.beginLogin("main", { redirectUri });
  const idToken = await server.idToken({ nonce: begun.nonce, ...claims }, key === undefined ? {} : { key });
  if (!hasTokenHandler) server.onToken({ ...tokenBody, id_token: idToken, ...reply });
  return { recording, adapter, begun, result: complete(adapter, begun, parameters) };
}
let hasTokenHandler = false;
beforeEach(() => {
  hasTokenHandler = false;
});

function complete(adapter: AuthorizationServers, begun: BegunLogin, parameters: Record<string, string> = {}) {
  const callbackUrl = new URL("http://10.0.0.7:8420/login/callback");
  callbackUrl.search = new URLSearchParams({ code: "canary-code", state: begun.state, ...parameters }).toString();
  return adapter.completeLogin("main", { ...begun, callbackUrl, redirectUri });
}

async function refusalOf(back: Return): Promise<{ readonly error: LatchkeyError; readonly lines: string }> {
  const { result, recording, begun } = await comeBack(back);
  const error = await result.then(
    () => Promise.reject(new Error("it was accepted")),
    (thrown: LatchkeyError) => thrown,
  );
  expect(recording.events).toContainEqual(
    expect.objectContaining({ event: "login_refused", authorizationServer: "main", code: error.code }),
  );
  const lines = JSON.stringify([recording.lines, recording.events, error.message, error.details, error.stack]);
  for (const secret of ["canary", "rt-2", "at-2", begun.codeVerifier, begun.nonce]) expect(lines).not.toContain(secret);
  return { error, lines };
}

describe("a login that comes back", () => {
  it("changes the code with the verifier and gives principal, profile and tokens", async () => {
    const { begun, result } = await comeBack({
      claims: { sid: "sid-1", name: "Alice", email: "alice@example.com" },
      reply: { scope: "openid profile" },
    });
    expect(await result).toMatchObject({
      authorizationServer: "main",
      principal: { issuer: server.issuer, subject: "alice", clientId: "client-1", sid: "sid-1" },
      profile: { name: "Alice", email: "alice@example.com" },
      tokens: { accessToken: "at-2", refreshToken: "rt-2", expiresInSeconds: 30, grantedScopes: ["openid", "profile"] },
    });
    expect(Object.fromEntries(server.to("/token")[0]?.form ?? [])).toEqual({
      grant_type: "authorization_code",
      code: "canary-code",
      redirect_uri: redirectUri,
      code_verifier: begun.codeVerifier,
    });
    expect(server.to("/userinfo")).toHaveLength(0);
  });

  it("belongs to one grant with the user's other logins where the settings say so (F23)", async () => {
    const principals = [];
    for (const sid of ["sid-1", "sid-2", undefined])
      principals.push((await (await comeBack({ claims: { sid }, changes: { oneGrantPerUser: true } })).result).principal);
    expect(new Set(principals.map((principal) => principal.sid)).size).toBe(1);
    expect(principals[0]?.sid).toBeDefined();
    expect((await (await comeBack()).result).principal.sid).toBeUndefined();
  });

  it("asks userinfo for a name that the ID token lacks", async () => {
    server.on("/userinfo", (_request, response) => sendJson(response, 200, { sub: "alice", name: "Alice", email: "other@example.com" }));
    const { result } = await comeBack({ claims: { email: "alice@example.com" } });
    expect((await result).profile).toEqual({ name: "Alice", email: "alice@example.com" });
  });

  it.each([
    ["fails", 500, {}],
    ["is about somebody else", 200, { sub: "bob", name: "Bob" }],
  ])("does not fail because userinfo %s, and uses nothing of it", async (_name, code, body) => {
    server.on("/userinfo", (_request, response) => sendJson(response, code, body));
    const { result } = await comeBack();
    expect((await result).profile).toEqual({});
  });

  it("accepts the iss parameter of its own issuer (RFC 9207)", async () => {
    server.document = { authorization_response_iss_parameter_supported: true };
    const { result } = await comeBack({ parameters: { iss: server.issuer } });
    await expect(result).resolves.toMatchObject({ principal: { subject: "alice" } });
  });
});

describe("a redirect back that is refused, before anything is asked (F34)", () => {
  it.each([
    ["another state", { state: "other" }, "a state that does not belong to this sign-in"],
    ["the iss of another authorization server (RFC 9207)", { iss: "https://evil.example" }, "by another authorization server"],
    ["no code", { code: "" }, "parameters that do not make sense"],
  ])("with %s", async (_name, parameters, words) => {
    const { error } = await refusalOf({ parameters });
    expect(error.code).toBe("login_failed");
    expect(error.message).toContain(words);
    expect(server.to("/token")).toHaveLength(0);
  });

  it("without the iss parameter that discovery announces", async () => {
    server.document = { authorization_response_iss_parameter_supported: true };
    expect((await refusalOf({})).error.message).toContain("without the iss parameter");
  });

  it.each([
    ["access_denied", "login_failed", "was cancelled, or"],
    ["login_required", "login_failed", "wants to ask you something first"],
    ["invalid_scope", "login_failed", "Check authorizationServers.main.scopes."],
    ["unauthorized_client", "login_failed", "Check authorizationServers.main.clientId"],
    ["temporarily_unavailable", "authorization_server_unavailable", "could not do the sign-in"],
  ])("with the error %s, in words", async (code, latchkeyCode, words) => {
    const { error } = await refusalOf({ parameters: { error: code } });
    expect(error.code).toBe(latchkeyCode);
    expect(error.message).toContain(words);
    expect(error.message).toContain(code);
  });

  it("with a description that is kept short and plain", async () => {
    const description = `<script>alert("x")</script>\r\nSet-Cookie: a\u202e${"y".repeat(5_000)}`;
    const { error } = await refusalOf({ parameters: { error: "access_denied", error_description: description } });
    expect(error.message.length).toBeLessThan(450);
    expect(error.message).not.toMatch(/[<>"\r\n\u202e]/);
  });
});

describe("a login whose tokens are refused", () => {
  it.each([
    ["another nonce", { claims: { nonce: "other" } }, "its nonce is not the one of this sign-in"],
    ["no nonce", { claims: { nonce: undefined } }, "its nonce"],
    ["another audience", { claims: { aud: "client-2" } }, "it is not for the client client-1"],
    ["another issuer", { claims: { iss: "https://evil.example" } }, "it is from the issuer https://evil.example"],
    ["no subject", { claims: { sub: undefined } }, "it names no subject"],
    ["no ID token", { reply: { id_token: undefined } }, "gave no ID token"],
    ["a token type that cannot be presented", { reply: { token_type: "DPoP" } }, "of another type than bearer"],
    ["an expired ID token", { claims: { iat: 1_700_000_000, exp: 1_700_000_300 } }, "it expired"],
    [
      "a skewed clock",
      { claims: { iat: Math.floor(Date.now() / 1000) + 3600, exp: Math.floor(Date.now() / 1000) + 7200 } },
      "set the clock right",
    ],
  ])("fails with %s and revokes them (R17, F18)", async (_name, back, words) => {
    const { error } = await refusalOf(back);
    expect(error.code).toBe("login_failed");
    expect(error.message).toContain(words);
    await server.arrival("/revoke");
    while (server.to("/revoke").length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(
      server
        .to("/revoke")
        .map(({ form }) => form.get("token"))
        .sort(),
    ).toEqual(["at-2", "rt-2"]);
  });

  it("fails with a forged signature", async () => {
    const { error } = await refusalOf({ key: await newSigningKey("ES256", server.key.kid) });
    expect(error.message).toContain("its signature is wrong");
    await server.arrival("/revoke");
  });

  it.each([
    ["offline_access was asked for", {}, "needs the refresh_token grant"],
    ["it was not", { scopes: ["openid"] }, "Add offline_access to authorizationServers.main.scopes"],
  ])("fails without a refresh token, and says what to do when %s (F19)", async (_name, changes, words) => {
    const { error } = await refusalOf({ changes, reply: { refresh_token: undefined } });
    expect(error.code).toBe("login_failed");
    expect(error.message).toContain(words);
    expect(error.message).toContain("authorizationServers.main.prompt");
    expect((await server.arrival("/revoke")).form.get("token")).toBe("at-2");
  });

  it("is unavailable while the keys cannot be fetched, and revokes the tokens", async () => {
    server.on("/jwks", (_request, response) => sendText(response, 503, ""));
    const { error } = await refusalOf({});
    expect(error).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    await server.arrival("/revoke");
  });
});

describe("a code exchange that fails", () => {
  it.each([
    ["400 invalid_grant", 400, "invalid_grant", "login_failed", "has expired or was used before"],
    [
      "401 invalid_client",
      401,
      "invalid_client",
      "login_failed",
      "Check clientId, clientSecret (or clientKey) and clientAuthentication of authorizationServers.main.",
    ],
    ["another refusal", 400, "invalid_target", "login_failed", "invalid_target"],
    ["an error with 200", 200, "invalid_grant", "login_failed", "has expired or was used before"],
    ["503", 503, "x", "authorization_server_unavailable", "answered 503"],
  ])("with %s", async (_name, status, code, latchkeyCode, words) => {
    hasTokenHandler = true;
    server.on("/token", (_request, response) => sendJson(response, status, { error: code, error_description: "canary" }));
    const { error } = await refusalOf({});
    expect(error.code).toBe(latchkeyCode);
    expect(error.message).toContain(words);
  });

  it("with a closed connection or HTML: unavailable", async () => {
    hasTokenHandler = true;
    server.on("/token", (_request, response) => response.socket?.destroy());
    expect((await refusalOf({})).error.code).toBe("authorization_server_unavailable");
    server.on("/token", (_request, response) => sendText(response, 200, "<html>"));
    expect((await refusalOf({})).error.code).toBe("authorization_server_unavailable");
  });
});

describe("RP-initiated logout", () => {
  const postLogoutRedirectUri = "https://latchkey.example/";

  it("has an address with client, hint and return", async () => {
    const url = await adapterFor(server).endSessionUrl("main", { idToken: "id-1", postLogoutRedirectUri, state: "s" });
    expect(url?.startsWith(`${server.origin}/end-session?`)).toBe(true);
    expect(Object.fromEntries(new URL(url ?? "").searchParams)).toEqual({
      client_id: "client-1",
      id_token_hint: "id-1",
      post_logout_redirect_uri: postLogoutRedirectUri,
      state: "s",
    });
  });

  it("has none without an endpoint, and none while discovery fails: the logout here is done", async () => {
    const request = { idToken: undefined, postLogoutRedirectUri };
    server.document = { end_session_endpoint: undefined };
    expect(await adapterFor(server).endSessionUrl("main", request)).toBeUndefined();
    server.on("/.well-known/openid-configuration", (_request, response) => sendText(response, 503, ""));
    expect(await adapterFor(server).endSessionUrl("main", request)).toBeUndefined();
  });
});
