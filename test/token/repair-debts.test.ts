import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, tryAcquire } from "../support/token-bench.ts";

describe("the family that a repair replaces", () => {
  it("is revoked at once when another sid says that it is of another grant (F23)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { record, login } = await signIn("alice", "sid-1");
    one.heartbeat.start();
    const again = server.signIn("alice", "main", "sid-2");
    await one.logins.repair(record.handle, again);
    await clock.advance(1_000);
    expect(server.revoked).toEqual([{ kind: "refresh_token", token: record.refreshToken }]);
    expect(login.current()).toMatchObject({ state: "live", debts: [], refreshToken: again.tokens.refreshToken });
    expect(server.presentations).toHaveLength(0);
    await one.heartbeat.stop();
  });

  it.each([
    ["the same sid", "sid-1", "sid-1"],
    ["no sid", undefined, undefined],
    ["a sid that only the new one has", undefined, "sid-2"],
  ])("waits for the end of the new one with %s: both may be of one grant (F23)", async (_name, before, after) => {
    const { clock, one, server, signIn } = makeBench();
    const { record, login } = await signIn("alice", before);
    one.heartbeat.start();
    await one.logins.repair(record.handle, server.signIn("alice", "main", after));
    await clock.advance(10 * 60_000);
    expect(server.revoked).toEqual([]);
    expect(login.current()).toMatchObject({ state: "live", debts: [{ token: record.refreshToken }] });
    const refreshes = server.presentations.length;
    // Nor is the new one refreshed more often for it: 30 s tokens, refreshed after 16 to 22 s.
    expect(refreshes).toBeLessThanOrEqual(600 / 16);
    await one.logout.end(record.id, "logout");
    await clock.advance(1_000);
    expect(server.revoked.map((each) => each.token)).toContain(record.refreshToken);
    expect(login.current()).toMatchObject({ state: "ended", revocation: "done", debts: [] });
    await one.heartbeat.stop();
  });

  it("is revoked at once where the configuration says that every login has a grant of its own", async () => {
    const { clock, one, server, signIn } = makeBench({}, { authorizationServer: { sharedGrant: "revoke" } });
    const { record, login } = await signIn();
    one.heartbeat.start();
    await one.logins.repair(record.handle, server.signIn("alice"));
    await clock.advance(1_000);
    expect(server.isFamilyAlive(record.refreshToken)).toBe(false);
    expect(login.current()).toMatchObject({ state: "live", debts: [] });
    await one.heartbeat.stop();
  });

  it("stays owed while the revocation fails, and the login session is refreshed meanwhile (F21)", async () => {
    const { clock, one, server, signIn, history } = makeBench({}, { authorizationServer: { sharedGrant: "revoke" } });
    const { record, login } = await signIn();
    one.heartbeat.start();
    server.revocationAnswer = { kind: "unavailable", cause: new Error("503") };
    await one.logins.repair(record.handle, server.signIn("alice"));
    await clock.advance(10 * 60_000);
    expect(login.current()).toMatchObject({ state: "live", debts: [{ token: record.refreshToken }] });
    expect(login.current().generation).toBeGreaterThan(25);
    server.revocationAnswer = { kind: "revoked" };
    await clock.advance(6 * 60_000);
    expect(server.isFamilyAlive(record.refreshToken)).toBe(false);
    expect(login.current()).toMatchObject({ state: "live", debts: [] });
    expect(history.check({ healthy: true })).toEqual([]);
    await one.heartbeat.stop();
  });

  it("takes the debts of before with it: what an idle login session owed is paid after its repair too", async () => {
    const { clock, one, server, signIn } = makeBench(
      {},
      { policy: { idleLimitSeconds: 60 }, authorizationServer: { sharedGrant: "revoke" } },
    );
    const { record, login } = await signIn();
    login.release();
    one.heartbeat.start();
    server.revocationAnswer = { kind: "unavailable", cause: new Error("503") };
    await clock.advance(70_000);
    const idle = await one.core.sessions.get(record.id);
    expect(idle).toMatchObject({ state: "login_required", reason: { code: "idle" }, debts: [expect.anything()] });
    await one.logins.repair(record.handle, server.signIn("alice"));
    server.revocationAnswer = { kind: "revoked" };
    await clock.advance(20_000);
    expect(server.isFamilyAlive(record.refreshToken)).toBe(false);
    expect(await one.core.sessions.get(record.id)).toMatchObject({ state: "live", debts: [] });
    await one.heartbeat.stop();
  });

  it("owes what a refresh of it brings that was under way, and the new one lives, at every interleaving (I4, F23)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.boolean(), async (scheduler, apart) => {
        const held = (label: string) => scheduler.schedule(Promise.resolve(), label);
        const { clock, one, server, signIn } = makeBench({ pause: (point) => held(point), pauseOther: (point) => held(point) });
        const { record, login } = await signIn("alice", "sid-1");
        await clock.advance(25_000);
        const call = tryAcquire(one, login);
        const again = server.signIn("alice", "main", apart ? "sid-2" : "sid-1");
        const repair = held("repair").then(() => one.logins.repair(record.handle, again));
        await scheduler.waitIdle();
        await repair;
        await call;
        one.heartbeat.start();
        for (let turn = 0; turn < 45; turn += 1) {
          await clock.advance(1_000);
          await scheduler.waitIdle();
        }
        expect(login.current().state).toBe("live");
        expect(server.isFamilyAlive(again.tokens.refreshToken)).toBe(true);
        const owed = login.current().debts.length > 0;
        expect({ dead: !server.isFamilyAlive(record.refreshToken), owed }).toEqual({ dead: apart, owed: !apart });
        await one.heartbeat.stop();
      }),
      { numRuns: 60 },
    );
  });
});

describe("a late reply", () => {
  it("whose login session was purged meanwhile is revoked (I4)", async () => {
    const replies = new Hold();
    const { clock, one, server, store, signIn } = makeBench({ pause: (point) => (point === "reply" ? replies.wait() : Promise.resolve()) });
    const { record, login } = await signIn();
    await clock.advance(25_000);
    void tryAcquire(one, login);
    await settle();
    await one.logout.end(record.id, "logout");
    const ended = await one.core.sessions.get(record.id);
    if (ended !== undefined) await store.loginSessions.remove(record.id, ended.version);
    replies.open();
    await clock.advance(1_000);
    const revoked = server.revoked.map((each) => each.token);
    expect(revoked).toContain("rt-4");
    expect(one.flights.size).toBe(0);
  });

  it("that comes while another waits for its verification is looked at when that one proves to be none (I4)", async () => {
    const replies = new Hold();
    let calls = 0;
    const { clock, one, another, server, signIn } = makeBench(
      {
        accessTokenSeconds: 300,
        graceMs: 600_000,
        pause: async (point) => (point === "reply" && calls++ === 0 ? replies.wait() : undefined),
      },
      { authorizationServer: { reuseLeewaySeconds: 600 } },
    );
    const { record, login } = await signIn();
    await clock.advance(250_000);
    const late = tryAcquire(one, login);
    await settle();
    // The holder stands still past its deadline; another replica presents within the grace period and gets no token reply.
    const two = another("replica-2");
    const watched = await two.watch(record);
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    void tryAcquire(two, watched, { budgetMs: 60_000 });
    await clock.advance(30_000);
    const first = (await one.core.sessions.get(record.id))?.pending;
    expect(first).toBeDefined();
    replies.open();
    await settle();
    expect((await one.core.sessions.get(record.id))?.queued).toHaveLength(1);
    server.verificationAnswer = { kind: "unreadable", problem: "HTML" };
    let looks = 0;
    const verify = server.verify.bind(server);
    server.verify = (...args) => {
      looks += 1;
      if (looks === 2) server.verificationAnswer = undefined;
      return verify(...args);
    };
    one.heartbeat.start();
    await clock.advance(60_000);
    expect(await late).toBeDefined();
    const after = await one.core.sessions.get(record.id);
    expect(after).toMatchObject({ state: "live", pending: undefined, queued: undefined });
    expect(server.isActive(after?.refreshToken)).toBe(true);
    await one.heartbeat.stop();
  });
});

describe("with access tokens for several targets", () => {
  const reports = { resource: "https://reports.example", scopes: [] };

  it("the last presentation comes before the end of the one that is kept fresh, however long another lives", async () => {
    const { clock, one, server, signIn, history } = makeBench({ accessTokenSeconds: 300 });
    const { record, login } = await signIn();
    server.faults.push({ kind: "reply", fields: { expires_in: 7_200 } });
    await one.tokens.acquire(login, reports);
    await clock.advance(245_000);
    server.faults.push({ kind: "lose_request" });
    await tryAcquire(one, login);
    expect(login.current().state).toBe("uncertain");
    one.heartbeat.start();
    await clock.advance(60_000);
    expect(login.current().state).toBe("live");
    expect(history.reasonsOf(record.id).at(2)).toBe("last_presentation");
    await one.heartbeat.stop();
  });

  it("a refusal of the one that is kept fresh is tried again before its own end", async () => {
    const { clock, one, server, signIn } = makeBench({ accessTokenSeconds: 300 });
    const { login } = await signIn();
    server.faults.push({ kind: "reply", fields: { expires_in: 7_200 } });
    await one.tokens.acquire(login, reports);
    one.heartbeat.start();
    server.faults.push({ kind: "answer", outcome: { kind: "refused", cause: new Error("too early") } });
    await clock.advance(299_000);
    const kept = login.current().accessTokens.find((each) => each.target.resource === undefined);
    expect(kept?.obtainedAt).toBeGreaterThan(clock.now() - 100_000);
    await one.heartbeat.stop();
  });
});

describe("a wall clock that is set back an hour while the holder of a claim is dead", () => {
  it("costs one attempt's time and not the hour (I15, F25)", async () => {
    const never = new Hold();
    const { clock, one, another, server, signIn, history } = makeBench({
      pause: (point) => (point === "request" ? never.wait() : Promise.resolve()),
    });
    const { record, login } = await signIn();
    await clock.advance(25_000);
    void tryAcquire(one, login);
    await settle();
    expect(login.current().state).toBe("refreshing");
    never.on = false;
    clock.jumpWall(-3_600_000);
    const two = another("replica-2");
    const watched = await two.watch(record);
    two.heartbeat.start();
    void tryAcquire(two, watched, { budgetMs: 60_000 });
    await clock.advance(60_000);
    expect(watched.current().state).toBe("live");
    expect(server.isActive(watched.current().refreshToken)).toBe(true);
    expect(history.reasonsOf(record.id).slice(0, 2)).toEqual(["demand", "last_presentation"]);
    await two.heartbeat.stop();
  });
});
