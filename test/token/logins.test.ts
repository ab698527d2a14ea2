import { describe, expect, it } from "vitest";
import type { LoginSessionHandle, RefreshToken } from "../../src/session/login-session.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, tryAcquire } from "../support/token-bench.ts";

const cause = new Error("as the server was");

describe("a new login", () => {
  it("is a record of its own each time, live, with one atomic snapshot (I5, B8)", async () => {
    const { clock, one, server } = makeBench({ refreshExpiresInSeconds: 600 });
    const a = await one.logins.start(server.signIn("alice"), { kind: "browser" });
    const b = await one.logins.start(server.signIn("alice"), { kind: "browser" });
    expect(a).toMatchObject({
      state: "live",
      epoch: 1,
      generation: 1,
      version: 1,
      refreshTokenExpiresAt: clock.now() + 600_000,
      debts: [],
      attempts: [],
    });
    expect(new Set([a.id, b.id, a.handle, b.handle]).size).toBe(4);
    expect(a.refreshToken).not.toBe(b.refreshToken);
    expect(String(a.handle)).not.toContain(String(a.id));
  });

  it("needs a refresh token, and says how to get one", async () => {
    const { one, server, store } = makeBench();
    const login = server.signIn("alice");
    await expect(
      one.logins.start({ ...login, tokens: { ...login.tokens, refreshToken: undefined } }, { kind: "browser" }),
    ).rejects.toMatchObject({ code: "login_failed", message: expect.stringContaining("offline_access") });
    expect(store.sizes().records).toBe(0);
  });

  it("tells the listeners and the audit, and never a token (B10)", async () => {
    const { one, server } = makeBench();
    const told: string[] = [];
    one.core.sessions.onChange((next, previous) => void told.push(`${previous?.state ?? "none"} ${next.state}`));
    const record = await one.logins.start(server.signIn("alice"), { kind: "browser" });
    expect(told).toEqual(["none live"]);
    expect(one.events).toMatchObject([{ event: "login_completed", login: record.handle }]);
    for (const token of [record.refreshToken, record.accessTokens[0]?.accessToken, record.idToken, record.id])
      expect(JSON.stringify(one.events)).not.toContain(String(token));
  });

  it("holds what was verified, and nothing else", async () => {
    const { clock, one, server } = makeBench();
    const login = server.signIn("alice", "main", "sid-1");
    await clock.advance(2_000);
    const record = await one.logins.start(login, { kind: "browser" });
    expect(record).toEqual({
      id: record.id,
      handle: record.handle,
      authorizationServer: "main",
      principal: login.principal,
      profile: { name: "alice" },
      origin: { kind: "browser" },
      createdAt: clock.now(),
      lastUsedAt: clock.now(),
      epoch: 1,
      generation: 1,
      version: 1,
      state: "live",
      reason: undefined,
      refreshToken: login.tokens.refreshToken,
      refreshTokenHash: one.core.hash(login.tokens.refreshToken ?? ("" as RefreshToken)),
      consumedRefreshTokenHash: undefined,
      importedRefreshTokenHash: undefined,
      refreshTokenExpiresAt: undefined,
      accessTokens: [
        {
          target: { scopes: [] },
          accessToken: login.tokens.accessToken,
          grantedScopes: [],
          obtainedAt: login.obtainedAt,
          expiresAt: login.obtainedAt + 30_000,
        },
      ],
      idToken: login.tokens.idToken,
      pending: undefined,
      queued: undefined,
      attempts: [],
      observed: { rotation: "unknown", introspection: "unknown" },
      health: { lastRefreshAt: clock.now(), failures: 0, refusals: 0 },
      revocation: "none",
      debts: [],
      nextDueAt: login.obtainedAt + 19_500,
    });
  });

  it("remembers the refresh token that was given for its own: as imported, and as consumed if it was rotated", async () => {
    const { one, server } = makeBench();
    const given = "rt-given" as RefreshToken;
    const rotated = await one.logins.start(server.signIn("alice"), { kind: "import" }, given);
    expect(rotated).toMatchObject({ importedRefreshTokenHash: one.core.hash(given), consumedRefreshTokenHash: one.core.hash(given) });
    const login = server.signIn("alice");
    const same = await one.logins.start(login, { kind: "import" }, login.tokens.refreshToken);
    expect(same).toMatchObject({ importedRefreshTokenHash: same.refreshTokenHash, consumedRefreshTokenHash: undefined });
  });

  it("knows the end of its refresh token by what the server says, else by the configuration, else by introspection", async () => {
    const started = async (said: number | undefined, configured: number | undefined, learnt: number | undefined): Promise<unknown> => {
      const { one, server } = makeBench(
        { refreshExpiresInSeconds: said },
        { authorizationServer: { refreshTokenLifetimeSeconds: configured } },
      );
      one.core.issuers.mustGet("main").learntRefreshLifetimeSeconds = learnt;
      const login = server.signIn("alice");
      const record = await one.logins.start(login, { kind: "browser" });
      return record.refreshTokenExpiresAt === undefined ? undefined : (record.refreshTokenExpiresAt - login.obtainedAt) / 1000;
    };
    expect(await started(600, 700, 800)).toBe(600);
    expect(await started(undefined, 700, 800)).toBe(700);
    expect(await started(undefined, undefined, 800)).toBe(800);
    expect(await started(undefined, undefined, undefined)).toBeUndefined();
  });

  it("shows that the authorization server is back: who waits there may try at once", async () => {
    const { one, server } = makeBench();
    const { gate } = one.core.issuers.mustGet("main");
    (await gate.enter("user", 0).entered).leave({ kind: "client_broken" });
    expect(gate.paused).toBe(true);
    await one.logins.start(server.signIn("alice"), { kind: "browser" });
    expect(gate).toMatchObject({ paused: false, closedForMs: 0 });
  });

  it("is due by the age of its tokens, not by the moment that it is stored (I14)", async () => {
    const { clock, one, server } = makeBench();
    const login = server.signIn("alice");
    await clock.advance(12_000);
    const record = await one.logins.start(login, { kind: "browser" });
    // 30 s tokens, in the middle of 0.55 to 0.75.
    expect(record.nextDueAt).toBe(login.obtainedAt + 19_500);
  });
});

describe("a repair", () => {
  it("replaces everything in one step; what is bound carries on; the epoch grows by one (I5, I11)", async () => {
    const { clock, one, server, signIn, history } = makeBench();
    const { record, login } = await signIn();
    await clock.advance(25_000);
    server.faults.push({ kind: "answer", outcome: { kind: "grant_dead", cause } });
    await tryAcquire(one, login);
    expect(login.current().state).toBe("login_required");
    const again = server.signIn("alice");
    const repaired = await one.logins.repair(record.handle, again);
    expect(repaired).toMatchObject({
      id: record.id,
      handle: record.handle,
      state: "live",
      epoch: 2,
      generation: 2,
      reason: undefined,
      refreshToken: again.tokens.refreshToken,
      health: { failures: 0, refusals: 0 },
      attempts: [],
    });
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: again.tokens.accessToken });
    expect(one.events.map((each) => each.event)).toContain("login_repaired");
    expect(history.violations.filter((each) => !each.startsWith("I9"))).toEqual([]);
  });

  it("works on a live login session as well, and a refresh that was under way touches nothing (I3)", async () => {
    const replies = new Hold();
    const { clock, one, server, signIn } = makeBench({ pause: (point) => (point === "reply" ? replies.wait() : Promise.resolve()) });
    const { record, login } = await signIn();
    await clock.advance(25_000);
    const call = tryAcquire(one, login);
    await settle();
    const again = server.signIn("alice");
    await one.logins.repair(record.handle, again);
    replies.open();
    expect(await call).toMatchObject({ accessToken: again.tokens.accessToken });
    expect(login.current()).toMatchObject({ state: "live", epoch: 2, generation: 2, refreshToken: again.tokens.refreshToken });
    expect(one.events.map((each) => each.event)).toContain("late_reply_revoked");
    expect(server.isActive(again.tokens.refreshToken)).toBe(true);
  });

  it("of another principal is refused: its tokens are revoked, the record stays as it was", async () => {
    const { one, server, store, signIn } = makeBench();
    const { record } = await signIn("alice");
    const bob = server.signIn("bob");
    await expect(one.logins.repair(record.handle, bob)).rejects.toMatchObject({ code: "forbidden" });
    expect(await store.loginSessions.get(record.id)).toEqual(record);
    expect(server.revoked.map((each) => each.token)).toEqual([bob.tokens.refreshToken, bob.tokens.accessToken]);
    for (const principal of [{ issuer: "https://other.example" }, { clientId: "another" }]) {
      const login = server.signIn("alice");
      await expect(one.logins.repair(record.handle, { ...login, principal: { ...login.principal, ...principal } })).rejects.toMatchObject({
        code: "forbidden",
      });
    }
    expect(await store.loginSessions.get(record.id)).toEqual(record);
  });

  it("refuses all the same when the new tokens cannot be revoked", async () => {
    const { one, server, signIn } = makeBench();
    const { record } = await signIn("alice");
    server.revocationAnswer = { kind: "unavailable", cause };
    await expect(one.logins.repair(record.handle, server.signIn("bob"))).rejects.toMatchObject({ code: "forbidden" });
    expect(one.events.map((each) => each.event)).toContain("revocation_failed");
  });

  it("of an ended login session, or of none, is refused and its tokens are revoked (I11)", async () => {
    const { one, server, signIn } = makeBench();
    const { record, login } = await signIn();
    await one.logout.end(record.id, "logout", { waitForRevocationMs: 1_000 });
    await expect(one.logins.repair(record.handle, server.signIn("alice"))).rejects.toMatchObject({ code: "login_ended" });
    await expect(one.logins.repair("ls_0" as LoginSessionHandle, server.signIn("alice"))).rejects.toMatchObject({ code: "not_found" });
    expect(login.current().state).toBe("ended");
    expect(server.revoked).toHaveLength(6);
  });

  it("that is overtaken by a logout does not bring the login session back (I11)", async () => {
    const { one, another, server, signIn, history } = makeBench();
    const { record, login } = await signIn();
    const two = another("replica-2");
    const again = server.signIn("alice");
    const [, repaired] = await Promise.allSettled([two.logout.end(record.id, "logout"), one.logins.repair(record.handle, again)]);
    await settle();
    expect(login.current().state).toBe("ended");
    if (repaired.status === "rejected") expect(repaired.reason).toMatchObject({ code: "login_ended" });
    expect(server.isActive(again.tokens.refreshToken)).toBe(false);
    expect(history.check()).toEqual([]);
  });

  it("knows the old refresh token as the consumed one", async () => {
    const { one, server, store, signIn } = makeBench();
    const { record } = await signIn();
    await one.logins.repair(record.handle, server.signIn("alice"));
    if (record.refreshToken === undefined) throw new Error("a live login session has one");
    expect(await store.loginSessions.getByRefreshTokenHash(one.core.hash(record.refreshToken))).toMatchObject({ id: record.id });
  });
});
