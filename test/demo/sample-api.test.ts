import { createServer } from "node:http";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startDemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { LoopbackListener } from "../../src/demo/loopback-listener.ts";
import { type SampleApi, startSampleApi } from "../../src/demo/sample-api.ts";
import { HeldClock } from "./held-clock.ts";
import { claims, read } from "./plain-client.ts";

const ours = await generateKeyPair("ES256", { extractable: true });
const theirs = await generateKeyPair("ES256", { extractable: true });
const jwks = { keys: [{ ...(await exportJWK(ours.publicKey)), kid: "one", alg: "ES256", use: "sig" }] };
const issuer = "http://127.0.0.1:8421";

let keyFetches = 0;
let clock: HeldClock;
let api: SampleApi;
const keyServer = new LoopbackListener(0, (_request, response) => {
  keyFetches += 1;
  response.setHeader("content-type", "application/json").end(JSON.stringify(jwks));
});

beforeAll(() => keyServer.start());
afterAll(() => keyServer.stop());

beforeEach(async () => {
  keyFetches = 0;
  clock = new HeldClock();
  api = await startSampleApi({ issuer, jwksUri: `http://127.0.0.1:${keyServer.port}/jwks`, clock });
});

afterEach(() => api.close());

interface Forgery {
  readonly claims?: JWTPayload;
  readonly type?: string;
  readonly key?: typeof ours.privateKey;
  readonly kid?: string;
}

function tokenFor(
  user: string | undefined,
  { claims: extra = {}, type = "at+jwt", key = ours.privateKey, kid = "one" }: Forgery = {},
): Promise<string> {
  const now = Math.floor(clock.now() / 1000);
  const payload = { iss: issuer, aud: api.url, sub: user, iat: now, exp: now + 30, ...extra };
  return new SignJWT(payload).setProtectedHeader({ alg: "ES256", typ: type, kid }).sign(key);
}

async function call(method: string, path: string, token: string | undefined, body?: unknown): Promise<Response> {
  return fetch(api.url + path, {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

describe("the sample API's check of access tokens", () => {
  test("takes a token of its authorization server, made for it", async () => {
    const reply = await read(await call("GET", "/me", await tokenFor("alice")));
    expect(reply).toMatchObject({ status: 200, body: { subject: "alice" } });
    expect(api.stats()).toMatchObject({ requests: 1, foreignBearers: 0 });
    expect(api.stats().byUser).toEqual(new Map([["alice", 1]]));
  });

  test.each<[string, () => Promise<string> | string, boolean]>([
    ["of another audience", () => tokenFor("alice", { claims: { aud: "http://other.test" } }), true],
    ["of another issuer", () => tokenFor("alice", { claims: { iss: "http://other.test" } }), true],
    ["that has expired", () => tokenFor("alice", { claims: { exp: Math.floor(clock.now() / 1000) - 1 } }), false],
    ["without an expiry", () => tokenFor("alice", { claims: { exp: undefined } }), false],
    ["without a subject", () => tokenFor(undefined), false],
    ["that is an ID token", () => tokenFor("alice", { type: "JWT" }), false],
    ["with a foreign signature", () => tokenFor("alice", { key: theirs.privateKey }), true],
    ["with a foreign key", () => tokenFor("alice", { key: theirs.privateKey, kid: "two" }), true],
    [
      "without a signature",
      () => new UnsecuredJWT({ sub: "alice" }).setIssuer(issuer).setAudience(api.url).setExpirationTime("1h").encode(),
      true,
    ],
    ["that is a connection key (B11)", () => "lk_demo_alice", true],
  ])("refuses one %s with a challenge (RFC 6750)", async (_what, make, foreign) => {
    const token = await make();
    const reply = await call("GET", "/me", token);
    expect(reply.status).toBe(401);
    expect(reply.headers.get("www-authenticate")).toMatch(
      /^Bearer realm="latchkey-demo", error="invalid_token", error_description="[^"]+"$/,
    );
    expect(reply.headers.get("content-type")).toBe("application/problem+json");
    expect(await reply.text()).not.toContain(token);
    expect(api.stats().foreignBearers).toBe(foreign ? 1 : 0);
    expect(api.stats().byUser.size).toBe(0);
  });

  test("asks for one where there is none, without naming an error", async () => {
    const reply = await call("GET", "/me", undefined);
    expect([reply.status, reply.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="latchkey-demo"']);
    const basic = await fetch(`${api.url}/me`, { headers: { authorization: "Basic YTpi" } });
    expect(basic.status).toBe(401);
  });

  test("lets a token go stale with the clock", async () => {
    const token = await tokenFor("alice");
    expect((await call("GET", "/me", token)).status).toBe(200);
    clock.skip(31_000);
    expect((await call("GET", "/me", token)).status).toBe(401);
  });

  test("fetches the keys once, and works on while the authorization server is away, however long", async () => {
    for (let round = 0; round < 5; round++) await call("GET", "/me", await tokenFor("alice"));
    expect(keyFetches).toBe(1);
    await keyServer.stop();
    clock.skip(3_600_000);
    expect((await call("GET", "/me", await tokenFor("alice"))).status).toBe(200);
    await keyServer.start();
  });

  test("serves its very first call while the authorization server is away (S6)", async () => {
    await keyServer.stop();
    const reply = await call("GET", "/me", await tokenFor("alice"));
    await keyServer.start();
    expect(reply.status).toBe(200);
  });

  test("cannot say anything before it has the keys, and says that", async () => {
    const early = await startSampleApi({ issuer, jwksUri: "http://127.0.0.1:1/jwks" });
    const token = await tokenFor("alice", { claims: { aud: early.url } });
    const reply = await fetch(`${early.url}/me`, { headers: { authorization: `Bearer ${token}` } });
    expect(await read(reply)).toMatchObject({ status: 503, body: { code: "authorization_server_unavailable" } });
    await early.close();
  });

  test("fits the demo's authorization server", async () => {
    const server = await startDemoAuthorizationServer();
    const real = await startSampleApi({ issuer: server.issuer });
    server.register({ apiUrl: real.url });
    const { accessToken, idToken } = await server.signIn("bob");
    expect(claims(accessToken).aud).toBe(real.url);
    const ask = (token: string) => fetch(`${real.url}/me`, { headers: { authorization: `Bearer ${token}` } });
    expect(await read(await ask(accessToken))).toMatchObject({ status: 200, body: { subject: "bob" } });
    expect((await ask(idToken)).status).toBe(401);
    await Promise.all([server.close(), real.close()]);
  });
});

describe("notes", () => {
  test("belong to the user whose token made them", async () => {
    const [alice, bob] = [await tokenFor("alice"), await tokenFor("bob")];
    const made = await call("POST", "/notes", alice, { text: "milk" });
    expect(made.status).toBe(201);
    const location = made.headers.get("location");
    const { body: note } = await read(made);
    expect(note).toEqual({ id: expect.any(String), text: "milk", createdAt: expect.any(String) });
    expect(location).toBe(`${api.url}/notes/${note.id}`);
    expect((await read(await call("GET", "/notes", bob))).body).toEqual({ notes: [] });
    const stolen = await read(await call("DELETE", `/notes/${note.id}`, bob));
    const unknown = await read(await call("DELETE", "/notes/never-was", bob));
    expect(stolen).toMatchObject({ status: 404, body: { code: "not_found" } });
    expect(stolen).toEqual(unknown);
    expect((await read(await call("GET", "/notes", alice))).body).toEqual({ notes: [note] });
    expect((await read(await call("DELETE", `/notes/${note.id}`, alice))).body).toEqual({ deleted: note.id });
    expect((await call("DELETE", `/notes/${note.id}`, alice)).status).toBe(404);
  });

  test.each([{ text: "" }, { text: "  " }, { text: 7 }, {}, [], "no json", { text: "x".repeat(2001) }])(
    "refuse the body %j",
    async (body) => {
      expect(await read(await call("POST", "/notes", await tokenFor("alice"), body))).toMatchObject({
        status: 400,
        body: { code: "invalid_request", detail: expect.stringContaining("1 to 2000 characters") },
      });
    },
  );

  test("may be as long as they may, in characters and not in bytes", async () => {
    expect((await call("POST", "/notes", await tokenFor("alice"), { text: "𝕏".repeat(2000) })).status).toBe(201);
    expect((await call("POST", "/notes", await tokenFor("alice"), "x".repeat(70_000))).status).toBe(413);
  });

  test("are a thousand at most for each user", async () => {
    const token = await tokenFor("alice");
    for (let batch = 0; batch < 10; batch++)
      await Promise.all(Array.from({ length: 100 }, () => call("POST", "/notes", token, { text: "n" }).then((reply) => reply.text())));
    expect(await read(await call("POST", "/notes", token, { text: "one more" }))).toMatchObject({
      status: 409,
      body: { code: "conflict" },
    });
    expect((await call("POST", "/notes", await tokenFor("bob"), { text: "mine" })).status).toBe(201);
  });
});

describe("addresses and methods", () => {
  test("that are not there get 404 and 405", async () => {
    const token = await tokenFor("alice");
    for (const path of ["/", "/other", "/notes/a/b", "/constructor", "/reports", "/reports/fast"])
      expect((await call("GET", path, token)).status, path).toBe(404);
    const wrong = await call("PUT", "/notes", token);
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, POST"]);
    expect((await call("GET", "/notes/some-id", token)).status).toBe(405);
  });
});

describe("the slow report", () => {
  test("streams its progress line by line and ends with the result", async () => {
    const token = await tokenFor("alice");
    await call("POST", "/notes", token, { text: "milk" });
    const reply = await call("GET", "/reports/slow?seconds=2", token);
    expect(reply.headers.get("content-type")).toBe("application/x-ndjson");
    const lines = linesOf(reply);
    expect((await lines.next()).value).toMatchObject({ progress: 0, total: 2, message: expect.any(String) });
    for (const progress of [1, 2]) {
      expect(await clock.waiting()).toBe(1000);
      expect(api.stats().runningReports).toBe(1);
      clock.release();
      expect((await lines.next()).value).toMatchObject({ progress, total: 2 });
    }
    expect((await lines.next()).value).toEqual({ result: { user: "alice", seconds: 2, notes: 1 } });
    expect(await lines.next()).toMatchObject({ done: true });
    expect(api.stats().runningReports).toBe(0);
  });

  test("takes no time at all when asked for none", async () => {
    const text = await (await call("GET", "/reports/slow?seconds=0", await tokenFor("alice"))).text();
    expect(text.trimEnd().split("\n")).toHaveLength(2);
  });

  test("stops at once when the client goes away", async () => {
    const token = await tokenFor("alice");
    const abort = new AbortController();
    const reply = await fetch(`${api.url}/reports/slow?seconds=120`, {
      headers: { authorization: `Bearer ${token}` },
      signal: abort.signal,
    });
    await linesOf(reply).next();
    await clock.waiting();
    abort.abort();
    // The next answer comes after the API has seen the end of the other connection, or soon after.
    while (api.stats().runningReports > 0) await call("GET", "/me", token);
    expect(clock.pending).toBe(0);
  });

  test.each(["-1", "121", "1.5", "x", ""])("refuses %j seconds", async (seconds) => {
    const reply = await call("GET", `/reports/slow?seconds=${seconds}`, await tokenFor("alice"));
    expect(await read(reply)).toMatchObject({ status: 400, body: { detail: expect.stringContaining("0 to 120") } });
  });
});

describe("the port", () => {
  test("that is taken is named", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await expect(startSampleApi({ issuer, port })).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining(String(port)),
    });
    other.close();
  });
});

async function* linesOf(response: Response): AsyncGenerator<unknown> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    rest += decoder.decode(part, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}
