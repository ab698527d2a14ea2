import { describe, expect, test } from "vitest";
import type { Behaviour } from "../../src/testing/behaviour.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { faultServer, get, post, refresh } from "./plain-client.ts";

describe("instead of the right answer", () => {
  test.each<[string, Behaviour, number, Record<string, string | null>, RegExp]>([
    ["429 with seconds", { kind: "unavailable", status: 429, retryAfterSeconds: 7 }, 429, { "retry-after": "7" }, /temporarily/],
    ["503 with nothing", { kind: "unavailable" }, 503, { "retry-after": null }, /temporarily/],
    ["500", { kind: "unavailable", status: 500 }, 500, {}, /server_error/],
    ["502 in HTML", { kind: "gateway_error" }, 502, { "content-type": "text/html; charset=utf-8" }, /<h1>502/],
    ["504 in HTML", { kind: "gateway_error", status: 504 }, 504, {}, /<h1>504/],
    ["HTML with 200", { kind: "html_page" }, 200, { "content-type": "text/html; charset=utf-8" }, /<h1>/],
    ["an empty 400", { kind: "empty" }, 400, { "content-type": null }, /^$/],
    ["invalid_grant", { kind: "oauth_error", error: "invalid_grant" }, 400, {}, /"invalid_grant"/],
    [
      "invalid_grant in a challenge only",
      { kind: "oauth_error", error: "invalid_grant", status: 401, in: "challenge" },
      401,
      { "www-authenticate": 'Bearer realm="fault server", error="invalid_grant"' },
      /^$/,
    ],
    ["invalid_client", { kind: "oauth_error", error: "invalid_client" }, 401, {}, /"invalid_client"/],
    [
      "invalid_client in a challenge only",
      { kind: "oauth_error", error: "invalid_client", in: "challenge" },
      401,
      { "www-authenticate": 'Basic realm="fault server", error="invalid_client"' },
      /^$/,
    ],
    ["anything", { kind: "answer", status: 418, headers: { "x-pot": "tea" }, body: "short" }, 418, { "x-pot": "tea" }, /short/],
  ])("%s, before anything was consumed", async (_name, behaviour, status, headers, body) => {
    const server = await faultServer();
    const { refreshToken } = await server.issue({ subject: "alice" });
    const rule = server.set(behaviour, { next: 1 });
    const reply = await refresh(server, refreshToken);
    expect(reply.status).toBe(status);
    for (const [name, value] of Object.entries(headers)) expect(reply.headers.get(name)).toBe(value);
    expect(reply.text).toMatch(body);
    expect(rule.hits).toBe(1);
    expect(server.ledger.refreshes).toMatchObject([{ outcome: undefined, presentedAs: undefined, status, reply: "whole" }]);
    expect((await refresh(server, refreshToken)).status).toBe(200);
  });

  test("503 with an HTTP date, by the server's clock", async () => {
    const server = await faultServer({ clock: new ManualClock(Date.UTC(2030, 0, 1)) });
    const { refreshToken } = await server.issue({ subject: "alice" });
    server.set({ kind: "unavailable", retryAfterSeconds: 90, retryAfterAs: "http_date" });
    expect((await refresh(server, refreshToken)).headers.get("retry-after")).toBe("Tue, 01 Jan 2030 00:01:30 GMT");
  });

  test("a gateway's page after the rotation: the token is consumed all the same", async () => {
    const server = await faultServer();
    const { refreshToken } = await server.issue({ subject: "alice" });
    server.set({ kind: "gateway_error", status: 504, at: "after" }, { next: 1 });
    expect((await refresh(server, refreshToken)).status).toBe(504);
    expect(server.ledger.refreshes).toMatchObject([{ outcome: "rotated", status: 504 }]);
    expect(server.isActive(refreshToken)).toBe(false);
  });
});

describe("a lost message", () => {
  test("before: the request counts for nothing", async () => {
    const server = await faultServer();
    const { refreshToken } = await server.issue({ subject: "alice" });
    server.set({ kind: "lost", at: "before" }, { next: 1 });
    await expect(refresh(server, refreshToken)).rejects.toThrow();
    await server.settled();
    expect(server.ledger.refreshes).toMatchObject([{ outcome: undefined, status: undefined, reply: "none" }]);
    expect(server.isActive(refreshToken)).toBe(true);
  });

  test("after: the token is rotated, the reply never comes", async () => {
    const server = await faultServer();
    const { refreshToken } = await server.issue({ subject: "alice" });
    server.set({ kind: "lost", at: "after" }, { next: 1 });
    await expect(refresh(server, refreshToken)).rejects.toThrow();
    await server.settled();
    expect(server.ledger.refreshes).toMatchObject([{ outcome: "rotated", status: undefined, reply: "none" }]);
    expect(server.ledger.families).toMatchObject([{ generation: 1, ended: undefined }]);
  });

  test("cut off below its content-length: the body cannot be read", async () => {
    const server = await faultServer();
    const { refreshToken } = await server.issue({ subject: "alice" });
    server.set({ kind: "cut_off", how: "content_length" });
    await expect(refresh(server, refreshToken)).rejects.toThrow();
    await server.settled();
    expect(server.ledger.refreshes).toMatchObject([{ outcome: "rotated", status: 200, reply: "cut_off" }]);
  });

  test("cut off as JSON: the body comes whole and is no JSON", async () => {
    const server = await faultServer();
    const { refreshToken } = await server.issue({ subject: "alice" });
    server.set({ kind: "cut_off", how: "json" });
    const { status, text } = await refresh(server, refreshToken);
    expect(status).toBe(200);
    expect(text).toMatch(/^\{"access_token":/);
    expect(() => JSON.parse(text)).toThrow();
  });
});

test("a held request waits for its promise, before or after it is carried out", async () => {
  const server = await faultServer();
  const { refreshToken } = await server.issue({ subject: "alice" });
  const before = Promise.withResolvers<void>();
  const after = Promise.withResolvers<void>();
  server.set({ kind: "held", until: before.promise, at: "before" }, { next: 1 });
  server.set({ kind: "held", until: after.promise, at: "after" }, { next: 1 });
  const arrived = server.nextRequest("refresh");
  const reply = refresh(server, refreshToken);
  await arrived;
  expect(server.isActive(refreshToken)).toBe(true);
  before.resolve();
  await expect.poll(() => server.isActive(refreshToken)).toBe(false);
  expect(server.ledger.refreshes).toMatchObject([{ outcome: "rotated", reply: "pending" }]);
  after.resolve();
  expect((await reply).status).toBe(200);
});

test("a slow answer waits by the server's clock", async () => {
  const clock = new ManualClock();
  const server = await faultServer({ clock });
  const { refreshToken } = await server.issue({ subject: "alice" });
  server.set({ kind: "slow", milliseconds: 60_000, at: "before" });
  const arrived = server.nextRequest("refresh");
  const reply = refresh(server, refreshToken);
  await arrived;
  await expect.poll(() => clock.pending).toBe(1);
  expect(server.isActive(refreshToken)).toBe(true);
  await clock.advance(60_000);
  expect((await reply).status).toBe(200);
});

describe("the scope of a behaviour", () => {
  test("the next requests, one subject, one client, one endpoint", async () => {
    const server = await faultServer({ clients: [{ clientId: "client" }, { clientId: "other" }] });
    const alice = await server.issue({ subject: "alice" });
    const bob = await server.issue({ subject: "bob" });
    const other = await server.issue({ subject: "bob", clientId: "other" });
    const all = async (): Promise<readonly number[]> => {
      const replies = [
        await refresh(server, alice.refreshToken),
        await refresh(server, bob.refreshToken),
        await post(`${server.issuer}/token`, { grant_type: "refresh_token", refresh_token: other.refreshToken, client_id: "other" }),
        await get(`${server.issuer}/jwks`),
      ];
      return replies.map(({ status }) => status);
    };
    server.set({ kind: "no_rotation", reply: "same_token" });
    const down: Behaviour = { kind: "unavailable" };
    const tried = async (scope: Parameters<typeof server.set>[1]): Promise<readonly number[]> => {
      const rule = server.set(down, scope);
      const statuses = await all();
      rule.clear();
      return statuses;
    };
    expect(await tried({ next: 2 })).toEqual([503, 503, 200, 200]);
    expect(await tried({ subject: "bob" })).toEqual([200, 503, 503, 200]);
    expect(await tried({ subject: "bob", clientId: "other" })).toEqual([200, 200, 503, 200]);
    expect(await tried({ target: "jwks" })).toEqual([200, 200, 200, 503]);
    expect(await tried({ target: "any" })).toEqual([503, 503, 503, 503]);
    expect(await all()).toEqual([200, 200, 200, 200]);
  });

  test("clear comes back to the start, and the last one that was set wins", async () => {
    const server = await faultServer({ behaviours: [{ kind: "unavailable", status: 429 }] });
    const { refreshToken } = await server.issue({ subject: "alice" });
    server.set({ kind: "gateway_error" });
    expect((await refresh(server, refreshToken)).status).toBe(502);
    server.clear();
    expect((await refresh(server, refreshToken)).status).toBe(429);
  });
});

test("suspended, it refuses connections; resumed, it is there again under the same issuer with the same logins", async () => {
  const server = await faultServer();
  const { issuer } = server;
  const { refreshToken } = await server.issue({ subject: "alice" });
  await server.suspend();
  await expect(refresh(server, refreshToken)).rejects.toThrow();
  await server.resume();
  expect(server.issuer).toBe(issuer);
  expect((await refresh(server, refreshToken)).status).toBe(200);
});
