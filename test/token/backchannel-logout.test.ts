import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LatchkeyError } from "../../src/errors.ts";
import type { LoginSession } from "../../src/session/login-session.ts";
import type { UsedIdStore } from "../../src/session/store.ts";
import { BackchannelLogout } from "../../src/token/backchannel-logout.ts";
import type { LogoutToken, LogoutTokenCheck } from "../../src/token/ports.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { makeBench, type Replica, type TokenBench, tryAcquire } from "../support/token-bench.ts";

/** Takes logout tokens for one replica. What a token says is given with its text. */
function receiver(bench: TokenBench, replica: Replica, tokens: Readonly<Record<string, LogoutTokenCheck>>, usedIds?: UsedIdStore) {
  return new BackchannelLogout({
    tokens: { checkLogoutToken: async (text) => tokens[text] ?? { kind: "rejected", problems: ["it is not a signed JWT"] } },
    sessions: replica.core.sessions,
    logout: replica.logout,
    usedIds: usedIds ?? bench.store.usedIds,
    clock: bench.clock,
    audit: replica.core.audit,
  });
}

function token(bench: TokenBench, about: Partial<LogoutToken>): LogoutTokenCheck {
  const now = bench.clock.now();
  const { issuer, clientId } = bench.server;
  return { kind: "ok", token: { issuer, clientId, jti: "jti-1", endsSignInsUntil: now + 5_000, expiresAt: now + 120_000, ...about } };
}

/** What came of it: "done", or the error's code. */
function outcome(promise: Promise<void>): Promise<string> {
  return promise.then(
    () => "done",
    (error: LatchkeyError) => error.code,
  );
}

async function statesOf(bench: TokenBench, ...records: readonly LoginSession[]): Promise<readonly (string | undefined)[]> {
  return Promise.all(records.map(async ({ id }) => (await bench.store.loginSessions.get(id))?.state));
}

describe("a back-channel logout", () => {
  it("ends by sid that session's logins alone, with a sub beside it or not (F24)", async () => {
    const bench = makeBench();
    const [a, b, c] = [await bench.signIn("alice", "sid-1"), await bench.signIn("alice", "sid-2"), await bench.signIn("bob", "sid-3")];
    const logout = receiver(bench, bench.one, {
      both: token(bench, { subject: "alice", sid: "sid-1", jti: "1" }),
      sid: token(bench, { sid: "sid-3", jti: "2" }),
    });
    await logout.receive("both");
    expect(await statesOf(bench, a.record, b.record, c.record)).toEqual(["ended", "live", "live"]);
    expect(a.login.current().reason?.code).toBe("backchannel_logout");
    await logout.receive("sid");
    expect(await statesOf(bench, a.record, b.record, c.record)).toEqual(["ended", "live", "ended"]);
  });

  it("ends by sub all of this user's, those without a sid too, and nobody else's nor another client's (F24)", async () => {
    const bench = makeBench();
    const [a, b, c] = [await bench.signIn("alice", "sid-1"), await bench.signIn("alice"), await bench.signIn("bob")];
    const logout = receiver(bench, bench.one, {
      other: token(bench, { subject: "alice", clientId: "another", jti: "1" }),
      all: token(bench, { subject: "alice", jti: "2" }),
    });
    await logout.receive("other");
    expect(await statesOf(bench, a.record, b.record, c.record)).toEqual(["live", "live", "live"]);
    await logout.receive("all");
    expect(await statesOf(bench, a.record, b.record, c.record)).toEqual(["ended", "ended", "live"]);
  });

  it("is refused the second time, and ends no sign-in that came after it (F24)", async () => {
    const bench = makeBench();
    const { record } = await bench.signIn("alice", "sid-1");
    const logout = receiver(bench, bench.one, { t: token(bench, { subject: "alice" }) });
    expect(await outcome(logout.receive("t"))).toBe("done");
    await bench.clock.advance(6_000);
    const again = await bench.signIn("alice", "sid-2");
    expect(await outcome(logout.receive("t"))).toBe("invalid_request");
    expect(await statesOf(bench, record, again.record)).toEqual(["ended", "live"]);
    expect(bench.one.events.filter(({ event }) => event === "backchannel_logout")).toHaveLength(1);
    expect(bench.one.events.filter(({ event }) => event === "backchannel_logout_refused")).toHaveLength(1);
  });

  it("can come again after the store was away, before the end and between the end and the mark (F9)", async () => {
    const bench = makeBench();
    const { record } = await bench.signIn("alice");
    let away = true;
    const loginSessions = hookedStore(bench.store.loginSessions, {
      before: (operation) => {
        if (away && operation === "commit") throw storeAway();
      },
    });
    const other = bench.another("replica-2", { loginSessions });
    let usable = false;
    const usedIds: UsedIdStore = {
      use: (id, now) => (usable ? bench.store.usedIds.use(id, now) : Promise.reject(storeAway())),
    };
    const logout = receiver(bench, other, { t: token(bench, { subject: "alice" }) }, usedIds);
    expect(await outcome(logout.receive("t"))).toBe("store_unavailable");
    expect(await statesOf(bench, record)).toEqual(["live"]);
    away = false;
    expect(await outcome(logout.receive("t"))).toBe("store_unavailable");
    expect(await statesOf(bench, record)).toEqual(["ended"]);
    usable = true;
    expect(await outcome(logout.receive("t"))).toBe("done");
    expect(await outcome(logout.receive("t"))).toBe("invalid_request");
  });

  it("whose keys cannot be had ends nothing and can come again", async () => {
    const bench = makeBench();
    const logout = receiver(bench, bench.one, { t: { kind: "unavailable", cause: new Error("down") } });
    expect(await outcome(logout.receive("t"))).toBe("authorization_server_unavailable");
  });
});

describe("at every interleaving (property)", () => {
  it("of one logout token at several replicas exactly one delivery is taken (F24)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 2, max: 5 }), async (scheduler, deliveries) => {
        const bench = makeBench();
        const { record } = await bench.signIn("alice");
        const usedIds: UsedIdStore = {
          use: (id, now) => scheduler.schedule(Promise.resolve()).then(() => bench.store.usedIds.use(id, now)),
        };
        const loginSessions = hookedStore(bench.store.loginSessions, { before: () => scheduler.schedule(Promise.resolve()) });
        const checks = { t: token(bench, { subject: "alice" }) };
        const outcomes = Array.from({ length: deliveries }, (_, index) =>
          outcome(receiver(bench, bench.another(`replica-${index}`, { loginSessions }), checks, usedIds).receive("t")),
        );
        await scheduler.waitFor(Promise.all(outcomes));
        const done = await Promise.all(outcomes);
        expect(done.filter((each) => each === "done")).toHaveLength(1);
        expect(done.filter((each) => each === "invalid_request")).toHaveLength(deliveries - 1);
        expect(await statesOf(bench, record)).toEqual(["ended"]);
      }),
      { numRuns: 100 },
    );
  });

  it("a refresh under way at another replica neither undoes the logout nor serves a token after it (F20, I12)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        const bench = makeBench();
        const loginSessions = hookedStore(bench.store.loginSessions, { before: () => scheduler.schedule(Promise.resolve()) });
        const { record } = await bench.signIn("alice", "sid-1");
        await bench.clock.advance(29_000);
        const [refreshing, ending] = [bench.another("refreshing", { loginSessions }), bench.another("ending", { loginSessions })];
        const logout = receiver(bench, ending, { t: token(bench, { sid: "sid-1" }) });
        const work = Promise.all([refreshing.watch(record).then((login) => tryAcquire(refreshing, login)), outcome(logout.receive("t"))]);
        await scheduler.waitFor(work);
        const [, answer] = await work;
        expect(answer).toBe("done");
        await scheduler.waitFor(bench.clock.advance(1_000));
        const after = await scheduler.waitFor(refreshing.watch(record));
        expect(after.current().state).toBe("ended");
        expect(await scheduler.waitFor(tryAcquire(refreshing, after))).toMatchObject({ code: "login_ended" });
        expect(after.current().refreshToken).toBeUndefined();
        expect(bench.server.reuseEvents).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});
