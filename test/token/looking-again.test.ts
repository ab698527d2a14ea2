import { describe, expect, it } from "vitest";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import type { ModelOptions } from "../support/model-authorization-server.ts";
import { makeBench, makeReplica, type ReplicaOptions, tryAcquire } from "../support/token-bench.ts";

const cause = new Error("as the server was");

/** A login session in a replica whose store counts what is read, and can be away. */
async function counted(ageMs: number, model: Partial<ModelOptions> = {}, replica: Partial<ReplicaOptions> = {}) {
  const bench = makeBench(model);
  const { clock, server, store } = bench;
  const seen = { reads: 0, away: false };
  const loginSessions = hookedStore(store.loginSessions, {
    before: (operation) => {
      if (seen.away) throw storeAway();
      if (operation === "get") seen.reads += 1;
    },
  });
  const one = makeReplica({ clock, server, store, loginSessions, ...replica });
  const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
  await clock.advance(ageMs);
  return { ...bench, one, login, seen };
}

describe("a caller whose first look brought nothing", () => {
  it("gets the newer token that is there, though the API refused an older one and the store is away (I6)", async () => {
    const { one, login, seen } = await counted(12_000);
    seen.away = true;
    expect(await tryAcquire(one, login, { rejected: "at-older" })).toEqual(login.current().accessTokens[0]);
  });

  it("looks once at a login session that waits for its last presentation", async () => {
    const { clock, one, login, server, seen } = await counted(250_000, { accessTokenSeconds: 300 });
    server.faults.push({ kind: "lose_reply" });
    await tryAcquire(one, login);
    expect(login.current().state).toBe("uncertain");
    await clock.advance(8_000);
    seen.reads = 0;
    const error = await tryAcquire(one, login, { minimumValiditySeconds: 45 });
    expect(error).toMatchObject({ code: "authorization_server_unavailable" });
    expect(seen.reads).toBe(1);
  });

  it("looks four times at one whose reply waits for its verification, and no more", async () => {
    const { one, login, server, seen } = await counted(31_000);
    server.verificationAnswer = { kind: "unavailable", problem: "no keys" };
    await tryAcquire(one, login);
    seen.reads = 0;
    expect(await tryAcquire(one, login)).toMatchObject({ code: "authorization_server_unavailable" });
    expect(seen.reads).toBe(4);
    expect(server.verifications).toBe(1);
  });

  it("is told after the fourth lost reply of a server that does not rotate, however long it would wait (S6)", async () => {
    const { clock, one, login, server } = await counted(31_000, { rotates: false }, { authorizationServer: { rotation: "never" } });
    server.outage = { kind: "ambiguous", cause };
    const said: unknown[] = [];
    void tryAcquire(one, login, { budgetMs: 600_000 }).then((answer) => said.push(answer));
    while (server.presentations.length < 4 && clock.monotonic() < 100_000) {
      expect(said).toEqual([]);
      await clock.advance(10);
    }
    expect(server.presentations).toHaveLength(4);
    expect(said).toMatchObject([{ code: "authorization_server_unavailable", retryable: true }]);
  });
});

describe("a caller who wants more than the grant has", () => {
  const wanted = { scopes: ["admin"] };

  it("is told when the new access token grants less, and nothing more is presented for it (I6)", async () => {
    const { one, login, server } = await counted(12_000);
    server.faults.push({ kind: "reply", fields: { scope: "notes" } });
    await expect(async () => one.tokens.acquire(login, wanted)).rejects.toMatchObject({ code: "insufficient_scope" });
    await expect(async () => one.tokens.acquire(login, wanted)).rejects.toMatchObject({ code: "insufficient_scope" });
    expect(server.presentations).toHaveLength(1);
  });

  it("is told when the authorization server refuses it for that, after one presentation", async () => {
    const { one, login, server } = await counted(12_000);
    server.outage = { kind: "refused", errorCode: "invalid_scope", cause };
    await expect(async () => one.tokens.acquire(login, wanted)).rejects.toMatchObject({ code: "insufficient_scope" });
    expect(server.presentations).toHaveLength(1);
  });
});

describe("a caller who could wait for the second presentation within a grace period", () => {
  async function lostTwice() {
    const made = await counted(31_000, { graceMs: 30_000 }, { authorizationServer: { reuseLeewaySeconds: 30 } });
    made.server.faults.push({ kind: "lose_reply" }, { kind: "lose_reply" });
    const first = tryAcquire(made.one, made.login);
    await settle();
    expect(made.server.presentations).toHaveLength(2);
    return { ...made, first, waitsMs: (made.login.current().health.notBefore ?? 0) - made.clock.now() };
  }

  it("does not when its budget ends at that very moment", async () => {
    const { one, clock, login, first, waitsMs } = await lostTwice();
    expect(waitsMs).toBeGreaterThan(0);
    const said: unknown[] = [];
    for (const budgetMs of [waitsMs, waitsMs + 1]) void tryAcquire(one, login, { budgetMs }).then((answer) => said.push(answer));
    await settle();
    expect(said).toMatchObject([{ code: "authorization_server_unavailable" }]);
    await clock.advance(waitsMs);
    const accessToken = login.current().accessTokens[0]?.accessToken;
    expect(said[1]).toMatchObject({ accessToken });
    expect(await first).toMatchObject({ accessToken });
  });

  it("does not in front of an authorization server that others have found to be down meanwhile", async () => {
    const { one, clock, login, first } = await lostTwice();
    const { gate } = one.core.issuers.mustGet("main");
    while (gate.closedForMs === 0) (await gate.enter("user", 0).entered).leave({ kind: "sick" });
    const said: unknown[] = [];
    void tryAcquire(one, login).then((answer) => said.push(answer));
    await settle();
    expect(said).toMatchObject([{ code: "authorization_server_unavailable", retryable: true }]);
    await clock.advance(10_000);
    expect(await first).toBeDefined();
  });
});
