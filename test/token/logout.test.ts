import { describe, expect, it } from "vitest";
import type { ConnectionKeyRecord } from "../../src/session/connection-key.ts";
import type { LoginSession } from "../../src/session/login-session.ts";
import { hashConnectionKey, newConnectionKey } from "../../src/session/random.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, makeReplica, tryAcquire } from "../support/token-bench.ts";

const cause = new Error("as the server was");
const unavailable = { kind: "unavailable", cause } as const;

describe("logout", () => {
  it("ends here first, then revokes the refresh token, then the access tokens, and answers the same the second time (R7, R15)", async () => {
    const { clock, one, server, signIn, history } = makeBench();
    const { record, login } = await signIn();
    await one.tokens.acquire(login, { resource: "https://other.example", scopes: [] });
    const revocations = new Hold();
    const revoke = server.revoke.bind(server);
    server.revoke = async (name, token) => {
      expect(login.current().state).toBe("ended");
      await revocations.wait();
      return revoke(name, token);
    };
    const first = await one.logout.end(record.id, "logout");
    history.logoutAnswered(record.id);
    expect(first).toMatchObject({
      loginSession: { state: "ended", reason: { code: "logout" } },
      revocation: "pending",
      idToken: record.idToken,
    });
    expect(await tryAcquire(one, login)).toMatchObject({ code: "login_ended", retryable: false });
    revocations.open();
    await settle();
    expect(server.revoked.map((each) => each.kind)).toEqual(["refresh_token", "access_token", "access_token"]);
    const second = await one.logout.end(record.id, "administrator");
    expect(second).toMatchObject({ loginSession: { state: "ended", reason: { code: "logout" } }, revocation: "done", idToken: undefined });
    expect(server.revocationTries).toBe(3);
    await clock.advance(60_000);
    expect(history.check()).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
  });

  it("can wait for the first try of the revocation, but not longer than it was told", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { record } = await signIn();
    expect(await one.logout.end(record.id, "logout", { waitForRevocationMs: 2_000 })).toMatchObject({ revocation: "done" });
    const { record: slow } = await signIn();
    server.revoke = () => new Promise(() => {});
    const answer = one.logout.end(slow.id, "logout", { waitForRevocationMs: 2_000 });
    await clock.advance(2_001);
    expect(await answer).toMatchObject({ revocation: "pending" });
    expect(clock.pending).toBe(0);
  });

  it("does not say that it ended what the store would not take; calls that run here are aborted all the same", async () => {
    const { clock, store, server } = makeBench();
    let away = false;
    const loginSessions = hookedStore(store.loginSessions, {
      before: () => {
        if (away) throw storeAway();
      },
    });
    const one = makeReplica({ clock, server, store, loginSessions });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    away = true;
    await expect(one.logout.end(record.id, "logout")).rejects.toMatchObject({ code: "store_unavailable" });
    expect(one.abortedCalls).toEqual([record.id]);
    away = false;
    expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "live" });
    expect(server.revocationTries).toBe(0);
  });

  it("says not_found of a login session that never was", async () => {
    const { one, server, signIn } = makeBench();
    const { record } = await signIn();
    await one.logout.end(record.id, "logout");
    await expect(one.logout.end("no such id" as typeof record.id, "logout")).rejects.toMatchObject({ code: "not_found" });
    expect(server.presentations).toHaveLength(0);
  });

  it("and a new login at once raise no reuse alarm, and the old flight touches nothing (F22, S3, R7)", async () => {
    const requests = new Hold();
    const { clock, one, server, signIn, history } = makeBench({
      pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()),
    });
    const { record, login } = await signIn("alice");
    await clock.advance(25_000);
    const call = tryAcquire(one, login);
    await settle();
    await one.logout.end(record.id, "logout");
    const again = await signIn("alice");
    requests.open();
    await clock.advance(500);
    expect(await call).toMatchObject({ code: "login_ended" });
    expect(again.login.current()).toMatchObject({ state: "live", generation: 1 });
    expect(server.isActive(again.record.refreshToken)).toBe(true);
    expect(server.reuseEvents).toBe(0);
    one.heartbeat.start();
    await clock.advance(60_000);
    expect(again.login.current().state).toBe("live");
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("of one of two logins of one user leaves the other alone (B8)", async () => {
    const { clock, one, server, signIn, history } = makeBench();
    const a = await signIn("alice");
    const b = await signIn("alice");
    await clock.advance(25_000);
    await Promise.all([tryAcquire(one, a.login), tryAcquire(one, b.login)]);
    await one.logout.end(a.record.id, "logout");
    await settle();
    expect(b.login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(server.isActive(b.login.current().refreshToken)).toBe(true);
    expect(await tryAcquire(one, b.login)).toMatchObject({ accessToken: expect.any(String) });
    expect(history.check({ healthy: true })).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
  });
});

describe("logout while a refresh is under way (I12, F20)", () => {
  const points = ["claim", "request", "reply", "arrival", "verify", "publication"] as const;

  /** Holds a refresh at one of its points. */
  async function refreshHeldAt(at: (typeof points)[number]) {
    const hold = new Hold();
    hold.on = false;
    const bench = makeBench({
      pause: (point) => (point === at ? hold.wait() : Promise.resolve()),
      pauseOther: (point) => (point === at ? hold.wait() : Promise.resolve()),
    });
    const { clock, server, store } = bench;
    const one = makeReplica({
      clock,
      server,
      store,
      loginSessions: hookedStore(store.loginSessions, {
        before: async (operation, detail) => {
          if (operation === "commit" && at === pointOf(detail as LoginSession)) await hold.wait();
        },
      }),
    });
    const two = makeReplica({ clock, server, store, owner: "replica-2" });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const login = await one.watch(record);
    const there = await two.watch(record);
    await clock.advance(25_000);
    hold.on = true;
    const call = tryAcquire(one, login, { minimumValiditySeconds: 6 });
    await settle();
    expect(hold.size).toBe(1);
    return { ...bench, one, two, record, login, there, call, hold };
  }

  function pointOf(next: LoginSession): string {
    if (next.state === "ended") return "end";
    if (next.pending !== undefined) return "arrival";
    return next.state === "refreshing" ? "claim" : "publication";
  }

  it.each(points)("in another replica, held at its %s: nothing is served, nothing refreshed, all is revoked", async (at) => {
    const { clock, two, record, login, there, call, hold, server, history, one } = await refreshHeldAt(at);
    await two.logout.end(record.id, "logout");
    history.logoutAnswered(record.id);
    await settle();
    expect(login.current().state).toBe("ended");
    expect(await tryAcquire(one, login)).toMatchObject({ code: "login_ended" });
    hold.open();
    await clock.advance(1_000);
    expect(await call).toMatchObject({ code: "login_ended" });
    two.heartbeat.start();
    await clock.advance(60_000);
    expect(there.current()).toMatchObject({ state: "ended", debts: [], revocation: "done" });
    expect(server.reuseEvents).toBe(0);
    expect(history.check({ healthy: true })).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
    await two.heartbeat.stop();
  });

  it.each(["request", "reply", "verify"] as const)("in the same replica, held at its %s: it does not wait for the refresh", async (at) => {
    const { clock, one, record, login, call, hold, history } = await refreshHeldAt(at);
    await one.logout.end(record.id, "logout");
    history.logoutAnswered(record.id);
    expect(login.current().state).toBe("ended");
    hold.open();
    await clock.advance(1_000);
    expect(await call).toMatchObject({ code: "login_ended" });
    one.heartbeat.start();
    await clock.advance(60_000);
    expect(history.check({ healthy: true })).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("in the same replica, between its claim and its request: no answer before the request has begun (I12)", async () => {
    const commits = new Hold();
    commits.on = false;
    const bench = makeBench();
    const { clock, server, store, history } = bench;
    const one = makeReplica({
      clock,
      server,
      store,
      loginSessions: hookedStore(store.loginSessions, { after: (operation) => (operation === "commit" ? commits.wait() : undefined) }),
    });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const login = await one.watch(record);
    await clock.advance(25_000);
    commits.on = true;
    const call = tryAcquire(one, login);
    await settle();
    expect(commits.size).toBe(1);
    const ending = one.logout.end(record.id, "logout").then(() => history.logoutAnswered(record.id));
    await settle();
    // The claim is written, but its acknowledgement is not here: logout waits for that, not for the request.
    commits.letLast();
    await settle();
    commits.open();
    await ending;
    await clock.advance(2_000);
    expect(await call).toMatchObject({ code: "login_ended" });
    expect(history.check({ healthy: true })).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
  });

  it("revokes the rotated token of a reply that waits for its verification (I4)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { record, login } = await signIn();
    await clock.advance(25_000);
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    await tryAcquire(one, login);
    const rotated = [...server.issuedWith.values()].at(-1);
    expect(rotated).not.toBe(record.refreshToken);
    await one.logout.end(record.id, "logout", { waitForRevocationMs: 1_000 });
    expect(server.revoked.map((each) => each.token)).toEqual(expect.arrayContaining([record.refreshToken, rotated]));
  });

  it("revokes what arrives late even when the old refresh token would have expired by then", async () => {
    const replies = new Hold();
    const { clock, one, server, signIn, history } = makeBench({
      accessTokenSeconds: 300,
      refreshExpiresInSeconds: 255,
      pause: (point) => (point === "reply" ? replies.wait() : Promise.resolve()),
    });
    const { record, login } = await signIn();
    await clock.advance(250_000);
    void tryAcquire(one, login);
    await settle();
    await one.logout.end(record.id, "logout");
    await clock.advance(10_000);
    server.revocationAnswers.push(unavailable, unavailable);
    replies.open();
    await settle();
    const late = [...server.issuedWith.values()].at(-1);
    expect(late).not.toBe(record.refreshToken);
    one.heartbeat.start();
    await clock.advance(120_000);
    expect(login.current()).toMatchObject({ debts: [], revocation: "done" });
    expect(server.revoked.map((each) => each.token)).toContain(late);
    expect(history.checkSettled()).toEqual([]);
    await one.heartbeat.stop();
  });
});

describe("revocation debts", () => {
  it("are retried with backoff until they are paid; the answer was given before (F21)", async () => {
    const { clock, one, server, signIn, history } = makeBench();
    const { record, login } = await signIn();
    server.revocationAnswer = unavailable;
    expect(await one.logout.end(record.id, "logout", { waitForRevocationMs: 1_000 })).toMatchObject({ revocation: "pending" });
    one.heartbeat.start();
    await clock.advance(20_000);
    const tries = server.revocationTries;
    expect(tries).toBeGreaterThan(4);
    expect(tries).toBeLessThan(20);
    expect(login.current().revocation).toBe("pending");
    server.revocationAnswer = { kind: "revoked" };
    await clock.advance(60_000);
    expect(login.current()).toMatchObject({ revocation: "done", debts: [] });
    expect(await one.logout.end(record.id, "logout")).toMatchObject({ revocation: "done" });
    expect(history.check()).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("wait as long as the server says (F12)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { record } = await signIn();
    server.revocationAnswer = { ...unavailable, retryAfterSeconds: 120 };
    await one.logout.end(record.id, "logout");
    await settle();
    const tries = server.revocationTries;
    one.heartbeat.start();
    await clock.advance(118_000);
    expect(server.revocationTries).toBe(tries);
    await clock.advance(4_000);
    expect(server.revocationTries).toBeGreaterThan(tries);
    await one.heartbeat.stop();
  });

  it("survive in the store: another process pays them", async () => {
    const { clock, one, server, store, signIn } = makeBench();
    const { record } = await signIn();
    server.revocationAnswer = unavailable;
    await one.logout.end(record.id, "logout");
    await settle();
    server.revocationAnswer = { kind: "revoked" };
    const two = makeReplica({ clock, server, store, owner: "replica-2" });
    two.heartbeat.start();
    await clock.advance(5_000);
    expect(server.revoked).toHaveLength(2);
    await two.heartbeat.stop();
  });

  it("end by themselves when the tokens have expired", async () => {
    const { clock, one, server, signIn } = makeBench({ refreshExpiresInSeconds: 600 });
    const { record, login } = await signIn();
    server.revocationAnswer = unavailable;
    await one.logout.end(record.id, "logout");
    one.heartbeat.start();
    await clock.advance(590_000);
    expect(login.current().debts).toHaveLength(1);
    await clock.advance(320_000);
    expect(login.current()).toMatchObject({ debts: [], revocation: "expired" });
    const tries = server.revocationTries;
    await clock.advance(600_000);
    expect(server.revocationTries).toBe(tries);
    await one.heartbeat.stop();
  });

  it("cannot be paid without a revocation endpoint: logout is done and says so (F45)", async () => {
    const { one, server, signIn } = makeBench();
    const { record } = await signIn();
    server.revocationAnswer = { kind: "unsupported" };
    expect(await one.logout.end(record.id, "logout", { waitForRevocationMs: 1_000 })).toMatchObject({
      loginSession: { state: "ended", debts: [] },
      revocation: "unsupported",
    });
    expect(await one.logout.end(record.id, "logout")).toMatchObject({ revocation: "unsupported" });
  });

  it("say `unsupported` when the refresh token could not be revoked, though an access token was, later (F45)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { record, login } = await signIn();
    server.revocationAnswers.push({ kind: "unsupported" }, unavailable);
    await one.logout.end(record.id, "logout");
    one.heartbeat.start();
    await clock.advance(10_000);
    expect(login.current()).toMatchObject({ debts: [], revocation: "unsupported" });
    await one.heartbeat.stop();
  });

  it("that answer 400 the second time count as paid: nothing is left to revoke (F45)", async () => {
    const { one, server, signIn } = makeBench();
    const { record } = await signIn();
    const { record: other } = await signIn();
    await one.logout.end(record.id, "logout", { waitForRevocationMs: 1_000 });
    await one.logout.end(other.id, "logout", { waitForRevocationMs: 1_000 });
    expect(server.revoked).toHaveLength(4);
  });
});

describe("logins that share a grant at the authorization server (F23)", () => {
  async function sharing(policy: "wait" | "revoke" = "wait") {
    const bench = makeBench({}, { authorizationServer: { sharedGrant: policy } });
    const a = await bench.signIn("alice", "sid-1");
    const b = await bench.signIn("alice", "sid-1");
    return { ...bench, a, b };
  }

  it("wait with the revocation for the last of them, and say so", async () => {
    const { clock, one, server, a, b, history } = await sharing();
    expect(await one.logout.end(a.record.id, "logout", { waitForRevocationMs: 1_000 })).toMatchObject({ revocation: "shared" });
    one.heartbeat.start();
    await clock.advance(200_000);
    expect(server.revocationTries).toBe(0);
    expect(b.login.current()).toMatchObject({ state: "live" });
    expect(server.isActive(b.login.current().refreshToken)).toBe(true);
    expect(await one.logout.end(b.record.id, "logout", { waitForRevocationMs: 1_000 })).toMatchObject({ revocation: "done" });
    await clock.advance(1_000);
    expect(a.login.current()).toMatchObject({ debts: [], revocation: "done" });
    expect(await one.logout.end(a.record.id, "logout")).toMatchObject({ revocation: "done" });
    expect(history.check()).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("that end at one time are both revoked", async () => {
    const { clock, one, another, server, a, b, history } = await sharing();
    const two = another("replica-2");
    await Promise.all([one.logout.end(a.record.id, "logout"), two.logout.end(b.record.id, "logout")]);
    one.heartbeat.start();
    await clock.advance(70_000);
    expect(server.revoked.filter((each) => each.kind === "refresh_token")).toHaveLength(2);
    expect(history.checkSettled()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("are revoked at once where it is configured so", async () => {
    const { one, a } = await sharing("revoke");
    expect(await one.logout.end(a.record.id, "logout", { waitForRevocationMs: 1_000 })).toMatchObject({ revocation: "done" });
  });

  it("count only while they are alive, and only with the same sid", async () => {
    const { one, signIn, server, clock } = makeBench();
    const a = await signIn("alice", "sid-1");
    await signIn("alice", "sid-2");
    await signIn("bob", "sid-1");
    await signIn("alice");
    const dead = await signIn("alice", "sid-1");
    await clock.advance(25_000);
    server.faults.push({ kind: "answer", outcome: { kind: "grant_dead", cause } });
    await tryAcquire(one, dead.login);
    expect(dead.login.current().state).toBe("login_required");
    expect(await one.logout.end(a.record.id, "logout", { waitForRevocationMs: 1_000 })).toMatchObject({ revocation: "done" });
  });
});

describe("limits", () => {
  const day = 86_400_000;

  it("idle: an unused login session needs a sign-in after the limit, and its refresh token is revoked", async () => {
    const { clock, one, server, store } = makeBench(
      { accessTokenSeconds: 3600 },
      { heartbeat: { intervalMs: 30_000 }, policy: { idleLimitSeconds: 86_400 } },
    );
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    one.heartbeat.start();
    await clock.advance(day + 3_600_000);
    expect(await store.loginSessions.get(record.id)).toMatchObject({
      state: "login_required",
      reason: { code: "idle" },
      debts: [],
      revocation: "done",
    });
    expect(server.revoked.map((each) => each.kind)).toContain("refresh_token");
    await one.heartbeat.stop();
  });

  it("idle: a bound connection keeps it alive, as does each use", async () => {
    const { clock, one, signIn } = makeBench(
      { accessTokenSeconds: 3600 },
      { heartbeat: { intervalMs: 30_000 }, policy: { idleLimitSeconds: 86_400 } },
    );
    const { login } = await signIn();
    one.heartbeat.start();
    await clock.advance(3 * day);
    expect(login.current()).toMatchObject({ state: "live" });
    await one.heartbeat.stop();
  });

  it("idle: a connection that is bound in another process keeps it alive, though that process never refreshes it", async () => {
    const { clock, another, signIn } = makeBench(
      { accessTokenSeconds: 3600 },
      { heartbeat: { intervalMs: 30_000 }, policy: { idleLimitSeconds: 86_400 } },
    );
    const { record, login } = await signIn();
    const two = another("replica-2");
    two.heartbeat.start();
    await clock.advance(3 * day);
    expect(login.current()).toMatchObject({ state: "live" });
    login.release();
    await clock.advance(1.5 * day);
    expect(await two.core.sessions.get(record.id)).toMatchObject({ state: "login_required", reason: { code: "idle" } });
    await two.heartbeat.stop();
  });

  it("idle: short connections that each use it once a while keep it alive, though no refresh falls into one of them", async () => {
    const { clock, one, server, store } = makeBench(
      { accessTokenSeconds: 3600 },
      { heartbeat: { intervalMs: 30_000 }, policy: { idleLimitSeconds: 86_400 } },
    );
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    one.heartbeat.start();
    for (let hour = 0; hour < 60; hour += 1) {
      const login = await one.watch(record);
      await tryAcquire(one, login);
      login.release();
      await clock.advance(3_600_000);
    }
    expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "live" });
    await clock.advance(day + 2 * 3_600_000);
    expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "login_required", reason: { code: "idle" } });
    await one.heartbeat.stop();
  });

  it("absolute: even a login session in use needs a sign-in then", async () => {
    const { clock, one, server, signIn } = makeBench(
      { accessTokenSeconds: 3600 },
      { heartbeat: { intervalMs: 30_000 }, policy: { absoluteLimitSeconds: 86_400 } },
    );
    const { login } = await signIn();
    one.heartbeat.start();
    await clock.advance(day - 3_600_000);
    expect(login.current().state).toBe("live");
    await clock.advance(2 * 3_600_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "absolute_limit" } });
    expect(await tryAcquire(one, login)).toMatchObject({ code: "login_required", details: { reason: "absolute_limit" } });
    expect(server.isFamilyAlive(login.current().refreshToken)).toBe(false);
    await one.heartbeat.stop();
  });

  it("are kept to although the access token lives longer than they allow", async () => {
    const { clock, one, server, store } = makeBench(
      { accessTokenSeconds: 30 * 86_400 },
      { heartbeat: { intervalMs: 30_000 }, policy: { absoluteLimitSeconds: 3 * 86_400, idleLimitSeconds: 86_400 } },
    );
    const idle = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const used = await one.logins.start(server.signIn("bob"), { kind: "demo" });
    const login = await one.watch(used);
    one.heartbeat.start();
    await clock.advance(day + 60_000);
    expect(await store.loginSessions.get(idle.id)).toMatchObject({ state: "login_required", reason: { code: "idle" } });
    expect(login.current().state).not.toBe("login_required");
    await clock.advance(2 * day);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "absolute_limit" } });
    expect(server.presentations.length).toBeLessThanOrEqual(1);
    await one.heartbeat.stop();
  });

  it("absolute: begins anew with a new sign-in", async () => {
    const { clock, one, server, signIn } = makeBench(
      { accessTokenSeconds: 3600 },
      { heartbeat: { intervalMs: 30_000 }, policy: { absoluteLimitSeconds: 86_400 } },
    );
    const { record, login } = await signIn();
    one.heartbeat.start();
    await clock.advance(day + 60_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "absolute_limit" } });
    await one.logins.repair(record.handle, server.signIn("alice"));
    await clock.advance(day - 3_600_000);
    expect(login.current()).toMatchObject({ state: "live", epoch: 2 });
    await clock.advance(2 * 3_600_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "absolute_limit" } });
    await one.heartbeat.stop();
  });

  it("idle: a use that no refresh has written yet counts", async () => {
    const { clock, one, server, store } = makeBench(
      { accessTokenSeconds: 30 * 86_400 },
      { heartbeat: { intervalMs: 30_000 }, policy: { idleLimitSeconds: 86_400 } },
    );
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    one.heartbeat.start();
    await clock.advance(day / 2);
    const login = await one.watch(record);
    await tryAcquire(one, login);
    login.release();
    await clock.advance(day / 2 + 60_000);
    expect((await store.loginSessions.get(record.id))?.state).toBe("live");
    await clock.advance(day / 2 + 60_000);
    expect((await store.loginSessions.get(record.id))?.state).toBe("login_required");
    await one.heartbeat.stop();
  });

  it("a reply that comes after the limit is revoked", async () => {
    const replies = new Hold();
    const { clock, one, signIn, another, history, server } = makeBench(
      { accessTokenSeconds: 3600, pause: (point) => (point === "reply" ? replies.wait() : Promise.resolve()) },
      { heartbeat: { intervalMs: 1_000 }, policy: { absoluteLimitSeconds: 3_500 } },
    );
    const { login, record } = await signIn();
    const two = another("replica-2");
    await clock.advance(3_490_000);
    void tryAcquire(one, login, { rejected: record.accessTokens[0]?.accessToken });
    await settle();
    two.heartbeat.start();
    await clock.advance(30_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "absolute_limit" } });
    replies.open();
    await clock.advance(5_000);
    expect(login.current()).toMatchObject({ debts: [], revocation: "done" });
    expect(server.isFamilyAlive(record.refreshToken)).toBe(false);
    expect(history.check()).toEqual([]);
    await two.heartbeat.stop();
  });

  it("a reply that waits for its verification at the limit is revoked, with its rotated token (I4)", async () => {
    const { clock, one, server, signIn } = makeBench(
      { accessTokenSeconds: 3600 },
      { heartbeat: { intervalMs: 30_000 }, policy: { absoluteLimitSeconds: 3_500 } },
    );
    const { login, record } = await signIn();
    await clock.advance(3_450_000);
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    await tryAcquire(one, login, { rejected: record.accessTokens[0]?.accessToken });
    expect(login.current().pending).toBeDefined();
    one.heartbeat.start();
    await clock.advance(120_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "absolute_limit" }, debts: [] });
    expect(server.isFamilyAlive(record.refreshToken)).toBe(false);
    const rotated = [...server.issuedWith.values()].at(-1);
    expect(rotated).not.toBe(record.refreshToken);
    expect(server.revoked.map((each) => each.token)).toContain(rotated);
    await one.heartbeat.stop();
  });
});

describe("the tombstone of an ended login session", () => {
  it("is removed after a day, with its connection keys, and with nothing left anywhere (I16, R14)", async () => {
    const { clock, one, store, signIn } = makeBench({}, { heartbeat: { intervalMs: 60_000 } });
    const { record, login } = await signIn();
    const key: ConnectionKeyRecord = {
      id: "k1",
      hash: hashConnectionKey(newConnectionKey()),
      loginSessionId: record.id,
      name: "laptop",
      createdAt: clock.now(),
    };
    await store.connectionKeys.insert(key, 20);
    one.heartbeat.start();
    await one.logout.end(record.id, "logout");
    await clock.advance(23 * 3_600_000);
    expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "ended" });
    await clock.advance(2 * 3_600_000);
    expect(await store.loginSessions.get(record.id)).toBeUndefined();
    expect(await store.connectionKeys.getByHash(key.hash)).toBeUndefined();
    expect(login.current().state).toBe("ended");
    login.release();
    expect(store.sizes()).toEqual({
      records: 0,
      handles: 0,
      hashes: 0,
      sids: 0,
      users: 0,
      due: 0,
      listeners: 2,
      connectionKeys: 0,
      browserSessions: 0,
      loginTransactions: 0,
      importIntents: 0,
      imported: 0,
      usedIds: 0,
      authorizationServerRecords: 0,
      profiles: 0,
    });
    await expect(one.logout.end(record.id, "logout")).rejects.toMatchObject({ code: "not_found" });
    await one.heartbeat.stop();
  });

  it("stays while something is owed", async () => {
    const { clock, one, server, store, signIn } = makeBench({}, { heartbeat: { intervalMs: 60_000 } });
    const { record } = await signIn();
    server.revocationAnswer = unavailable;
    await one.logout.end(record.id, "logout");
    one.heartbeat.start();
    await clock.advance(3 * 86_400_000);
    expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "ended", revocation: "pending" });
    server.revocationAnswer = { kind: "revoked" };
    await clock.advance(600_000);
    expect(await store.loginSessions.get(record.id)).toBeUndefined();
    await one.heartbeat.stop();
  });

  it("of a login that needed a sign-in is removed after the idle limit, and not if it was repaired", async () => {
    const { clock, one, server, store, signIn } = makeBench({}, { policy: { idleLimitSeconds: 3_600 } });
    const { record, login } = await signIn();
    const kept = await signIn("bob");
    login.release();
    server.outage = { kind: "grant_dead", cause };
    one.heartbeat.start();
    await clock.advance(25_000);
    server.outage = undefined;
    expect(kept.login.current()).toMatchObject({ state: "login_required" });
    await one.logins.repair(kept.record.handle, server.signIn("bob"));
    await clock.advance(3_700_000);
    expect(await store.loginSessions.get(record.id)).toBeUndefined();
    expect(kept.login.current()).toMatchObject({ state: "live", epoch: 2 });
    await one.heartbeat.stop();
  });
});
