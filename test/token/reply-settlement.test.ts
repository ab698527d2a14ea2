import { describe, expect, it } from "vitest";
import type { LoginSession } from "../../src/session/login-session.ts";
import { hookedStore, type StoreHooks, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, makeReplica, tryAcquire } from "../support/token-bench.ts";

const keysAway = { kind: "unavailable", problem: "the keys cannot be fetched" } as const;

describe("a reply that cannot be verified yet", () => {
  it("is neither served nor presented; the old access token is served to its end; no second POST (F18, I7)", async () => {
    const { clock, one, server, signIn, history } = makeBench();
    const { login, record } = await signIn();
    const old = record.accessTokens[0]?.accessToken;
    server.verificationAnswer = keysAway;
    one.heartbeat.start();
    await clock.advance(25_000);
    expect(login.current()).toMatchObject({
      state: "refreshing",
      generation: 1,
      refreshToken: record.refreshToken,
      health: { lastFailure: { kind: "unverified" } },
    });
    const kept = login.current().pending?.body ?? "";
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: old });
    await clock.advance(10_000);
    const error = await tryAcquire(one, login);
    expect(error).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    expect(kept).not.toContain(String(old));
    expect(server.presentations).toHaveLength(1);
    server.verificationAnswer = undefined;
    await clock.advance(31_000);
    expect(login.current()).toMatchObject({ state: "live", pending: undefined });
    expect(history.snapshots.get(record.id)?.find((each) => each.generation === 2)?.accessTokens[0]?.accessToken).toBe(
      JSON.parse(kept).access_token,
    );
    expect(history.check({ healthy: true })).toEqual([]);
    await one.heartbeat.stop();
  });

  it("is verified with backoff, not at every call, and whoever asks waits for the next try (F18, I13)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { login } = await signIn();
    await clock.advance(31_000);
    server.verificationAnswer = keysAway;
    for (let call = 0; call < 100; call += 1) {
      expect(await tryAcquire(one, login)).toMatchObject({ code: "authorization_server_unavailable" });
      await clock.advance(100);
    }
    expect(server.verifications).toBeLessThan(12);
    expect(server.presentations).toHaveLength(1);
    server.verificationAnswer = undefined;
    await clock.advance(30_000);
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.any(String) });
  });

  it("is verified by another replica when this one is gone (F8, F18)", async () => {
    const { clock, one, server, store, signIn, history } = makeBench();
    const { login, record } = await signIn();
    await clock.advance(25_000);
    server.verificationAnswer = keysAway;
    await tryAcquire(one, login);
    server.verificationAnswer = undefined;
    const two = makeReplica({ clock, server, store, owner: "replica-2" });
    two.heartbeat.start();
    await clock.advance(3_000);
    expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "live", generation: 2, pending: undefined });
    expect(server.presentations).toHaveLength(1);
    expect(history.check({ healthy: true })).toEqual([]);
    await two.heartbeat.stop();
  });

  it("is verified by two replicas at one time and published once (I3)", async () => {
    const verifications = new Hold();
    const { clock, one, server, signIn, another, history, record, login } = await pendingReply(verifications);
    const two = another("replica-2");
    const there = await two.watch(record);
    await clock.advance(5_000);
    const calls = [tryAcquire(one, login), tryAcquire(two, there)];
    await settle();
    expect(verifications.size).toBe(2);
    verifications.open();
    const tokens = await Promise.all(calls);
    expect(tokens[0]).toEqual(tokens[1]);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(server.presentations).toHaveLength(1);
    expect(history.check({ healthy: true })).toEqual([]);
    void signIn;
  });

  it("is due again by the age of its tokens, not by the moment of its verification (I14)", async () => {
    const { clock, one, server, signIn } = makeBench({ accessTokenSeconds: 60, refreshExpiresInSeconds: 50, refreshTokenSeconds: 50 });
    const { login } = await signIn();
    server.verificationAnswer = keysAway;
    one.heartbeat.start();
    // Refreshed at 25 s; verified only some 35 s later: the new refresh token has 15 s to live.
    await clock.advance(50_000);
    server.verificationAnswer = undefined;
    await clock.advance(32_000);
    expect(login.current()).toMatchObject({ state: "live" });
    expect(server.isActive(login.current().refreshToken)).toBe(true);
    await one.heartbeat.stop();
  });
});

/** A login session whose reply is pending and whose next verification waits on `verifications`. */
async function pendingReply(verifications: Hold) {
  verifications.on = false;
  const bench = makeBench({ pauseOther: (point) => (point === "verify" ? verifications.wait() : Promise.resolve()) });
  const signedIn = await bench.signIn();
  await bench.clock.advance(25_000);
  bench.server.verificationAnswer = keysAway;
  await tryAcquire(bench.one, signedIn.login);
  bench.server.verificationAnswer = undefined;
  verifications.on = true;
  return { ...bench, ...signedIn };
}

describe("a reply with somebody else's tokens", () => {
  it("is never visible, revoked, and the login needs a sign-in, with an alarm (F18, I7)", async () => {
    const { clock, one, server, signIn, history } = makeBench();
    const { login, record } = await signIn("alice");
    server.faults.push({ kind: "subject", subject: "mallory" });
    one.heartbeat.start();
    await clock.advance(25_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "identity" }, pending: undefined, accessTokens: [] });
    await clock.advance(3_000);
    expect(server.revoked.map((each) => each.kind)).toEqual(["refresh_token", "access_token"]);
    expect(login.current()).toMatchObject({ debts: [], revocation: "done" });
    expect(one.events.map((each) => each.event)).toContain("identity_mismatch");
    expect(await tryAcquire(one, login)).toMatchObject({ code: "login_required", details: { reason: "identity" } });
    for (const snapshot of history.snapshots.get(record.id) ?? []) expect(JSON.stringify(snapshot.accessTokens)).not.toContain("mallory");
    expect(server.presentations).toHaveLength(1);
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("is refused by another replica after a crash in between as well (F18, I7)", async () => {
    const { clock, one, server, store, signIn } = makeBench();
    const { login, record } = await signIn("alice");
    await clock.advance(25_000);
    server.faults.push({ kind: "subject", subject: "mallory" });
    server.verificationAnswer = keysAway;
    await tryAcquire(one, login);
    server.verificationAnswer = undefined;
    const two = makeReplica({ clock, server, store, owner: "replica-2" });
    two.heartbeat.start();
    await clock.advance(5_000);
    expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "login_required", reason: { code: "identity" } });
    expect(server.revoked).toHaveLength(2);
    await two.heartbeat.stop();
  });

  it("leaves no reply behind when there is nothing in it to revoke", async () => {
    const { clock, one, server, another, signIn } = makeBench({}, { authorizationServer: { lostReply: "retire" } });
    const { login, record } = await signIn();
    const two = another("replica-2");
    await clock.advance(20_000);
    const answers = new Hold();
    const refresh = server.refresh.bind(server);
    server.refresh = async (request) => {
      const outcome = await refresh(request);
      await answers.wait();
      return outcome;
    };
    void tryAcquire(one, login, { rejected: record.accessTokens[0]?.accessToken });
    two.heartbeat.start();
    await clock.advance(20_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "lost_reply" } });
    server.verificationAnswer = { kind: "identity_mismatch", problem: "bad signature", revocable: [] };
    answers.open();
    await settle();
    expect(login.current()).toMatchObject({ state: "login_required", attempts: [] });
    expect(login.current().pending).toBeUndefined();
    await two.heartbeat.stop();
  });
});

it("treats a 200 that is no token reply as lost (F13)", async () => {
  const { clock, one, server, signIn, history } = makeBench({ introspection: "works" });
  const { login, record } = await signIn();
  await clock.advance(25_000);
  server.verificationAnswer = { kind: "unreadable", problem: "HTML" };
  await tryAcquire(one, login);
  expect(login.current()).toMatchObject({ state: "uncertain", pending: undefined, attempts: [{ lost: true }] });
  server.verificationAnswer = undefined;
  expect(history.reasonsOf(record.id)).toEqual(["demand"]);
  expect(history.check()).toEqual([]);
});

describe("a reply that brings no new refresh token, or the same", () => {
  it.each([{ refresh_token: undefined }, {}])("keeps the old one (F19, F41): %j", async (fields) => {
    const { clock, one, server, signIn } = makeBench({ rotates: false });
    const { login, record } = await signIn();
    one.heartbeat.start();
    for (let turn = 0; turn < 3; turn += 1) {
      server.faults.push({ kind: "reply", fields });
      await clock.advance(20_000);
    }
    expect(login.current()).toMatchObject({
      state: "live",
      generation: 4,
      refreshToken: record.refreshToken,
      observed: { rotation: "same" },
    });
    await one.heartbeat.stop();
  });

  it("brings a lost login back only with a refresh token, and leaves nothing pending without one", async () => {
    const { clock, one, server, another, signIn } = makeBench({ rotates: false }, { authorizationServer: { lostReply: "retire" } });
    const { login, record } = await signIn();
    const two = another("replica-2");
    await clock.advance(20_000);
    const answers = new Hold();
    const refresh = server.refresh.bind(server);
    server.faults.push({ kind: "reply", fields: { refresh_token: undefined } });
    server.refresh = async (request) => {
      const outcome = await refresh(request);
      await answers.wait();
      return outcome;
    };
    void tryAcquire(one, login, { rejected: record.accessTokens[0]?.accessToken });
    two.heartbeat.start();
    await clock.advance(20_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "lost_reply" } });
    answers.open();
    await settle();
    expect(login.current()).toMatchObject({ state: "login_required" });
    expect(login.current().pending).toBeUndefined();
    await two.heartbeat.stop();
  });
});

describe("a store that fails while a refresh is settled", () => {
  type Point = "claim" | "arrival" | "publication" | "failure";

  function pointOf(next: LoginSession): Point {
    if (next.pending !== undefined) return "arrival";
    if (next.state === "refreshing") return "claim";
    return next.generation > 1 ? "publication" : "failure";
  }

  /** Fails so many of the commits at this point, and all reads after it, before or after they are written. */
  function failing(when: "before" | "after", at: Point, commits: number, reads = 0) {
    let commitsLeft = commits;
    let readsLeft = 0;
    const hooks: StoreHooks = {
      [when]: (operation: string, detail: unknown) => {
        if (operation === "get" && readsLeft > 0) {
          readsLeft -= 1;
          throw storeAway();
        }
        if (operation !== "commit" || commitsLeft === 0 || pointOf(detail as LoginSession) !== at) return;
        commitsLeft -= 1;
        readsLeft = reads;
        throw storeAway();
      },
    };
    return hooks;
  }

  async function refreshWith(hooks: StoreHooks) {
    const bench = makeBench();
    const { clock, server, store } = bench;
    const one = makeReplica({ clock, server, store, loginSessions: hookedStore(store.loginSessions, hooks) });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const login = await one.watch(record);
    await clock.advance(25_000);
    const call = tryAcquire(one, login);
    await clock.advance(7_000);
    return { ...bench, one, record, login, token: await call };
  }

  it.each([
    { when: "before", at: "arrival" },
    { when: "after", at: "arrival" },
    { when: "before", at: "publication" },
    { when: "after", at: "publication" },
  ] as const)("$when the $at is written: nothing is lost, one POST, one generation (I4, F9, F10)", async ({ when, at }) => {
    const { login, server, history, record, store, token } = await refreshWith(failing(when, at, 2, 1));
    expect(token).toMatchObject({ accessToken: expect.any(String) });
    expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "live", generation: 2 });
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(server.presentations).toHaveLength(1);
    expect(history.check({ healthy: true })).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
  });

  it("before the claim is written: nothing is presented, the caller hears store_unavailable or gets the valid token (I2)", async () => {
    const { login, server, token } = await refreshWith(failing("before", "claim", 1));
    expect(server.presentations).toHaveLength(0);
    expect(token).toMatchObject({ code: "store_unavailable" });
    expect(login.current()).toMatchObject({ state: "live", generation: 1 });
  });

  it("after the claim was written: it is ours, and is presented once (I2, F10)", async () => {
    const { login, server, token, history } = await refreshWith(failing("after", "claim", 1));
    expect(token).toMatchObject({ accessToken: expect.any(String) });
    expect(server.presentations).toHaveLength(1);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(history.check({ healthy: true })).toEqual([]);
  });

  it("for ten minutes after the reply: the access token is served to its end, then the reply is published (F9, I4)", async () => {
    let away = false;
    const bench = makeBench();
    const { clock, server, store, history } = bench;
    const hooks: StoreHooks = {
      before: () => {
        if (away) throw storeAway();
      },
    };
    const one = makeReplica({ clock, server, store, loginSessions: hookedStore(store.loginSessions, hooks) });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const login = await one.watch(record);
    await clock.advance(20_000);
    const refresh = server.refresh.bind(server);
    server.refresh = async (request) => {
      const outcome = await refresh(request);
      away = true;
      return outcome;
    };
    const waiting = tryAcquire(one, login, { minimumValiditySeconds: 10 });
    await clock.advance(3_000);
    expect(server.presentations).toHaveLength(1);
    expect(one.tokens.acquire(login, { scopes: [] })).toMatchObject({ accessToken: record.accessTokens[0]?.accessToken });
    await clock.advance(5_000);
    expect(await waiting).toMatchObject({ code: "refresh_timeout", retryable: true });
    await clock.advance(600_000);
    server.refresh = refresh;
    away = false;
    await clock.advance(10_000);
    expect(login.current()).toMatchObject({ generation: 2 });
    expect(history.check()).toEqual([]);
  });

  it("while a failure is settled: the attempt is settled all the same (I15)", async () => {
    const bench = makeBench();
    const { clock, server, store } = bench;
    const one = makeReplica({ clock, server, store, loginSessions: hookedStore(store.loginSessions, failing("before", "failure", 4, 1)) });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const login = await one.watch(record);
    await clock.advance(25_000);
    server.faults.push({ kind: "answer", outcome: { kind: "not_sent", cause: new Error("down") } });
    void tryAcquire(one, login);
    await clock.advance(25_000);
    expect(login.current()).toMatchObject({ state: "live", attempts: [], generation: 1 });
  });

  it("shows an end whose acknowledgement was lost to whoever watches here (I12, F10)", async () => {
    const bench = makeBench();
    const { clock, server, store } = bench;
    let lose = false;
    const hooks: StoreHooks = {
      after: (operation) => {
        if (operation !== "commit" || !lose) return;
        lose = false;
        throw storeAway();
      },
    };
    const one = makeReplica({ clock, server, store, loginSessions: hookedStore(store.loginSessions, hooks) });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const login = await one.watch(record);
    lose = true;
    await expect(one.logout.end(record.id, "logout")).rejects.toMatchObject({ code: "store_unavailable" });
    await settle();
    expect(login.current()).toMatchObject({ state: "ended" });
    expect(await tryAcquire(one, login)).toMatchObject({ code: "login_ended" });
    // Asked again, it answers as if it had been told the first time, and the debt is paid.
    await expect(one.logout.end(record.id, "logout")).resolves.toMatchObject({ loginSession: { state: "ended" } });
    one.heartbeat.start();
    await clock.advance(2_000);
    expect(server.revoked.length).toBeGreaterThan(0);
    await one.heartbeat.stop();
  });
});

it("does not try for ever to store what can never be stored", async () => {
  const bench = makeBench();
  const { clock, server, store } = bench;
  const hooks: StoreHooks = {
    before: (operation, detail) => {
      if (operation === "commit" && (detail as LoginSession).pending !== undefined) throw new TypeError("a bug");
    },
  };
  const one = makeReplica({ clock, server, store, loginSessions: hookedStore(store.loginSessions, hooks) });
  const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
  const login = await one.watch(record);
  await clock.advance(25_000);
  void tryAcquire(one, login, { budgetMs: 600_000 }).catch(() => undefined);
  await clock.advance(300_000);
  expect(one.flights.size).toBe(0);
});
