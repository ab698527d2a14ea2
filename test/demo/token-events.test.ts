import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { type DemoAuthorizationServer, startDemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { TokenEvents } from "../../src/demo/token-events.ts";
import { PlainClient, redirectUri } from "./plain-client.ts";

let server: DemoAuthorizationServer;
let client: PlainClient;

beforeAll(async () => {
  server = await startDemoAuthorizationServer({ apiUrl: "http://127.0.0.1:8422", redirectUris: [redirectUri] });
  client = new PlainClient(server);
});

afterAll(() => server.close());

describe("GET /demo/events", () => {
  test("tells each event once, from any index on, and never a token (B10)", async () => {
    const first = await client.login("alice");
    const second = await client.refresh(first.body.refresh_token);
    await client.introspect(second.body.refresh_token);
    await client.refresh(first.body.refresh_token);
    const reply = await fetch(`${server.issuer}/demo/events`);
    const text = await reply.text();
    const { events, next, dropped } = JSON.parse(text);
    expect(events.map(({ kind, user, generation }: Record<string, unknown>) => [kind, user, generation])).toEqual([
      ["issued", "alice", 1],
      ["refreshed", "alice", 2],
      ["introspected", "alice", 2],
      ["reuse", "alice", 1],
      ["revoked", "alice", 2],
    ]);
    expect(new Set(events.map(({ login }: Record<string, unknown>) => login)).size).toBe(1);
    expect({ next, dropped }).toEqual({ next: 5, dropped: 0 });
    for (const { body } of [first, second])
      for (const name of ["refresh_token", "access_token", "id_token"]) expect(text).not.toContain(String(body[name]));
    const later = await (await fetch(`${server.issuer}/demo/events?since=3`)).json();
    expect(later).toMatchObject({
      events: [
        { index: 3, kind: "reuse" },
        { index: 4, kind: "revoked" },
      ],
    });
    expect((await fetch(`${server.issuer}/demo/events?since=-1`)).status).toBe(400);
  });

  test("names each login of a user differently", async () => {
    const before = server.events().length;
    await client.login("bob");
    await client.login("bob");
    expect(new Set(server.events(before).map(({ login }) => login)).size).toBe(2);
  });

  test("tells nothing of logins and refreshes that failed", async () => {
    const before = server.events().length;
    await client.refresh("never-was-a-token");
    await client.token({ grant_type: "authorization_code", code: "none", code_verifier: "x".repeat(43), redirect_uri: redirectUri });
    await client.revoke("never-was-a-token");
    expect(server.events(before)).toEqual([]);
  });
});

describe("/demo/*", () => {
  test.each([
    ["another name of this host, as in DNS rebinding (B12)", { host: "evil.test" }],
    ["the right name with another port", { host: "127.0.0.1:1" }],
    ["a page of another origin (B12)", { origin: "http://evil.test" }],
    ["a page without an origin", { origin: "null" }],
    ["another site, as browsers tell", { "sec-fetch-site": "cross-site" }],
  ])("refuses %s", async (_what, headers) => {
    expect(await statusWith("/demo/events", headers)).toBe(403);
    expect(await statusWith("/demo/fault", headers)).toBe(403);
  });

  test("answers this machine by each of its names, and its own pages", async () => {
    expect(await statusWith("/demo/events", { host: `localhost:${server.port}` })).toBe(200);
    expect(await statusWith("/demo/events", { origin: server.issuer, "sec-fetch-site": "same-origin" })).toBe(200);
  });

  test("names what there is, and which methods", async () => {
    expect((await fetch(`${server.issuer}/demo/other`)).status).toBe(404);
    const wrong = await fetch(`${server.issuer}/demo/events`, { method: "DELETE" });
    expect([wrong.status, wrong.headers.get("allow"), wrong.headers.get("content-type")]).toEqual([405, "GET", "application/problem+json"]);
  });

  test("is not the only place that refuses foreign names", async () => {
    expect(await statusWith("/.well-known/openid-configuration", { host: "evil.test" })).toBe(403);
    expect(await statusWith("/.well-known/openid-configuration", { host: `localhost:${server.port}` })).toBe(200);
  });
});

describe("the list of events", () => {
  test("keeps the last ones and counts the rest", () => {
    const events = new TokenEvents(systemClock, 10);
    for (let generation = 1; generation <= 25; generation++) events.record("refreshed", { grantId: "g", user: "alice", generation });
    const { events: kept, next, dropped } = events.page();
    expect([kept.length, kept[0]?.index, next, dropped]).toEqual([10, 15, 25, 15]);
    expect(events.page(3).events).toHaveLength(10);
    expect(events.page(23).events.map(({ index }) => index)).toEqual([23, 24]);
    expect(events.page(99).events).toEqual([]);
  });
});

/** With node:http, since fetch sets Host and Origin itself. */
function statusWith(path: string, headers: Readonly<Record<string, string>>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port: server.port, path, headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on("error", reject);
    sent.end();
  });
}
