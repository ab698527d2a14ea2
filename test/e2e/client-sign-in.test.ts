import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HttpTransport, httpTransports } from "../support/e2e-clients.ts";
import { mustString, parseFields } from "../support/e2e-json.ts";
import { eventually } from "../support/e2e-wait.ts";
import { World } from "../support/e2e-world.ts";
import { OAuthClient, tokenRequest } from "../support/oauth-client.ts";

let world: World;
const closings: (() => Promise<void>)[] = [];

beforeAll(async () => {
  world = await World.start((close) => closings.push(close));
});
afterAll(async () => {
  for (const close of closings.reverse()) await close();
});

async function signedIn(user: string, kind: HttpTransport = "http"): Promise<OAuthClient> {
  const client = new OAuthClient(world.url, `${user}'s client`);
  await client.signIn(world.browser(), user, kind);
  return client;
}

/** The handle of the login session behind an access token. */
function handleOf(client: OAuthClient): string {
  const [, payload = ""] = (client.saved?.access_token ?? "").split(".");
  return mustString(parseFields(Buffer.from(payload, "base64url").toString()), "sub");
}

async function post(path: string, client: OAuthClient | undefined, message: unknown, headers: Readonly<Record<string, string>> = {}) {
  const authorization: Record<string, string> = client === undefined ? {} : { authorization: `Bearer ${client.saved?.access_token}` };
  const response = await fetch(world.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...authorization, ...headers },
    body: JSON.stringify(message),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function mustHave<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("It is missing.");
  return value;
}

const initialize = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } },
};
const whoami = (id: number) => ({ jsonrpc: "2.0", id, method: "tools/call", params: { name: "whoami", arguments: {} } });

/** The same call in the modern era: a request that stands for itself. */
const modernWhoami = {
  ...whoami(1),
  params: {
    name: "whoami",
    arguments: {},
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  },
};
const modernHeaders = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "whoami" };

async function open(client: OAuthClient): Promise<Readonly<Record<string, string>>> {
  const { headers } = await post("/mcp", client, initialize);
  return { "mcp-session-id": headers.get("mcp-session-id") ?? "" };
}

describe.each(httpTransports)("a client that is given nothing but the address, over %s", (kind) => {
  test("finds out everything, its user consents and signs in, and it acts as her", async () => {
    const client = await signedIn(`carol-${kind}`, kind);
    const connection = await client.connect(kind);
    expect(await connection.whoami()).toBe(`carol-${kind}`);
    expect(await connection.notes()).toEqual([]);
    await connection.close();
  });

  test("acts as its own user beside a client of another one (R9)", async () => {
    const clients = await Promise.all(["dave", "erin"].map((user) => signedIn(`${user}-${kind}`, kind)));
    const connections = await Promise.all(clients.map((client) => client.connect(kind)));
    await Promise.all(connections.map((each, index) => each.mustCall("add_note", { text: `note ${index}` })));
    expect(await Promise.all(connections.map((each) => each.whoami()))).toEqual([`dave-${kind}`, `erin-${kind}`]);
    expect(await Promise.all(connections.map((each) => each.notes()))).toEqual([["note 0"], ["note 1"]]);
    for (const each of connections) await each.close();
  });

  test("goes on with a refreshed access token, and begins anew by itself after a sign-out", async () => {
    const client = await signedIn(`frank-${kind}`, kind);
    const connection = await client.connect(kind);
    const first = client.saved?.access_token;
    // What the client holds has expired, as far as the server is concerned: it refreshes and repeats the request.
    client.saved = { ...mustHave(client.saved), access_token: `${first}x` };
    expect(await connection.whoami()).toBe(`frank-${kind}`);
    expect(client.saved?.access_token).not.toBe(first);
    const handle = handleOf(client);
    await connection.mustCall("sign_out");
    expect((await world.record(handle)).state).toBe("ended");
    await connection.close();
    // Its refresh token is dead too: it does not fail, it signs in again.
    await client.signIn(world.browser(), `frank-${kind}`, kind);
    expect(handleOf(client)).not.toBe(handle);
    expect(await (await client.connect(kind)).whoami()).toBe(`frank-${kind}`);
  });
});

describe("an access token", () => {
  test("reaches the connections of its own login session alone, and a new one of the same login session carries on (B4, B5)", async () => {
    const [grace, heidi] = [await signedIn("grace"), await signedIn("heidi")];
    const session = await open(grace);
    const [foreign, unknown] = [
      await post("/mcp", heidi, whoami(1), session),
      await post("/mcp", heidi, whoami(1), { "mcp-session-id": "x" }),
    ];
    expect([foreign.status, foreign.text]).toEqual([404, unknown.text]);
    expect(world.audit("foreign_connection_access").length).toBeGreaterThan(0);
    const second = await signedIn("grace");
    expect((await post("/mcp", second, whoami(2), session)).status).toBe(404);
    const { json } = await grace.refresh();
    grace.saved = {
      access_token: mustString(json, "access_token"),
      token_type: "Bearer",
      refresh_token: mustString(json, "refresh_token"),
    };
    expect((await post("/mcp", grace, whoami(3), session)).text).toContain("grace");
  });

  test("that is missing or wrong is answered with where to sign in, on every transport", async () => {
    const challenge = (path: string, more = "") =>
      `Bearer realm="latchkey",${more} resource_metadata="${world.url}/.well-known/oauth-protected-resource${path}", scope="mcp"`;
    expect((await post("/mcp", undefined, initialize)).headers.get("www-authenticate")).toBe(challenge("/mcp"));
    expect((await fetch(`${world.url}/sse`)).headers.get("www-authenticate")).toBe(challenge("/sse"));
    expect((await post("/messages?sessionId=x", undefined, initialize)).headers.get("www-authenticate")).toBe(challenge("/sse"));
    const wrong = await post("/mcp", undefined, initialize, { authorization: "Bearer a.b.c" });
    expect([wrong.status, wrong.headers.get("www-authenticate")]).toEqual([
      401,
      challenge("/mcp", ' error="invalid_token", error_description="This access token is not valid here.",'),
    ]);
  });
});

test("an access token is good in both eras, for its own login session (R9)", async () => {
  const [nick, olga] = [await signedIn("nick"), await signedIn("olga")];
  const answers = await Promise.all([nick, olga].map((client) => post("/mcp", client, modernWhoami, modernHeaders)));
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(answers.map(({ text }) => /"subject":"(\w+)"/.exec(text)?.[1])).toEqual(["nick", "olga"]);
  expect((await post("/mcp", undefined, modernWhoami, modernHeaders)).headers.get("www-authenticate")).toContain("resource_metadata=");
});

describe("a login session of an MCP client", () => {
  test("that died at the company's server: 401 and invalid_grant, then the next sign-in repairs it and its connection goes on", async () => {
    const client = await signedIn("ivan");
    const session = await open(client);
    const handle = handleOf(client);
    await world.killGrant(handle);
    await eventually(
      "the login session needs a sign-in",
      async () => ((await world.record(handle)).state === "login_required" ? true : undefined),
      20_000,
    );
    const refused = await post("/mcp", client, whoami(1), session);
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain('error="invalid_token"');
    expect((await post("/mcp", client, initialize)).status).toBe(401);
    expect((await post("/mcp", client, modernWhoami, modernHeaders)).status).toBe(401);
    expect(await client.refresh()).toMatchObject({ status: 400, json: { error: "invalid_grant" } });
    await client.signIn(world.browser(), "ivan");
    expect(handleOf(client)).toBe(handle);
    expect((await world.record(handle)).epoch).toBe(2);
    expect((await post("/mcp", client, whoami(2), session)).text).toContain("ivan");
  });

  test("is ended by its client at the revocation endpoint, with its connections and its tokens (R7, B9)", async () => {
    const client = await signedIn("judy");
    const session = await open(client);
    const handle = handleOf(client);
    const response = await fetch(`${world.url}/oauth/revoke`, {
      method: "POST",
      body: new URLSearchParams({ token: client.saved?.refresh_token ?? "", client_id: client.clientId }),
    });
    expect(response.status).toBe(200);
    expect((await post("/mcp", client, whoami(1), session)).status).toBe(401);
    expect((await world.record(handle)).reason?.code).toBe("grant_ended");
    await eventually("it is revoked", async () => (world.events("judy").some(({ kind }) => kind === "revoked") ? true : undefined));
  });

  test("is in the list of its user's login sessions, with its client's name, and ends there (S4)", async () => {
    const client = await signedIn("kate");
    const { window } = await world.signIn("kate");
    const shown = (await window.list()).find(({ id }) => id === handleOf(client));
    expect(shown).toMatchObject({ origin: "mcp_client", client: "kate's client", state: "live" });
    const connection = await client.connect();
    const refreshToken = client.saved?.refresh_token;
    expect((await window.delete(`/api/sessions/${handleOf(client)}`)).status).toBe(200);
    await expect(connection.call("whoami")).rejects.toThrow();
    expect(await client.refresh(refreshToken)).toMatchObject({ json: { error: "invalid_grant" } });
    // The client has noticed, and would send its user to sign in.
    expect(client.saved).toBeUndefined();
    expect(client.authorizationUrl?.pathname).toBe("/oauth/authorize");
  });
});

test("no token of the company's server reaches a client, and no secret of a sign-in reaches the log (B10, B11)", async () => {
  const browser = world.browser();
  const client = new OAuthClient(world.url);
  await client.signIn(browser, "liam");
  const connection = await client.connect();
  const answers = [await connection.call("whoami"), await connection.call("session_status"), await connection.call("list_notes")];
  const refreshed = await client.refresh();
  const record = await world.record(handleOf(client));
  const upstream = [record.refreshToken, record.idToken, ...record.accessTokens.map(({ accessToken }) => accessToken)].map(String);
  const given = JSON.stringify([client.saved, client.information, refreshed, answers]);
  for (const secret of upstream) expect(given).not.toContain(secret);
  const own = [client.saved?.access_token, client.saved?.refresh_token, refreshed.json.access_token, refreshed.json.refresh_token].map(
    String,
  );
  const codes = browser.visited.flatMap((url) => [url.searchParams.get("code") ?? [], url.searchParams.get("state") ?? []].flat());
  const log = world.lines.join("\n");
  for (const secret of [...upstream, ...own, ...codes, client.codeVerifier(), ...browser.cookies()]) {
    expect(secret.length).toBeGreaterThan(12);
    expect(log).not.toContain(secret);
  }
  await connection.close();
});

test("a request to the token endpoint that is none of these is refused by its code", async () => {
  const code = async (fields: Readonly<Record<string, string>>) => (await tokenRequest(world.url, fields)).json.error;
  expect(await code({ grant_type: "password", client_id: "x" })).toBe("invalid_client");
  expect(await code({ grant_type: "refresh_token", client_id: "unknown", refresh_token: "x" })).toBe("invalid_client");
  const { clientId } = await signedIn("mia");
  expect(await code({ grant_type: "password", client_id: clientId })).toBe("unsupported_grant_type");
  expect(await code({ grant_type: "refresh_token", client_id: clientId, refresh_token: "x" })).toBe("invalid_grant");
  expect(await code({ grant_type: "refresh_token", client_id: clientId })).toBe("invalid_request");
});
