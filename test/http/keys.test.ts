import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConnectionKeyAuthenticator } from "../../src/session/authenticator.ts";
import type { TestWindow } from "./test-browser.ts";
import { startWebBench, type WebBench } from "./web-bench.ts";

let bench: WebBench;
let alice: TestWindow;
let path: string;

beforeEach(async () => {
  bench = await startWebBench();
  alice = await bench.browser().signIn("alice");
  path = `/api/sessions/${alice.handle}/keys`;
});

afterEach(() => bench.close());

const authenticate = (key: unknown) =>
  new ConnectionKeyAuthenticator(bench.store.connectionKeys, bench.clock).authenticate(`Bearer ${String(key)}`);

describe("connection keys", () => {
  it("are shown once, stored hashed, and authenticate as their login session", async () => {
    const made = await alice.post(path, { name: " laptop " });
    expect(made.status).toBe(201);
    expect(made.json).toEqual({
      id: expect.stringMatching(/^ck_/),
      name: "laptop",
      created: "2026-01-01T00:00:00.000Z",
      key: expect.stringMatching(/^lk_[\w-]{43}$/),
    });
    const { id: loginSessionId } = await bench.mustGet(alice.handle);
    expect(await authenticate(made.json.key)).toMatchObject({ kind: "authenticated", credential: { loginSessionId } });
    const list = await alice.get(path);
    expect(list.json).toEqual({ keys: [{ id: made.json.id, name: "laptop", created: "2026-01-01T00:00:00.000Z", expired: false }] });
    expect(JSON.stringify(await bench.store.connectionKeys.listByLoginSession(loginSessionId))).not.toContain(String(made.json.key));
    expect(bench.replica.events.filter(({ event }) => event === "connection_key_created")).toEqual([
      { event: "connection_key_created", login: alice.handle, key: made.json.id },
    ]);
  });

  it("expire when they were asked to, and make room for others", async () => {
    const made = await alice.post(path, { name: "short", expiresInSeconds: 60 });
    expect(made.json.expires).toBe("2026-01-01T00:01:00.000Z");
    await bench.clock.advance(60_000);
    expect(await authenticate(made.json.key)).toMatchObject({ kind: "invalid" });
    expect((await alice.get(path)).json).toMatchObject({ keys: [{ name: "short", expired: true }] });
    await alice.post(path, { name: "next" });
    expect((await alice.get(path)).json).toMatchObject({ keys: [{ name: "next" }] });
  });

  it("are removed at once, and removing twice does nothing", async () => {
    const made = await alice.post(path, { name: "laptop" });
    expect((await alice.delete(`${path}/${String(made.json.id)}`)).status).toBe(204);
    expect(await authenticate(made.json.key)).toMatchObject({ kind: "invalid" });
    expect(bench.closedKeys).toEqual([made.json.id]);
    expect((await alice.delete(`${path}/${String(made.json.id)}`)).status).toBe(204);
    expect(bench.replica.events.filter(({ event }) => event === "connection_key_removed")).toHaveLength(1);
  });

  it("are at most 20 per login session", async () => {
    for (let index = 0; index < 20; index += 1) expect((await alice.post(path, { name: `key ${index}` })).status).toBe(201);
    expect((await alice.post(path, { name: "one more" })).json).toMatchObject({ status: 409, code: "conflict" });
  });

  it("need a name and a sensible lifetime; all problems are said at once", async () => {
    const { status, json } = await alice.post(path, { name: " ", expiresInSeconds: 0.5 });
    expect(status).toBe(400);
    expect(json.problems).toEqual([expect.stringContaining("name"), expect.stringContaining("expiresInSeconds")]);
    for (const body of [
      {},
      { name: "x".repeat(101) },
      { name: "a\u0000b" },
      { name: "a", expiresInSeconds: "60" },
      { name: "a", expiresInSeconds: 315_360_001 },
    ])
      expect((await alice.post(path, body)).json.code).toBe("invalid_request");
  });

  it("are not made for a login session that has to be signed in again; the answer says where", async () => {
    bench.server.faults.push({ kind: "answer", outcome: { kind: "grant_dead", cause: new Error("invalid_grant") } });
    await bench.clock.advance(25_000);
    await bench.replica.maintenance.maintain((await bench.mustGet(alice.handle)).id);
    const { status, json } = await alice.post(path, { name: "laptop" });
    expect(status).toBe(401);
    expect(json).toMatchObject({ code: "login_required", reason: "grant_dead", signIn: `/login?repair=${alice.handle}` });
  });

  it("are not left behind by a logout that comes while one is being made", async () => {
    const { id } = await bench.mustGet(alice.handle);
    const csrfToken = await alice.csrfToken();
    const insert = bench.store.connectionKeys.insert.bind(bench.store.connectionKeys);
    bench.store.connectionKeys.insert = async (key, limit) => {
      await insert(key, limit);
      await bench.replica.logout.end(id, "logout");
    };
    expect((await alice.post(path, { name: "late" }, csrfToken)).json).toMatchObject({ status: 409, code: "conflict" });
    expect(await bench.store.connectionKeys.listByLoginSession(id)).toEqual([]);
  });

  it("can be made for another login session of the same user", async () => {
    const elsewhere = await bench.browser().signIn("alice");
    const made = await alice.post(`/api/sessions/${elsewhere.handle}/keys`, { name: "phone" });
    const { id: loginSessionId } = await bench.mustGet(elsewhere.handle);
    expect(await authenticate(made.json.key)).toMatchObject({ credential: { loginSessionId } });
  });
});
