import { describe, expect, it } from "vitest";
import type { Attempt, AttemptId, LoginSession } from "../../src/session/login-session.ts";
import type { LoginSessionListener } from "../../src/session/login-sessions.ts";
import type { RefreshWish } from "../../src/token/refresh-plan.ts";
import { aLoginSession, openAttempt } from "../session/records.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import type { ModelOptions } from "../support/model-authorization-server.ts";
import { Hold, makeBench, makeReplica, type ReplicaOptions } from "../support/token-bench.ts";

const cause = new Error("as the server was");
const demand: RefreshWish = { target: { scopes: [] }, cause: { kind: "demand", minimumValidityMs: 0 } };

/** A record that is put into the store as it is; the replica's reads are counted, and can fail. Its access token ended long ago. */
async function stored(
  change: (now: number) => Partial<LoginSession>,
  model: Partial<ModelOptions> = {},
  replica: Partial<ReplicaOptions> = {},
) {
  const bench = makeBench(model);
  const { clock, server, store } = bench;
  const seen = { reads: 0, failures: 0 };
  const commits = new Hold();
  commits.on = false;
  const loginSessions = hookedStore(store.loginSessions, {
    before: (operation) => {
      if (operation !== "get") return;
      seen.reads += 1;
      if (seen.failures-- > 0) throw storeAway();
    },
    after: (operation) => (operation === "commit" ? commits.wait() : undefined),
  });
  const one = makeReplica({ clock, server, store, loginSessions, ...replica });
  const now = clock.now();
  const record = aLoginSession("a", { createdAt: now, lastUsedAt: now, nextDueAt: now, ...change(now) });
  await store.loginSessions.insert(record);
  await settle();
  seen.reads = 0;
  return { ...bench, one, record, seen, commits, now, read: () => store.loginSessions.get(record.id) };
}

/** The claim of another process. */
function claimed(now: number, change: Partial<Attempt> = {}): Partial<LoginSession> {
  return { state: "refreshing", attempts: [{ ...openAttempt, claimedAt: now, deadline: now + 7_500, ...change }] };
}

describe("a flight that waits for another process", () => {
  it("looks again four times a second, and at the moment when the other's time is over", async () => {
    const { clock, one, record, seen } = await stored((now) => claimed(now, { deadline: now - 4_700 }));
    void one.flights.join(record, demand);
    await settle();
    expect(seen.reads).toBe(1);
    await clock.advance(249);
    expect(seen.reads).toBe(1);
    await clock.advance(1);
    expect(seen.reads).toBe(2);
    await clock.advance(49);
    expect(seen.reads).toBe(2);
    await clock.advance(1);
    expect(seen.reads).toBeGreaterThan(2);
  });

  it("looks again at once when it hears of a change of this login session, and leaves nothing behind", async () => {
    const { clock, one, record, seen } = await stored((now) => claimed(now));
    const listeners = new Set<LoginSessionListener>();
    one.core.sessions.onChange = (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    };
    const tell = async (next: LoginSession): Promise<void> => {
      for (const listener of [...listeners]) listener(next, undefined);
      await settle();
    };
    void one.flights.join(record, demand);
    await settle();
    await tell(record);
    await tell(aLoginSession("b", { version: 9 }));
    expect(seen.reads).toBe(1);
    await tell({ ...record, version: 2 });
    expect(seen.reads).toBe(2);
    expect(listeners.size).toBe(1);
    expect(clock.pending).toBe(1);
  });

  it("gives an attempt its time anew when the wall clock was set back since its claim (I15, F25)", async () => {
    const { one, record, read, now } = await stored((at) => claimed(at + 3_600_000, { deadline: at + 3_607_500 }));
    void one.flights.join(record, demand);
    await settle();
    expect(await read()).toMatchObject({
      state: "refreshing",
      attempts: [{ id: openAttempt.id, claimedAt: now, deadline: now + 7_500, lost: false }],
      nextDueAt: now + 12_500,
    });
  });

  it("counts it as lost when its time and the time to settle are over (I15)", async () => {
    const { clock, one, record, read, now } = await stored(
      (at) => claimed(at, { deadline: at - 5_000 }),
      {},
      {
        authorizationServer: { lostReply: "retire" },
      },
    );
    await one.flights.join({ ...record }, { ...demand, cause: { kind: "due", generation: 1 } });
    expect(await read()).toMatchObject({ health: { failures: 1, lastFailure: { kind: "ambiguous", at: now } } });
    expect(clock.pending).toBe(0);
  });

  it("fails with the store, whatever others have claimed", async () => {
    const { one, record, seen } = await stored((now) => claimed(now));
    seen.failures = 1;
    await expect(one.flights.join(record, demand)).rejects.toMatchObject({ code: "store_unavailable" });
  });
});

describe("a flight that holds a ticket", () => {
  it("gives it back when there is nothing to refresh any more", async () => {
    const { one, record, store, server } = await stored(() => ({}), {}, { concurrencyPerIssuer: 1 });
    const { gate } = one.core.issuers.mustGet("main");
    const ticket = await gate.enter("user", 0).entered;
    const flight = one.flights.join(record, demand);
    await settle();
    await store.loginSessions.commit({
      ...record,
      version: 2,
      state: "ended",
      reason: { code: "logout", at: 0 },
      accessTokens: [],
      refreshToken: undefined,
    });
    ticket.leave({ kind: "neutral" });
    expect(await flight).toMatchObject({ record: { state: "ended" } });
    expect(gate.isBusy).toBe(false);
    expect(server.presentations).toHaveLength(0);
    expect(one.events).toEqual([]);
  });

  it("presents with a new one when introspection failed with the first (I13)", async () => {
    const { one, record, store, server } = await stored(
      (at) => ({ health: { failures: 1, refusals: 0, lastFailure: { kind: "server_error", at } } }),
      {},
      { concurrencyPerIssuer: 1 },
    );
    const issuer = one.core.issuers.mustGet("main");
    issuer.introspectionTrusted = true;
    const introspected = new Hold();
    server.introspect = async () => {
      await introspected.wait();
      // Another process has tried meanwhile, so that there is nothing to look for any more.
      await store.loginSessions.commit({ ...record, version: 2, health: { failures: 0, refusals: 0 } });
      return { kind: "unavailable", cause };
    };
    const flight = one.flights.join(record, demand);
    await settle();
    const next = issuer.gate.enter("user", 0).entered;
    introspected.open();
    const ticket = await next;
    await settle();
    expect(server.presentations).toHaveLength(0);
    ticket.leave({ kind: "neutral" });
    await flight;
    expect(server.presentations).toHaveLength(1);
  });

  it("says in the audit what it presents, and why (I1)", async () => {
    const { one, record, server } = await stored(() => ({}));
    await one.flights.join(record, demand);
    expect(one.events[0]).toEqual({
      event: "refresh_presented",
      login: record.handle,
      issuer: server.issuer,
      generation: 1,
      reason: "demand",
    });
  });
});

describe("a claim that takes as long as its attempt may", () => {
  // 30 s tokens: 7.5 s.
  it.each<[string, number, number]>([
    ["by both clocks", 7_500, 0],
    ["by the wall clock alone: the machine was suspended (F11)", 0, 7_500],
    ["by the monotonic clock alone: the wall clock was set back (F25)", 7_500, -3_600_000],
  ])("presents nothing: %s", async (_what, passes, jumps) => {
    const { clock, one, record, server, commits, read } = await stored(() => ({}));
    commits.on = true;
    const flight = one.flights.join(record, demand);
    await clock.advance(passes);
    clock.jumpWall(jumps);
    commits.open();
    expect(await flight).toMatchObject({ failure: { kind: "not_sent" } });
    expect(server.presentations).toHaveLength(0);
    expect(await read()).toMatchObject({ state: "live", attempts: [], health: { lastFailure: { kind: "not_sent" } } });
    expect(one.events).toMatchObject([{ event: "refresh_failed", kind: "not_sent" }]);
    const { gate } = one.core.issuers.mustGet("main");
    expect(gate).toMatchObject({ isBusy: false, lastFailure: undefined });
  });

  it("presents what is left of it otherwise", async () => {
    const { clock, one, record, server, commits } = await stored(() => ({}));
    const timeouts: number[] = [];
    const refresh = server.refresh.bind(server);
    server.refresh = (request) => {
      timeouts.push(request.timeoutMs);
      return refresh(request);
    };
    commits.on = true;
    const flight = one.flights.join(record, demand);
    await clock.advance(7_499);
    commits.open();
    await flight;
    expect(timeouts).toEqual([1]);
  });
});

describe("what a flight writes when nothing may be presented yet", () => {
  const lost = { ...openAttempt, lost: true };

  /** A lost reply; the access token ends in 100 s. */
  function uncertain(now: number, change: Partial<LoginSession> = {}): Partial<LoginSession> {
    const [entry] = aLoginSession("a").accessTokens;
    return {
      state: "uncertain",
      attempts: [{ ...lost, claimedAt: now - 30_000, deadline: now - 10_000 }],
      accessTokens: entry === undefined ? [] : [{ ...entry, obtainedAt: now - 200_000, expiresAt: now + 100_000 }],
      ...change,
    };
  }
  const short: RefreshWish = { target: { scopes: [] }, cause: { kind: "demand", minimumValidityMs: 120_000 } };

  it("the moment of its last presentation, once, and holds nobody back until then", async () => {
    const { one, record, read, now } = await stored((at) => uncertain(at));
    // 100 s, less the margin of 60 s and the attempt limit of 20 s.
    expect(await one.flights.join(record, short)).toEqual({ record: expect.objectContaining({ version: 2, nextDueAt: now + 20_000 }) });
    expect((await read())?.health.notBefore).toBeUndefined();
    await one.flights.join(record, short);
    expect(await read()).toMatchObject({ version: 2 });
  });

  it("that a token is inactive, until its access token ends: nobody asks again before that", async () => {
    for (const nextDueAt of [0, 100_000]) {
      const { one, record, read, now, server } = await stored((at) => uncertain(at, { nextDueAt: at + nextDueAt }), {
        introspection: "denies",
      });
      one.core.issuers.mustGet("main").introspectionTrusted = true;
      await one.flights.join(record, short);
      expect(await read()).toMatchObject({ version: 2, nextDueAt: now + 100_000, health: { notBefore: now + 100_000 } });
      await one.flights.join(record, short);
      expect(await read()).toMatchObject({ version: 2 });
      expect(server.introspections).toBe(1);
    }
  });

  it("the end, when the reply is lost for good and the access token has ended; the record is removed after the idle limit", async () => {
    const { one, record, read, now } = await stored(
      (at) => uncertain(at, { accessTokens: aLoginSession("a").accessTokens }),
      {},
      {
        authorizationServer: { lostReply: "retire" },
        policy: { idleLimitSeconds: 3_600 },
      },
    );
    await one.flights.join(record, demand);
    expect(await read()).toMatchObject({ state: "login_required", reason: { code: "lost_reply", at: now }, nextDueAt: now + 3_600_000 });
    expect(one.events).toEqual([{ event: "login_required", login: record.handle, reason: "lost_reply" }]);
    await one.flights.join(record, demand);
    expect(one.events).toHaveLength(1);
  });

  it("nothing on the word of introspection about a presentation before the last: it asks again (I1)", async () => {
    const { one, record, store, server, now } = await stored((at) => uncertain(at));
    one.core.issuers.mustGet("main").introspectionTrusted = true;
    let asked = 0;
    server.introspect = async () => {
      asked += 1;
      const other = { ...lost, id: "attempt-2" as AttemptId, claimedAt: now - 30_000, deadline: now - 10_000 };
      if (asked === 1) await store.loginSessions.commit({ ...record, version: 2, attempts: [other] });
      return { kind: "active" };
    };
    await one.flights.join(record, short);
    expect(asked).toBe(2);
    expect(server.presentations).toHaveLength(1);
  });
});
