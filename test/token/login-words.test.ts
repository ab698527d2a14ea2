import { describe, expect, it } from "vitest";
import type { LoginSessionHandle } from "../../src/session/login-session.ts";
import { hookedStore } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { makeBench, makeReplica } from "../support/token-bench.ts";

const day = 86_400_000;

describe("what the audit is told of a sign-in", () => {
  it("a new login: whose it is, where, and how it came", async () => {
    const { one, server } = makeBench();
    const record = await one.logins.start(server.signIn("alice"), { kind: "local", profile: "work" });
    expect(one.events).toEqual([{ event: "login_completed", login: record.handle, issuer: server.issuer, origin: "local" }]);
  });

  it("a repair: which sign-in of the login session it is", async () => {
    const { one, server, signIn } = makeBench();
    const { record } = await signIn();
    one.events.length = 0;
    await one.logins.repair(record.handle, server.signIn("alice"));
    expect(one.events).toEqual([{ event: "login_repaired", login: record.handle, issuer: server.issuer, epoch: 2 }]);
  });

  it("a repair that is refused: why, and that the new tokens were revoked", async () => {
    const { one, server, signIn } = makeBench();
    const { record } = await signIn("alice");
    const ended = await signIn("carol");
    await one.logout.end(ended.record.id, "logout", { waitForRevocationMs: 1_000 });
    for (const [handle, subject, code] of [
      [record.handle, "bob", "forbidden"],
      [ended.record.handle, "carol", "login_ended"],
      ["ls_0" as LoginSessionHandle, "alice", "not_found"],
    ] as const) {
      one.events.length = 0;
      await expect(one.logins.repair(handle, server.signIn(subject))).rejects.toMatchObject({ code });
      expect(one.events).toEqual([
        { event: "login_refused", login: handle, issuer: server.issuer, code },
        { event: "revocation_done", issuer: server.issuer, token: "refresh_token", outcome: "revoked" },
        { event: "revocation_done", issuer: server.issuer, token: "access_token", outcome: "revoked" },
      ]);
    }
  });
});

describe("after a sign-in", () => {
  it.each(["start", "repair"] as const)("introspection is probed with the token that is surely current: %s", async (how) => {
    const { clock, one, server, signIn } = makeBench({ introspection: "denies" });
    const { record } = await signIn();
    await settle();
    await clock.advance(700_000);
    const asked = server.introspections;
    if (how === "start") await one.logins.start(server.signIn("alice"), { kind: "demo" });
    else await one.logins.repair(record.handle, server.signIn("alice"));
    await settle();
    expect(server.introspections).toBe(asked + 1);
  });

  it("trust in introspection that was earned before is written on the new login session at once", async () => {
    const { one, server } = makeBench();
    one.core.issuers.mustGet("main").introspectionTrusted = true;
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    expect(record.observed).toEqual({ rotation: "unknown", introspection: "trusted" });
  });
});

describe("a repaired login session", () => {
  it("is what was there before, with all that the new sign-in decides, and owes what it replaced (I5)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { record } = await signIn();
    await clock.advance(5_000);
    const again = server.signIn("alice", "main", "sid-2");
    await clock.advance(1_000);
    const repaired = await one.logins.repair(record.handle, again);
    expect(repaired).toEqual({
      ...record,
      principal: again.principal,
      epoch: 2,
      generation: 2,
      version: 2,
      repairedAt: clock.now(),
      lastUsedAt: clock.now(),
      refreshToken: again.tokens.refreshToken,
      refreshTokenHash: again.tokens.refreshToken && one.core.hash(again.tokens.refreshToken),
      consumedRefreshTokenHash: record.refreshTokenHash,
      accessTokens: [
        {
          target: { scopes: [] },
          accessToken: again.tokens.accessToken,
          grantedScopes: [],
          obtainedAt: again.obtainedAt,
          expiresAt: again.obtainedAt + 30_000,
        },
      ],
      idToken: again.tokens.idToken,
      health: { lastRefreshAt: clock.now(), failures: 0, refusals: 0 },
      revocation: "pending",
      debts: [
        {
          kind: "refresh_token",
          token: record.refreshToken,
          tries: 0,
          nextTryAt: clock.now(),
          expiresAt: clock.now() + 30 * day,
          sid: undefined,
        },
      ],
      nextDueAt: again.obtainedAt + 19_500,
    });
  });

  it("owes nothing when the server gave the same refresh token again: revoking it would end the new login", async () => {
    const { one, server, signIn } = makeBench({}, { authorizationServer: { sharedGrant: "revoke" } });
    const { record, login } = await signIn();
    const again = server.signIn("alice");
    const repaired = await one.logins.repair(record.handle, {
      ...again,
      tokens: { ...again.tokens, refreshToken: record.refreshToken },
    });
    expect(repaired).toMatchObject({ debts: [], revocation: "none", refreshToken: record.refreshToken });
    expect(login.current()).toMatchObject({ state: "live", epoch: 2 });
  });

  it.each(["ended", "gone"] as const)("is none when the record is %s by the time that it is written (I11)", async (what) => {
    const { clock, server, store } = makeBench();
    const overtake = { by: async (): Promise<void> => {} };
    const loginSessions = hookedStore(store.loginSessions, {
      before: async (operation) => {
        if (operation !== "get") return;
        const { by } = overtake;
        overtake.by = async () => {};
        await by();
      },
    });
    const one = makeReplica({ clock, server, store, loginSessions });
    const two = makeReplica({ clock, server, store, owner: "replica-2" });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    await settle();
    overtake.by = async () => {
      await two.logout.end(record.id, "logout", { waitForRevocationMs: 1_000 });
      const ended = await store.loginSessions.get(record.id);
      if (what === "gone") await store.loginSessions.remove(record.id, ended?.version ?? 0);
    };
    const again = server.signIn("alice");
    await expect(one.logins.repair(record.handle, again)).rejects.toMatchObject({ code: "login_ended" });
    expect(server.isFamilyAlive(again.tokens.refreshToken)).toBe(false);
    expect(one.events.map(({ event }) => event)).not.toContain("login_repaired");
  });
});
