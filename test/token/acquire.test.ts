import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import type { RefreshRequest } from "../../src/token/ports.ts";
import { History } from "../support/history.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";
import { ModelAuthorizationServer, type ModelOptions } from "../support/model-authorization-server.ts";
import { makeReplica, type ReplicaOptions } from "../support/token-bench.ts";

const anything = { scopes: [] };

function bench(model: Partial<ModelOptions> = {}, replica: Partial<ReplicaOptions> = {}) {
  const clock = new ManualClock();
  const store = new MemoryStore(() => clock.now());
  const server = new ModelAuthorizationServer({ now: () => clock.now(), ...model });
  const history = new History(store.loginSessions, server);
  const one = makeReplica({ clock, server, store, ...replica });
  return { clock, store, server, history, one };
}

/** Holds every request until it is let go. */
function held() {
  const waiting: (() => void)[] = [];
  return {
    pause: (point: string, _request: RefreshRequest) =>
      point === "request" ? new Promise<void>((resolve) => void waiting.push(resolve)) : Promise.resolve(),
    letGo: () => {
      for (const resolve of waiting.splice(0)) resolve();
    },
    waiting,
  };
}

describe("acquire", () => {
  it("hands out no access token of fewer scopes to a caller that wants those of the login (I6)", async () => {
    const { one, server } = bench();
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    const narrow = await one.tokens.acquire(login, { scopes: ["notes"] });
    const whole = await one.tokens.acquire(login, anything);
    expect(whole).toMatchObject({ target: anything });
    expect(await one.tokens.acquire(login, { scopes: ["notes"] })).toEqual(narrow);
  });

  it("hands out a valid access token synchronously, without asking anybody (I6)", async () => {
    const { one, server } = bench();
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    const entry = one.tokens.acquire(login, anything);
    expect(entry).not.toBeInstanceOf(Promise);
    expect(entry).toMatchObject({ accessToken: expect.stringMatching(/^at-alice-/) });
    expect(server.presentations).toHaveLength(0);
  });

  it("makes one POST for 50 callers at expiry and the heartbeat, and gives all the same token (I8, F1)", async () => {
    const gate = held();
    const { clock, one, server, history } = bench({ pause: gate.pause });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const login = await one.watch(record);
    await clock.advance(29_000);
    const calls = Array.from({ length: 50 }, async () => one.tokens.acquire(login, anything));
    const beat = one.maintenance.maintain(record.id);
    await settle();
    expect(server.presentations).toHaveLength(1);
    gate.letGo();
    const tokens = await Promise.all(calls);
    await beat;
    expect(new Set(tokens.map((entry) => entry.accessToken)).size).toBe(1);
    expect(server.presentations).toHaveLength(1);
    expect(history.check({ healthy: true })).toEqual([]);
  });

  it("lets one of three replicas present and the others adopt (I1, F2)", async () => {
    const gate = held();
    const { clock, one, server, store, history } = bench({ pause: gate.pause });
    const others = ["replica-2", "replica-3"].map((owner) => makeReplica({ clock, server, store, owner }));
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const logins = await Promise.all([one, ...others].map(async (each) => ({ each, login: await each.watch(record) })));
    await clock.advance(29_500);
    const calls = logins.map(async ({ each, login }) => each.tokens.acquire(login, anything));
    await settle();
    expect(server.presentations).toHaveLength(1);
    gate.letGo();
    await clock.advance(1_000);
    const tokens = await Promise.all(calls);
    expect(new Set(tokens.map((entry) => entry.accessToken)).size).toBe(1);
    expect(history.check({ healthy: true })).toEqual([]);
  });

  it("goes on with the refresh when the caller runs out of budget, and uses what it brings (I8, F28)", async () => {
    const gate = held();
    const { clock, one, server, history } = bench({ pause: gate.pause, accessTokenSeconds: 300 });
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    await clock.advance(301_000);
    const call = Promise.resolve(one.tokens.acquire(login, anything)).catch((error: unknown) => error);
    await clock.advance(8_001);
    expect(await call).toMatchObject({ code: "refresh_timeout", retryable: true });
    gate.letGo();
    await settle();
    expect(one.tokens.acquire(login, anything)).toMatchObject({ accessToken: expect.any(String) });
    expect(server.presentations).toHaveLength(1);
    expect(history.check({ healthy: true })).toEqual([]);
  });

  it("hands out the token that it has, while that still lasts, when the refresh takes longer (S6)", async () => {
    const gate = held();
    const { clock, one, server, history } = bench({ pause: gate.pause });
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    const old = login.current().accessTokens[0]?.accessToken;
    await clock.advance(25_000);
    const call = Promise.resolve(one.tokens.acquire(login, anything)).catch((error: unknown) => error);
    await clock.advance(4_000);
    expect(await call).toMatchObject({ accessToken: old });
    gate.letGo();
    await settle();
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(history.check({ healthy: true })).toEqual([]);
  });

  it("tells a caller that waited for a probe in vain that the authorization server is away, not that it is slow (S6)", async () => {
    const { clock, one, server } = bench();
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    await clock.advance(31_000);
    const { gate } = one.core.issuers.mustGet("main");
    const sick = { kind: "sick" } as const;
    for (let failures = 0; failures < 5; failures += 1) (await gate.enter("user", 0).entered).leave(sick);
    await clock.advance(gate.closedForMs);
    const probe = await gate.enter("user", 0).entered;
    const call = Promise.resolve(one.tokens.acquire(login, anything, { budgetMs: 500 })).catch((error: unknown) => error);
    await settle();
    probe.leave(sick);
    await clock.advance(501);
    expect(await call).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    expect(server.presentations).toHaveLength(0);
  });

  it("commits the refresh although the only caller has gone away (I8, F29)", async () => {
    const gate = held();
    const { clock, one, server } = bench({ pause: gate.pause });
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    await clock.advance(31_000);
    const stop = new AbortController();
    const call = Promise.resolve(one.tokens.acquire(login, anything, { signal: stop.signal })).catch((error: unknown) => error);
    await settle();
    stop.abort();
    expect(await call).toMatchObject({ code: "cancelled" });
    gate.letGo();
    await settle();
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
  });

  it("replaces an access token that the API refused once, for 20 calls in flight (F44)", async () => {
    const { clock, one, server, history } = bench();
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    const old = login.current().accessTokens[0]?.accessToken;
    await clock.advance(12_000);
    const tokens = await Promise.all(Array.from({ length: 20 }, async () => one.tokens.acquire(login, anything, { rejected: old })));
    expect(new Set(tokens.map((entry) => entry.accessToken)).size).toBe(1);
    expect(tokens[0]?.accessToken).not.toBe(old);
    expect(server.presentations).toHaveLength(1);
    expect(history.check({ healthy: true })).toEqual([]);
  });

  it("does not refresh more than four times in a token's life for an API that always answers 401 (I14)", async () => {
    const { clock, one, server } = bench();
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    for (let second = 0; second < 300; second += 1) {
      const entry = await one.tokens.acquire(login, anything, { rejected: login.current().accessTokens[0]?.accessToken });
      expect(entry.accessToken).toBeTypeOf("string");
      await clock.advance(100);
    }
    expect(server.presentations.length).toBeLessThanOrEqual(4);
  });

  it("queues a refresh for another target behind the one that runs, with the rotated token (I1)", async () => {
    const gate = held();
    const { clock, one, server, history } = bench({ pause: gate.pause });
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    await clock.advance(31_000);
    const first = Promise.resolve(one.tokens.acquire(login, anything));
    const second = Promise.resolve(one.tokens.acquire(login, { resource: "https://other.example", scopes: [] }));
    await settle();
    expect(server.presentations).toHaveLength(1);
    gate.letGo();
    await settle();
    expect(server.presentations).toHaveLength(2);
    gate.letGo();
    const [a, b] = await Promise.all([first, second]);
    expect(a.accessToken).not.toBe(b.accessToken);
    expect(login.current().accessTokens).toHaveLength(2);
    expect(history.check({ healthy: true })).toEqual([]);
  });

  it("refuses a validity that no token of this server can have, without refreshing in circles (I6)", async () => {
    const { one, server } = bench();
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    await expect(async () => one.tokens.acquire(login, anything, { minimumValiditySeconds: 60 })).rejects.toMatchObject({
      code: "invalid_request",
    });
    expect(server.presentations).toHaveLength(0);
  });

  it("gives at least the asked-for validity (I6)", async () => {
    const { clock, one, server } = bench();
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    await clock.advance(12_000);
    const entry = await one.tokens.acquire(login, anything, { minimumValiditySeconds: 20 });
    expect(entry.expiresAt - clock.now()).toBeGreaterThan(20_000);
    expect(server.presentations).toHaveLength(1);
  });

  it("does not trust an access token from the future after the wall clock was set back (F25)", async () => {
    const { clock, one, server } = bench();
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    clock.jumpWall(-3_600_000);
    await one.tokens.acquire(login, anything);
    await one.tokens.acquire(login, anything);
    expect(server.presentations).toHaveLength(1);
  });

  it("refreshes once on demand after eight hours of sleep (F25)", async () => {
    const { clock, one, server } = bench();
    const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
    clock.jumpWall(8 * 3_600_000);
    await Promise.all(Array.from({ length: 10 }, async () => one.tokens.acquire(login, anything)));
    expect(server.presentations).toHaveLength(1);
  });
});
