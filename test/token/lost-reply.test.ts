import { describe, expect, it } from "vitest";
import { hookedStore } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import type { ModelOptions } from "../support/model-authorization-server.ts";
import { Hold, makeBench, makeReplica, type ReplicaOptions, tryAcquire } from "../support/token-bench.ts";

const cause = new Error("as the server was");

/** Five minute tokens: margin 60 s, attempt limit 20 s. Lost at 250 s; the access token ends at 300 s. */
async function lostReply(
  kind: "lose_reply" | "lose_request" | "delay_request",
  model: Partial<ModelOptions> = {},
  replica: Partial<ReplicaOptions> = {},
) {
  const bench = makeBench({ accessTokenSeconds: 300, ...model }, replica);
  const signedIn = await bench.signIn();
  await bench.clock.advance(250_000);
  bench.server.faults.push({ kind });
  const served = await tryAcquire(bench.one, signedIn.login);
  expect(served).toMatchObject({ accessToken: signedIn.record.accessTokens[0]?.accessToken });
  expect(signedIn.login.current()).toMatchObject({ state: "uncertain", attempts: [{ lost: true }] });
  return { ...bench, ...signedIn };
}

describe("a lost reply, without any way to know", () => {
  it("serves the access token, presents once more near its end, and then needs a sign-in (F4, without introspection)", async () => {
    const { clock, one, server, login, history, record } = await lostReply("lose_reply");
    one.heartbeat.start();
    await clock.advance(18_000);
    // 300 s - 20 s attempt limit - 60 s margin = 220 s have passed already: the last presentation is due after the attempt's deadline.
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: record.accessTokens[0]?.accessToken });
    await clock.advance(62_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "lost_reply" } });
    expect(history.reasonsOf(record.id)).toEqual(["demand", "last_presentation"]);
    expect(server.reuseEvents).toBe(1);
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("waits with the last presentation until expiry - attempt limit - margin", async () => {
    const { clock, one, server, signIn, history } = makeBench({ accessTokenSeconds: 300 });
    const { login, record } = await signIn();
    await clock.advance(100_000);
    server.faults.push({ kind: "lose_request" });
    await tryAcquire(one, login, { rejected: record.accessTokens[0]?.accessToken });
    one.heartbeat.start();
    await clock.advance(119_000);
    expect(history.reasonsOf(record.id)).toEqual(["rejected"]);
    expect(login.current()).toMatchObject({ state: "uncertain", nextDueAt: record.createdAt + 220_000 });
    await clock.advance(2_000);
    expect(history.reasonsOf(record.id)).toEqual(["rejected", "last_presentation"]);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    await one.heartbeat.stop();
  });

  it("saves a login whose request never arrived (F5)", async () => {
    const { clock, one, server, login, history } = await lostReply("lose_request");
    one.heartbeat.start();
    await clock.advance(60_000);
    expect(login.current()).toMatchObject({ state: "live", generation: 2, attempts: [] });
    expect(server.reuseEvents).toBe(0);
    expect(history.check()).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("`retire`: never presents a token that may be spent; the access token is served to its end", async () => {
    const { clock, one, server, login, history } = await lostReply("lose_request", {}, { authorizationServer: { lostReply: "retire" } });
    one.heartbeat.start();
    await clock.advance(49_000);
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.any(String) });
    await clock.advance(2_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "lost_reply" } });
    expect(server.presentations).toHaveLength(1);
    expect(server.reuseEvents).toBe(0);
    expect(history.check({ retires: true })).toEqual([]);
    await one.heartbeat.stop();
  });

  it("presents again at a server that was configured, or seen, not to rotate", async () => {
    const configured = await lostReply("lose_reply", { rotates: false }, { authorizationServer: { rotation: "never" } });
    await configured.clock.advance(21_000);
    await tryAcquire(configured.one, configured.login);
    expect(configured.history.reasonsOf(configured.record.id)).toEqual(["demand", "not_rotating"]);
    expect(configured.login.current()).toMatchObject({ state: "live", generation: 2 });

    const { clock, one, server, signIn, history } = makeBench({ rotates: false, accessTokenSeconds: 300 });
    const { login, record } = await signIn();
    await clock.advance(250_000);
    await tryAcquire(one, login);
    await clock.advance(90_000);
    server.faults.push({ kind: "lose_reply" });
    await tryAcquire(one, login, { rejected: login.current().accessTokens[0]?.accessToken });
    await clock.advance(21_000);
    await tryAcquire(one, login, { rejected: login.current().accessTokens[0]?.accessToken });
    expect(history.reasonsOf(record.id)).toEqual(["demand", "rejected", "not_rotating"]);
    expect(login.current()).toMatchObject({ state: "live", generation: 3 });
  });

  it("goes on presenting with backoff while answers are lost, and never dies of that (I10)", async () => {
    const { clock, one, server, login, history } = await lostReply("lose_request");
    server.outage = { kind: "ambiguous", cause };
    one.heartbeat.start();
    await clock.advance(20 * 60_000);
    expect(login.current()).toMatchObject({ state: "uncertain" });
    expect(await tryAcquire(one, login)).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    server.outage = undefined;
    await clock.advance(60_000);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });
});

describe("a lost reply within a grace period", () => {
  const grace = { authorizationServer: { reuseLeewaySeconds: 30 } };

  it("presents the same token once more and lives (F3)", async () => {
    const { clock, one, server, login, history, record } = await lostReply("lose_reply", { graceMs: 30_000 }, grace);
    one.heartbeat.start();
    await clock.advance(30_000);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(history.reasonsOf(record.id)).toEqual(["demand", "within_grace"]);
    expect(server.reuseEvents).toBe(0);
    expect(history.check()).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("presents it twice at most, then waits for the last call", async () => {
    const { clock, one, server, signIn, history } = makeBench(
      { accessTokenSeconds: 3600, graceMs: 600_000 },
      { authorizationServer: { reuseLeewaySeconds: 600 } },
    );
    const { login, record } = await signIn();
    await clock.advance(1_000_000);
    server.outage = { kind: "ambiguous", cause };
    one.heartbeat.start();
    void tryAcquire(one, login, { rejected: record.accessTokens[0]?.accessToken });
    await clock.advance(590_000);
    expect(history.reasonsOf(record.id)).toEqual(["rejected", "within_grace", "within_grace"]);
    server.outage = undefined;
    expect(login.current()).toMatchObject({ state: "uncertain" });
    await one.heartbeat.stop();
  });

  describe("lost twice in a row, when the access token has ended", () => {
    const options = { accessTokenSeconds: 30, graceMs: 30_000 };

    async function lostTwice(model: Partial<ModelOptions> = {}) {
      const bench = makeBench({ ...options, ...model }, grace);
      const signedIn = await bench.signIn();
      await bench.clock.advance(31_000);
      bench.server.faults.push({ kind: "lose_reply" }, { kind: "lose_reply" });
      return { ...bench, ...signedIn };
    }

    it("lets callers wait for the second presentation within the grace period, who come before and after it failed", async () => {
      const { clock, one, server, login, history, record } = await lostTwice();
      const early = tryAcquire(one, login);
      await settle();
      expect(login.current()).toMatchObject({ state: "uncertain" });
      const late = tryAcquire(one, login);
      await clock.advance(1_000);
      expect(login.current()).toMatchObject({ state: "live", generation: 2 });
      const accessToken = login.current().accessTokens[0]?.accessToken;
      expect([await early, await late]).toMatchObject([{ accessToken }, { accessToken }]);
      expect(history.reasonsOf(record.id)).toEqual(["demand", "within_grace", "within_grace"]);
      expect(server.reuseEvents).toBe(0);
      expect(history.check()).toEqual([]);
    });

    it("tells a caller at once whose budget ends before it", async () => {
      const { clock, one, login } = await lostTwice();
      const waiting = tryAcquire(one, login);
      await settle();
      expect(await tryAcquire(one, login, { budgetMs: 10 })).toMatchObject({ code: "authorization_server_unavailable" });
      await clock.advance(1_000);
      expect(await waiting).toMatchObject({ accessToken: expect.any(String) });
    });

    it("lets a caller go who goes away", async () => {
      const { one, login, history, record } = await lostTwice();
      const gone = new AbortController();
      const waiting = tryAcquire(one, login, { signal: gone.signal });
      await settle();
      gone.abort();
      expect(await waiting).toMatchObject({ code: "cancelled" });
      expect(history.reasonsOf(record.id)).toEqual(["demand", "within_grace"]);
    });

    it("lets nobody wait once the grace period has been used up", async () => {
      const { clock, one, server, login } = await lostTwice();
      server.faults.push({ kind: "lose_reply" });
      const waiting = tryAcquire(one, login);
      await clock.advance(1_000);
      expect(await waiting).toMatchObject({ code: "authorization_server_unavailable" });
      expect(await tryAcquire(one, login)).toMatchObject({ code: "authorization_server_unavailable" });
    });
  });

  it("does not count the grace period from a failed attempt that never reached the server", async () => {
    const { clock, one, server, login, history, record } = await lostReply("lose_reply", { graceMs: 30_000 }, grace);
    server.faults.push({ kind: "answer", outcome: { kind: "not_sent", cause } });
    server.faults.push({ kind: "answer", outcome: { kind: "not_sent", cause } });
    one.heartbeat.start();
    await clock.advance(29_000);
    expect(history.reasonsOf(record.id)).toEqual(["demand", "within_grace", "within_grace", "within_grace"]);
    expect(login.current()).toMatchObject({ state: "live" });
    await one.heartbeat.stop();
  });

  it("does not use it after its end", async () => {
    const { clock, one, login, history, record } = await lostReply("lose_reply", { graceMs: 30_000 }, grace);
    await clock.advance(31_000);
    await tryAcquire(one, login);
    expect(history.reasonsOf(record.id)).toEqual(["demand", "last_presentation"]);
  });
});

describe("a lost reply where introspection is trusted", () => {
  const works = { introspection: "works" } as const;

  it("probes after a login whether it can be trusted, once", async () => {
    const { one, server, signIn } = makeBench(works);
    await signIn();
    await settle();
    await signIn("bob");
    await settle();
    expect(server.introspections).toBe(1);
    expect(one.core.issuers.mustGet("main").introspectionTrusted).toBe(true);
  });

  it("active: presents again, as the token was never used (F5)", async () => {
    const { clock, one, server, login, history, record } = await lostReply("lose_request", works);
    one.heartbeat.start();
    await clock.advance(30_000);
    expect(history.reasonsOf(record.id)).toEqual(["demand", "introspected_active"]);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(server.reuseEvents).toBe(0);
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("inactive: presents nothing, serves the access token to its end, then needs a sign-in; no reuse alarm (F4, with introspection)", async () => {
    const { clock, one, server, login, history, record } = await lostReply("lose_reply", works);
    one.heartbeat.start();
    await clock.advance(48_000);
    expect(login.current()).toMatchObject({ state: "uncertain" });
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: record.accessTokens[0]?.accessToken });
    await clock.advance(4_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "lost_reply" } });
    expect(server.presentations).toHaveLength(1);
    expect(server.reuseEvents).toBe(0);
    // Not asked at every beat: once after the deadline, once at the end.
    expect(server.introspections).toBeLessThanOrEqual(4);
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("asks only after the attempt's deadline: a request that is still on its way would make the answer wrong", async () => {
    const { clock, one, server, login, history, record } = await lostReply("delay_request", works);
    one.heartbeat.start();
    await clock.advance(15_000);
    server.deliverDelayed();
    await clock.advance(40_000);
    expect(history.reasonsOf(record.id)).toEqual(["demand"]);
    expect(server.reuseEvents).toBe(0);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "lost_reply" } });
    await one.heartbeat.stop();
  });

  it("unavailable: presents nothing, asks again with backoff, and ends no login (I10)", async () => {
    const { clock, one, server, login, history } = await lostReply("lose_request", works);
    server.introspectionAnswer = { kind: "unavailable", cause };
    one.heartbeat.start();
    await clock.advance(10 * 60_000);
    expect(login.current()).toMatchObject({ state: "uncertain" });
    expect(server.presentations).toHaveLength(1);
    expect(await tryAcquire(one, login)).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    server.introspectionAnswer = undefined;
    await clock.advance(60_000);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    // At most every 2.5 s or so.
    expect(server.introspections).toBeLessThan(260);
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("unsupported after all: goes on to the next way out", async () => {
    const { clock, one, server, login, history, record } = await lostReply("lose_request", works);
    server.introspectionAnswer = { kind: "unsupported" };
    one.heartbeat.start();
    await clock.advance(45_000);
    expect(history.reasonsOf(record.id)).toEqual(["demand", "last_presentation"]);
    expect(login.current()).toMatchObject({ state: "live" });
    await one.heartbeat.stop();
  });

  it("looks first after a server error, and does not present a token that turned out to be spent (F4)", async () => {
    const { clock, one, server, signIn, history } = makeBench({ ...works, accessTokenSeconds: 300 });
    const { login, record } = await signIn();
    await clock.advance(250_000);
    const refresh = server.refresh.bind(server);
    server.refresh = async (request) => {
      server.refresh = refresh;
      // Rotated, and then it broke.
      await refresh(request);
      return { kind: "server_error", cause };
    };
    one.heartbeat.start();
    await tryAcquire(one, login);
    expect(login.current()).toMatchObject({ state: "live" });
    await clock.advance(55_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "lost_reply" } });
    expect(server.reuseEvents).toBe(0);
    expect(history.reasonsOf(record.id)).toEqual(["demand"]);
    await one.heartbeat.stop();
  });

  it("is not asked where it is configured `never`", async () => {
    const { clock, one, server, history, record } = await lostReply("lose_request", works, {
      authorizationServer: { introspection: "never" },
    });
    one.heartbeat.start();
    await clock.advance(45_000);
    expect(server.introspections).toBe(0);
    expect(history.reasonsOf(record.id)).toEqual(["demand", "last_presentation"]);
    await one.heartbeat.stop();
  });

  it("is not trusted when it denies this client: no live login is killed by it (F46)", async () => {
    const { clock, one, server, login, history, record } = await lostReply("lose_request", { introspection: "denies" });
    expect(server.introspections).toBe(1);
    one.heartbeat.start();
    await clock.advance(60_000);
    expect(one.core.issuers.mustGet("main").introspectionTrusted).toBe(false);
    expect(history.reasonsOf(record.id)).toEqual(["demand", "last_presentation"]);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("forgets what introspection said once another presentation has been lost since", async () => {
    const requests = new Hold();
    requests.on = false;
    const introspections = new Hold();
    introspections.on = false;
    const { clock, one, server, login, another, record, history } = await lostReply("lose_request", {
      ...works,
      pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()),
      pauseOther: (point) => (point === "introspect" ? introspections.wait() : Promise.resolve()),
    });
    const two = another("replica-2");
    two.core.issuers.mustGet("main").introspectionTrusted = true;
    const there = await two.watch(record);
    await clock.advance(21_000);
    introspections.on = true;
    // Both ask; both will hear "active".
    const a = tryAcquire(one, login);
    await settle();
    const b = tryAcquire(two, there);
    await settle();
    expect(introspections.size).toBe(2);
    server.faults.push({ kind: "lose_reply" });
    introspections.letOne();
    await settle();
    expect(login.current()).toMatchObject({ state: "uncertain" });
    expect(login.current().attempts).toHaveLength(2);
    await clock.advance(61_000);
    server.introspectionAnswer = { kind: "active" };
    introspections.letOne();
    await settle();
    server.introspectionAnswer = undefined;
    introspections.open();
    await settle();
    await Promise.all([a, b]);
    // The second one has to look again; then it sees that the token is spent.
    expect(server.reuseEvents).toBe(0);
    expect(history.reasonsOf(record.id)).toEqual(["demand", "introspected_active"]);
  });
});

describe("a late answer", () => {
  /** Replica one claims and hangs; replica two gives up on it after its deadline. Tokens of 30 s. */
  async function givenUp(model: Partial<ModelOptions> = {}, replica: Partial<ReplicaOptions> = {}) {
    const replies = new Hold();
    const bench = makeBench({ pause: (point) => (point === "reply" ? replies.wait() : Promise.resolve()), ...model }, replica);
    const { clock, one, another, signIn } = bench;
    const { record, login } = await signIn();
    const two = another("replica-2");
    const there = await two.watch(record);
    await clock.advance(20_000);
    const first = one.tokens.acquire(login, { scopes: [] }, { rejected: record.accessTokens[0]?.accessToken });
    const hung = Promise.resolve(first).catch((error: unknown) => error);
    await settle();
    expect(there.current()).toMatchObject({ state: "refreshing", attempts: [{ owner: "replica-1" }] });
    two.heartbeat.start();
    return { ...bench, replies, record, login, two, there, hung };
  }

  it("is given up on after the attempt limit and the settle time, not before; then section 3 goes on (F7, F11, I15)", async () => {
    const { clock, there, two, record, replies } = await givenUp();
    // Claimed at 20 s; 7.5 s attempt limit, 5 s settle time.
    await clock.advance(12_400);
    expect(there.current()).toMatchObject({ state: "refreshing" });
    await clock.advance(1_000);
    expect(there.current().attempts).toMatchObject([
      { owner: "replica-1", lost: true },
      { owner: "replica-2", reason: "last_presentation" },
    ]);
    expect(record.generation).toBe(1);
    replies.open();
    await two.heartbeat.stop();
  });

  it("is adopted while the record is uncertain for that attempt (F11)", async () => {
    const { clock, there, two, replies, history, server, one } = await givenUp({}, { authorizationServer: { lostReply: "retire" } });
    // The access token has 10 s to live; `retire` gives up at its end, and the owner is given up on only after that: read in between.
    await clock.advance(12_400);
    expect(there.current().state).toBe("refreshing");
    replies.open();
    await settle();
    expect(there.current()).toMatchObject({ state: "live", generation: 2 });
    expect(server.isActive(there.current().refreshToken)).toBe(true);
    expect(history.check({ retires: true })).toEqual([]);
    expect(one.events.filter((each) => each.event === "refresh_committed" || each.event === "late_reply_adopted")).toHaveLength(1);
    await two.heartbeat.stop();
  });

  it("is adopted from uncertain, with an audit line", async () => {
    const replies = new Hold();
    const { clock, one, another, signIn, server, history } = makeBench({
      accessTokenSeconds: 300,
      pause: (point) => (point === "reply" ? replies.wait() : Promise.resolve()),
    });
    const { record, login } = await signIn();
    const two = another("replica-2");
    const there = await two.watch(record);
    await clock.advance(100_000);
    void tryAcquire(one, login, { rejected: record.accessTokens[0]?.accessToken });
    two.heartbeat.start();
    await clock.advance(100_000);
    expect(there.current()).toMatchObject({ state: "uncertain", attempts: [{ lost: true }] });
    replies.open();
    await settle();
    expect(there.current()).toMatchObject({ state: "live", generation: 2, attempts: [] });
    expect(one.events.map((each) => each.event)).toContain("late_reply_adopted");
    expect(server.isActive(there.current().refreshToken)).toBe(true);
    expect(history.check()).toEqual([]);
    await two.heartbeat.stop();
  });

  it("brings a login back that was given up as lost, for that very attempt (I11)", async () => {
    const { clock, there, two, replies, history, server } = await givenUp({}, { authorizationServer: { lostReply: "retire" } });
    await clock.advance(20_000);
    expect(there.current()).toMatchObject({ state: "login_required", reason: { code: "lost_reply" } });
    replies.open();
    await settle();
    expect(there.current()).toMatchObject({ state: "live", generation: 2, epoch: 1, reason: undefined });
    expect(server.isActive(there.current().refreshToken)).toBe(true);
    expect(history.check({ retires: true })).toEqual([]);
    expect(history.checkSettled()).toEqual([]);
    await two.heartbeat.stop();
  });

  it("brings a login back even if it can be verified only later (I4, F18)", async () => {
    const { clock, there, two, replies, server } = await givenUp({}, { authorizationServer: { lostReply: "retire" } });
    await clock.advance(20_000);
    expect(there.current()).toMatchObject({ state: "login_required" });
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    replies.open();
    await settle();
    expect(there.current()).toMatchObject({ state: "login_required", pending: { verificationTries: 1 } });
    server.verificationAnswer = undefined;
    await clock.advance(1_000);
    expect(there.current()).toMatchObject({ state: "live", generation: 2 });
    await two.heartbeat.stop();
  });

  it("does not bring back a login that was signed in again, nor one that ended otherwise (I11)", async () => {
    const { clock, there, two, replies, one, server, record } = await givenUp({}, { authorizationServer: { lostReply: "retire" } });
    await clock.advance(20_000);
    const again = server.signIn("alice");
    await one.logins.repair(record.handle, again);
    replies.open();
    await settle();
    expect(there.current()).toMatchObject({ state: "live", epoch: 2, refreshToken: again.tokens.refreshToken });
    expect(server.revoked).toEqual([]);
    await two.heartbeat.stop();
  });

  it("is dropped and audited, never revoked, when the record is live at the same or a later generation (F11)", async () => {
    const { clock, there, two, replies, one, server, history } = await givenUp(
      { graceMs: 60_000 },
      { authorizationServer: { reuseLeewaySeconds: 60 } },
    );
    await clock.advance(13_000);
    // Replica two presents within the grace period; its reply comes first.
    expect(server.presentations).toHaveLength(2);
    expect(replies.size).toBe(2);
    replies.letLast();
    await settle();
    expect(there.current()).toMatchObject({ state: "live", generation: 2 });
    const live = there.current().refreshToken;
    replies.letGo();
    await settle();
    expect(there.current()).toMatchObject({ state: "live", generation: 2, refreshToken: live });
    expect(one.events.map((each) => each.event)).toContain("late_reply_dropped");
    expect(server.revoked).toEqual([]);
    expect(server.isActive(live)).toBe(true);
    expect(history.check()).toEqual([]);
    await two.heartbeat.stop();
  });

  it("is revoked when the login session has ended in the meantime (I12, F20)", async () => {
    const { clock, there, two, replies, one, server, record, history } = await givenUp(
      {},
      { authorizationServer: { lostReply: "retire" } },
    );
    await clock.advance(20_000);
    await two.logout.end(record.id, "logout");
    replies.open();
    await settle();
    await clock.advance(2_000);
    expect(there.current()).toMatchObject({ state: "ended", debts: [] });
    expect(server.revoked.map((each) => each.kind)).toEqual(["refresh_token", "access_token"]);
    expect(one.events.map((each) => each.event)).toContain("late_reply_revoked");
    expect(history.checkSettled()).toEqual([]);
    await two.heartbeat.stop();
  });

  it("that the request never left makes the login session live again (F6)", async () => {
    const answers = new Hold();
    const { clock, one, another, signIn, server } = makeBench({ accessTokenSeconds: 300 });
    const { record, login } = await signIn();
    const two = another("replica-2");
    const there = await two.watch(record);
    await clock.advance(100_000);
    const refresh = server.refresh.bind(server);
    server.refresh = async () => {
      server.refresh = refresh;
      await answers.wait();
      return { kind: "not_sent", cause };
    };
    void tryAcquire(one, login, { rejected: record.accessTokens[0]?.accessToken });
    two.heartbeat.start();
    await clock.advance(40_000);
    expect(there.current()).toMatchObject({ state: "uncertain" });
    answers.open();
    await settle();
    expect(there.current()).toMatchObject({ state: "live", attempts: [] });
    await two.heartbeat.stop();
  });

  it("that is unreadable does not open the way for a second presentation beside one that is under way (I1)", async () => {
    const { clock, there, two, replies, one, server, login, history } = await givenUp(
      { graceMs: 60_000 },
      { authorizationServer: { reuseLeewaySeconds: 60 } },
    );
    await clock.advance(13_000);
    expect(there.current()).toMatchObject({ state: "refreshing", attempts: [{ lost: true }, { owner: "replica-2", lost: false }] });
    server.verificationAnswer = { kind: "unreadable", problem: "HTML" };
    replies.letOne();
    await settle();
    server.verificationAnswer = undefined;
    expect(there.current()).toMatchObject({ state: "refreshing", pending: undefined });
    void tryAcquire(one, login);
    await settle();
    expect(server.presentations).toHaveLength(2);
    replies.open();
    await clock.advance(1_000);
    expect(there.current()).toMatchObject({ state: "live" });
    expect(history.check()).toEqual([]);
    await two.heartbeat.stop();
  });
});

it("presents nothing when it stood still between its claim and its request, and wakes up after its deadline (F11, I1)", async () => {
  const commits = new Hold();
  commits.on = false;
  const { clock, server, store, history } = makeBench();
  const one = makeReplica({
    clock,
    server,
    store,
    loginSessions: hookedStore(store.loginSessions, { after: (operation) => (operation === "commit" ? commits.wait() : undefined) }),
  });
  const two = makeReplica({ clock, server, store, owner: "replica-2" });
  const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
  const login = await one.watch(record);
  await clock.advance(20_000);
  commits.on = true;
  const call = tryAcquire(one, login, { rejected: record.accessTokens[0]?.accessToken });
  await settle();
  expect(commits.size).toBe(1);
  two.heartbeat.start();
  await clock.advance(14_000);
  commits.open();
  await clock.advance(1_000);
  expect(history.reasonsOf(record.id)).toEqual(["last_presentation"]);
  expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "live", generation: 2 });
  expect(server.reuseEvents).toBe(0);
  expect(history.check()).toEqual([]);
  await call;
  await two.heartbeat.stop();
});

it("gives a presentation only what is left of its attempt's time (F11)", async () => {
  const { clock, server, store } = makeBench();
  const timeouts: number[] = [];
  const refresh = server.refresh.bind(server);
  server.refresh = (request) => {
    timeouts.push(request.timeoutMs);
    return refresh(request);
  };
  let slowMs = 0;
  const loginSessions = hookedStore(store.loginSessions, {
    after: (operation) =>
      operation === "commit" && slowMs > 0 ? new Promise((resolve) => void clock.schedule(slowMs, resolve)) : undefined,
  });
  const one = makeReplica({ clock, server, store, loginSessions });
  const login = await one.watch(await one.logins.start(server.signIn("alice"), { kind: "demo" }));
  await clock.advance(31_000);
  slowMs = 2_000;
  void tryAcquire(one, login);
  await clock.advance(10_000);
  expect(timeouts).toEqual([5_500]);
});

it("goes on in another replica when the first one never comes back (F7, I15)", async () => {
  const { clock, one, server, store, signIn, history } = makeBench({ introspection: "works" });
  const { record, login } = await signIn();
  const dead = server.refresh.bind(server);
  let presented = 0;
  server.refresh = (request) => {
    presented += 1;
    return presented === 1 ? new Promise(() => {}) : dead(request);
  };
  await clock.advance(25_000);
  void tryAcquire(one, login);
  await settle();
  expect(login.current()).toMatchObject({ state: "refreshing" });
  const two = makeReplica({ clock, server, store, owner: "replica-2" });
  two.core.issuers.mustGet("main").introspectionTrusted = true;
  two.heartbeat.start();
  await clock.advance(14_000);
  const there = await two.watch(record);
  expect(there.current()).toMatchObject({ state: "live", generation: 2 });
  expect(server.reuseEvents).toBe(0);
  expect(history.violations).toEqual([]);
  await two.heartbeat.stop();
});
