import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type DemoAuthorizationServer, startDemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { ScriptedBrowser, signInByForm } from "../../src/demo/scripted-browser.ts";
import { claims, PlainClient, read, redirectUri } from "./plain-client.ts";

const apiUrl = "http://127.0.0.1:8422";
const consoleMethods = ["log", "info", "warn", "error", "debug"] as const;
const spies = consoleMethods.map((name) => vi.spyOn(console, name));
const postLogoutRedirectUri = "http://127.0.0.1:8420/";

let server: DemoAuthorizationServer;
let client: PlainClient;

beforeAll(async () => {
  server = await startDemoAuthorizationServer({ apiUrl, redirectUris: [redirectUri], postLogoutRedirectUris: [postLogoutRedirectUri] });
  client = new PlainClient(server);
});

afterAll(async () => {
  await server.close();
  // stdout is the wire of the stdio transport.
  for (const spy of spies) expect(spy).not.toHaveBeenCalled();
});

function eventsOf(user: string): readonly string[] {
  return server.events().flatMap((event) => (event.user === user ? `${event.kind} ${event.generation}` : []));
}

describe("a login", () => {
  test("gives an ID token about the user, an access token for the API and a refresh token", async () => {
    const { status, body } = await client.login("carol");
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: "Bearer", expires_in: 30, scope: "openid profile email" });
    expect(body.refresh_token).toEqual(expect.any(String));
    const keys = createRemoteJWKSet(new URL(`${server.issuer}/jwks`));
    const { payload } = await jwtVerify(String(body.id_token), keys, { issuer: server.issuer, audience: server.clientId });
    expect(payload).toMatchObject({ sub: "carol", name: "Carol", email: "carol@example.test", nonce: "the-nonce" });
    expect(payload.sid).toEqual(expect.any(String));
    const access = await jwtVerify(String(body.access_token), keys, { issuer: server.issuer, audience: apiUrl, typ: "at+jwt" });
    expect(access.payload.sub).toBe("carol");
  });

  test("gives a refresh token with offline_access and prompt=consent too", async () => {
    const { body } = await client.login("carol", { scope: "openid offline_access", parameters: { prompt: "consent" } });
    expect(body.refresh_token).toEqual(expect.any(String));
    expect(body.scope).toBe("openid offline_access");
  });

  test("carries state and issuer back", async () => {
    const callback = await signInByForm(client.authorization().url, "carol");
    expect(callback.href.startsWith(`${redirectUri}?`)).toBe(true);
    expect(callback.searchParams.get("state")).toBe("the-state");
    expect(callback.searchParams.get("iss")).toBe(server.issuer);
  });

  test("is refused without PKCE, with another code verifier, and at an unknown redirect URI", async () => {
    const bare = new URL(client.authorization().url);
    bare.searchParams.delete("code_challenge");
    bare.searchParams.delete("code_challenge_method");
    expect((await signInByForm(bare.href, "carol")).searchParams.get("error")).toBe("invalid_request");
    const callback = await signInByForm(client.authorization().url, "carol");
    expect(await client.exchange(callback, "x".repeat(43))).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    const elsewhere = client.authorization({ parameters: { redirect_uri: "http://127.0.0.1:9/elsewhere" } });
    expect((await fetch(elsewhere.url, { redirect: "manual" })).status).toBe(400);
  });

  test("needs the client's secret, in the header or in the body", async () => {
    const { body } = await client.login("carol");
    const ask = async (secret: string) =>
      read(
        await fetch(`${server.issuer}/token`, {
          method: "POST",
          body: new URLSearchParams({
            grant_type: "refresh_token",
            refresh_token: String(body.refresh_token),
            client_id: server.clientId,
            client_secret: secret,
          }),
        }),
      );
    expect(await ask("wrong")).toMatchObject({ status: 401, body: { error: "invalid_client" } });
    expect((await ask(server.clientSecret)).status).toBe(200);
  });

  test("asks for the name each time, in a browser that is signed in already; prompt=none finds nobody", async () => {
    const browser = new ScriptedBrowser(server.issuer);
    await client.login("carol", { browser });
    const again = await browser.get(client.authorization().url);
    expect(again).toMatchObject({ kind: "page", status: 200 });
    const silent = await browser.get(client.authorization({ parameters: { prompt: "none" } }).url);
    expect(silent.url.searchParams.get("error")).toBe("login_required");
  });

  test("of a second user in the same browser works at once, without a page about the first (S2)", async () => {
    const browser = new ScriptedBrowser(server.issuer);
    const carol = await client.login("carol", { browser });
    const dave = await client.login("dave", { browser, parameters: { prompt: "login" } });
    expect([claims(carol.body.id_token).sub, claims(dave.body.id_token).sub]).toEqual(["carol", "dave"]);
  });

  test("in two windows of one browser at the same time does not mix the users (F34)", async () => {
    const browser = new ScriptedBrowser(server.issuer);
    const one = client.authorization();
    const other = client.authorization();
    const formOne = await browser.get(one.url);
    const formOther = await browser.get(other.url);
    const doneOther = await browser.submit(formOther.url, { name: "dave", password: "dave" });
    const doneOne = await browser.submit(formOne.url, { name: "carol", password: "carol" });
    const carol = await client.exchange(doneOne.url, one.verifier);
    const dave = await client.exchange(doneOther.url, other.verifier);
    expect([claims(carol.body.id_token).sub, claims(dave.body.id_token).sub]).toEqual(["carol", "dave"]);
  });

  test("is offered to programs on this machine at any port, without a secret", async () => {
    const native = "http://127.0.0.1:54321/callback";
    const { url, verifier } = client.authorization({ parameters: { client_id: server.nativeClientId, redirect_uri: native } });
    const callback = await signInByForm(url, "erin");
    expect(callback.origin).toBe("http://127.0.0.1:54321");
    const code = callback.searchParams.get("code") ?? "";
    const fields = {
      grant_type: "authorization_code",
      code,
      code_verifier: verifier,
      redirect_uri: native,
      client_id: server.nativeClientId,
    };
    const reply = await read(await fetch(`${server.issuer}/token`, { method: "POST", body: new URLSearchParams(fields) }));
    expect(reply.status).toBe(200);
    expect(reply.body.refresh_token).toEqual(expect.any(String));
  });

  test("can be had in one call", async () => {
    const tokens = await server.signIn("frank");
    expect(claims(tokens.idToken).sub).toBe("frank");
    expect((await client.refresh(tokens.refreshToken)).status).toBe(200);
  });
});

describe("a refresh", () => {
  test("rotates each time and brings a new ID token", async () => {
    const first = await client.login("grace");
    const second = await client.refresh(first.body.refresh_token);
    const third = await client.refresh(second.body.refresh_token);
    expect([second.status, third.status]).toEqual([200, 200]);
    expect(new Set([first, second, third].map(({ body }) => body.refresh_token)).size).toBe(3);
    expect(claims(third.body.id_token)).toMatchObject({ sub: "grace", name: "Grace", sid: claims(first.body.id_token).sid });
    expect(claims(third.body.access_token)).toMatchObject({ sub: "grace", aud: apiUrl });
    expect(eventsOf("grace")).toEqual(["issued 1", "refreshed 2", "refreshed 3"]);
  });

  test("with a used token ends its own family and no other, and is told each time", async () => {
    const used = await client.login("heidi");
    const other = await client.login("heidi");
    const newest = await client.refresh(used.body.refresh_token);
    expect(await client.refresh(used.body.refresh_token)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    expect(await client.refresh(newest.body.refresh_token)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    expect(await client.refresh(used.body.refresh_token)).toMatchObject({ status: 400 });
    expect((await client.refresh(other.body.refresh_token)).status).toBe(200);
    expect(eventsOf("heidi")).toEqual(["issued 1", "issued 1", "refreshed 2", "reuse 1", "revoked 2", "reuse 1", "refreshed 2"]);
  });

  test("sent many times at once succeeds once at most, and the family ends", async () => {
    const { body } = await client.login("ivan");
    const replies = await Promise.all(Array.from({ length: 8 }, () => client.refresh(body.refresh_token)));
    const winners = replies.filter(({ status }) => status === 200);
    expect(winners).toHaveLength(1);
    expect(replies.filter(({ body }) => body.error === "invalid_grant")).toHaveLength(7);
    expect((await client.refresh(winners[0]?.body.refresh_token)).status).toBe(400);
    const kinds = eventsOf("ivan").map((event) => event.split(" ")[0]);
    expect(kinds.filter((kind) => kind === "refreshed")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "reuse")).toHaveLength(7);
    expect(kinds.filter((kind) => kind === "revoked")).toHaveLength(1);
  });

  test("of a code that is used twice ends what it gave", async () => {
    const { url, verifier } = client.authorization();
    const callback = await signInByForm(url, "judy");
    const first = await client.exchange(callback, verifier);
    expect((await client.exchange(callback, verifier)).body.error).toBe("invalid_grant");
    expect((await client.refresh(first.body.refresh_token)).body.error).toBe("invalid_grant");
    expect(eventsOf("judy")).toEqual(["issued 1", "revoked 1"]);
  });
});

describe("a revocation", () => {
  test("ends one of two logins of one browser and leaves the other (B8)", async () => {
    const browser = new ScriptedBrowser(server.issuer);
    const one = await client.login("kim", { browser });
    const two = await client.login("kim", { browser });
    expect(claims(one.body.id_token).sid).not.toBe(claims(two.body.id_token).sid);
    expect((await client.revoke(one.body.refresh_token)).status).toBe(200);
    expect((await client.revoke(one.body.refresh_token)).status).toBe(200);
    expect((await client.refresh(one.body.refresh_token)).status).toBe(400);
    expect((await client.refresh(two.body.refresh_token)).status).toBe(200);
    expect(eventsOf("kim")).toEqual(["issued 1", "issued 1", "revoked 1", "refreshed 2"]);
  });
});

describe("an introspection", () => {
  test("tells whether a refresh token is good, harms nothing, and is told", async () => {
    const first = await client.login("leo");
    expect((await client.introspect(first.body.refresh_token)).body).toMatchObject({ active: true, sub: "leo" });
    const second = await client.refresh(first.body.refresh_token);
    expect((await client.introspect(first.body.refresh_token)).body).toEqual({ active: false });
    expect((await client.refresh(second.body.refresh_token)).status).toBe(200);
    const before = server.events().length;
    expect((await client.introspect("never-was-a-token")).body).toEqual({ active: false });
    expect(server.events(before)).toMatchObject([{ kind: "introspected", active: false }]);
    const told = server.events().filter(({ user, kind }) => user === "leo" && kind === "introspected");
    expect(told.map(({ active, generation }) => ({ active, generation }))).toEqual([
      { active: true, generation: 1 },
      { active: false, generation: 1 },
    ]);
  });

  test("knows nothing of another client's refresh token", async () => {
    const { body } = await client.login("mia");
    const fields = { token: String(body.refresh_token), client_id: server.nativeClientId };
    const reply = await read(await fetch(`${server.issuer}/token/introspection`, { method: "POST", body: new URLSearchParams(fields) }));
    expect(reply.body).toEqual({ active: false });
  });
});

describe("userinfo", () => {
  test("answers to the access token of the API, by its scopes", async () => {
    const { body } = await client.login("nina", { scope: "openid email" });
    const ask = (token: string) => fetch(`${server.issuer}/me`, { headers: { authorization: `Bearer ${token}` } });
    expect(await (await ask(String(body.access_token))).json()).toEqual({ sub: "nina", email: "nina@example.test" });
    const forged = `${String(body.access_token).slice(0, -8)}AAAAAAAA`;
    expect((await ask(forged)).status).toBe(401);
    expect((await ask(String(body.id_token))).status).toBe(401);
  });
});

describe("the device flow", () => {
  test("connects a device with a code that the user types and confirms", async () => {
    const post = async (path: string, fields: Record<string, string>) =>
      read(
        await fetch(server.issuer + path, {
          method: "POST",
          body: new URLSearchParams({ client_id: server.nativeClientId, ...fields }),
        }),
      );
    const device = await post("/device/auth", { scope: "openid profile" });
    const poll = () =>
      post("/token", { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: String(device.body.device_code) });
    expect((await poll()).body.error).toBe("authorization_pending");

    const browser = new ScriptedBrowser(server.issuer);
    await client.login("somebody-else", { browser });
    const ask = await browser.get(String(device.body.verification_uri));
    const submit = (xsrf: string, fields: Record<string, string>) => browser.submit(ask.url, { xsrf, ...fields });
    const wrong = await submit(xsrfOf(ask), { user_code: "WRNG-CODE" });
    expect(textOf(wrong)).toContain("There is no such code");
    const user_code = String(device.body.user_code);
    const confirm = await submit(xsrfOf(wrong), { user_code });
    expect(textOf(confirm)).toContain(user_code);
    const login = await submit(xsrfOf(confirm), { user_code, confirm: "yes" });
    const done = await browser.submit(login.url, { name: "olga", password: "olga" });
    expect(textOf(done)).toContain("Your device is connected");

    const reply = await poll();
    expect(reply.status).toBe(200);
    expect(claims(reply.body.id_token).sub).toBe("olga");
    expect(eventsOf("olga")).toEqual(["issued 1"]);
  });
});

describe("RP-initiated logout", () => {
  const logoutUrl = (parameters: Record<string, string>) => `${server.issuer}/session/end?${new URLSearchParams(parameters)}`;

  test("with an ID token goes back at once and asks nobody, the second time and after the revocation too", async () => {
    const browser = new ScriptedBrowser(server.issuer);
    const { body } = await client.login("paul", { browser });
    const url = logoutUrl({ id_token_hint: String(body.id_token), post_logout_redirect_uri: postLogoutRedirectUri, state: "bye" });
    for (let round = 0; round < 2; round++) {
      expect((await browser.get(url)).url.href).toBe(`${postLogoutRedirectUri}?state=bye`);
      await client.revoke(body.refresh_token);
    }
    const bare = await browser.get(logoutUrl({ id_token_hint: String(body.id_token) }));
    expect(textOf(bare)).toContain("You are signed out");
  });

  test("with an ID token ends the session of that login and no other of the browser", async () => {
    const browser = new ScriptedBrowser(server.issuer);
    const older = await client.login("paul", { browser });
    const newer = await client.login("quinn", { browser });
    const logout = (body: Readonly<Record<string, unknown>>) =>
      new ScriptedBrowser(server.issuer).get(logoutUrl({ id_token_hint: String(body.id_token) }));
    await browser.get(logoutUrl({ id_token_hint: String(older.body.id_token) }));
    expect(textOf(await browser.get(logoutUrl({})))).toContain("Sign out here?");
    await logout(newer.body);
    expect(textOf(await browser.get(logoutUrl({})))).not.toContain("Sign out here?");
  });

  test("without one asks first", async () => {
    const browser = new ScriptedBrowser(server.issuer);
    await client.login("rita", { browser });
    const ask = await browser.get(logoutUrl({}));
    expect(textOf(ask)).toContain("Sign out here?");
    const done = await browser.submit(`${server.issuer}/session/end/confirm`, { xsrf: xsrfOf(ask), logout: "yes" });
    expect(textOf(done)).toContain("You are signed out");
  });

  test("goes to no address that is not registered", async () => {
    const { body } = await client.login("sam");
    const reply = await fetch(logoutUrl({ id_token_hint: String(body.id_token), post_logout_redirect_uri: "http://evil.test/" }), {
      redirect: "manual",
    });
    expect(reply.status).toBe(400);
  });
});

describe("the server", () => {
  test("has its issuer for its address, without a path, and names its cookies after its port", async () => {
    expect(server.issuer).toBe(`http://127.0.0.1:${server.port}`);
    const metadata = await (await fetch(`${server.issuer}/.well-known/openid-configuration`)).json();
    expect(metadata).toMatchObject({ issuer: server.issuer, id_token_signing_alg_values_supported: ["ES256"] });
    const start = await fetch(client.authorization().url, { redirect: "manual" });
    for (const cookie of start.headers.getSetCookie()) expect(cookie).toMatch(new RegExp(`^latchkey_demo_${server.port}_`));
  });

  test("gives opaque access tokens while it knows no API, and learns of one later", async () => {
    const late = await startDemoAuthorizationServer();
    const lateClient = new PlainClient(late);
    expect((await late.signIn("tom")).accessToken).not.toContain(".");
    late.register({ apiUrl, redirectUris: [redirectUri] });
    expect(claims((await lateClient.login("tom")).body.access_token).aud).toBe(apiUrl);
    await late.close();
  });

  test("refuses a resource that is not the API", async () => {
    const callback = await signInByForm(client.authorization({ parameters: { resource: "http://other.test/" } }).url, "uma");
    expect(callback.searchParams.get("error")).toBe("invalid_target");
  });

  test("says which port is taken", async () => {
    await expect(startDemoAuthorizationServer({ port: server.port })).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining(`Port ${server.port}`),
    });
  });

  test("can go away and come back with everything it knew", async () => {
    const { body } = await client.login("vera");
    await server.pause();
    await expect(fetch(`${server.issuer}/jwks`)).rejects.toThrow();
    await server.resume();
    expect((await client.refresh(body.refresh_token)).status).toBe(200);
  });
});

function xsrfOf(stop: object): string {
  return /name="xsrf" value="([^"]*)"/.exec(textOf(stop))?.[1] ?? "";
}

function textOf(stop: object): string {
  return "text" in stop && typeof stop.text === "string" ? stop.text : JSON.stringify(stop);
}
