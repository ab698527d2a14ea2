import { describe, expect, it } from "vitest";
import type { LoginSession } from "../../src/session/login-session.ts";
import { probeIntrospection } from "../../src/token/introspection-probe.ts";
import type { AuthorizationServerPolicy, IntrospectionOutcome } from "../../src/token/ports.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench } from "../support/token-bench.ts";

async function make(answer: IntrospectionOutcome, policy: Partial<AuthorizationServerPolicy> = {}, change: Partial<LoginSession> = {}) {
  const hold = new Hold();
  hold.on = false;
  const bench = makeBench(
    { pauseOther: (point) => (point === "introspect" ? hold.wait() : Promise.resolve()) },
    { authorizationServer: policy },
  );
  const { one, server, store, clock } = bench;
  server.introspectionAnswer = answer;
  const now = clock.now();
  const record = aLoginSession("a", { nextDueAt: now + 20_000, ...change });
  await one.core.sessions.insert(record);
  return {
    ...bench,
    now,
    hold,
    record,
    issuer: one.core.issuers.mustGet("main"),
    probe: () => probeIntrospection(one.core, record.id),
    stored: () => store.loginSessions.get(record.id),
  };
}

describe("a probe of introspection", () => {
  it("that finds a current refresh token active is trusted from then on, and not repeated (F46)", async () => {
    const { issuer, probe, server, stored, record } = await make({ kind: "active" });
    await probe();
    expect(issuer.introspectionTrusted).toBe(true);
    expect(issuer.learntRefreshLifetimeSeconds).toBeUndefined();
    expect(await stored()).toEqual({ ...record, version: 2, observed: { ...record.observed, introspection: "trusted" } });
    await probe();
    expect(server.introspections).toBe(1);
  });

  it.each<IntrospectionOutcome>([{ kind: "inactive" }, { kind: "unsupported" }, { kind: "unavailable", cause: new Error("down") }])(
    "that says $kind is not trusted, and repeated after ten minutes (F46)",
    async (answer) => {
      const { issuer, probe, server, clock } = await make(answer);
      await probe();
      await clock.advance(599_999);
      await probe();
      expect(server.introspections).toBe(1);
      await clock.advance(1);
      await probe();
      expect(server.introspections).toBe(2);
      expect(issuer.introspectionTrusted).toBe(false);
    },
  );

  it("is not made where it is configured `never`", async () => {
    const { issuer, probe, server } = await make({ kind: "active" }, { introspection: "never" });
    await probe();
    expect(server.introspections).toBe(0);
    expect(issuer.introspectionTrusted).toBe(false);
  });

  it.each(["refreshing", "uncertain", "login_required", "ended"] as const)(
    "is not made with a token that may be spent: %s",
    async (state) => {
      const { one, probe, server, record } = await make({ kind: "active" });
      const next = inState(record, state === "uncertain" ? "refreshing" : state);
      await one.core.sessions.commit(record, next);
      if (state === "uncertain") await one.core.sessions.commit(next, inState(next, "uncertain"));
      await probe();
      expect(server.introspections).toBe(0);
    },
  );

  it("learns how long refresh tokens live, and has this one refreshed in its first half", async () => {
    const { now, issuer, probe, stored, record, clock } = await make({ kind: "active", expiresAt: 0 });
    expect(now).toBe(clock.now());
    await probe();
    // Over already: a second at least.
    expect(issuer.learntRefreshLifetimeSeconds).toBe(1);
    expect(await stored()).toMatchObject({ version: record.version + 1, refreshTokenExpiresAt: 0 });
  });

  it.each([
    ["sooner than it was due", 30_400, 15_200, 30],
    ["not later than it was due", 100_600, 20_000, 101],
  ])("has it refreshed %s", async (_what, lifeMs, dueMs, seconds) => {
    const start = makeBench().clock.now();
    const { now, issuer, probe, stored } = await make({ kind: "active", expiresAt: start + lifeMs });
    await probe();
    expect(issuer.learntRefreshLifetimeSeconds).toBe(seconds);
    expect(await stored()).toMatchObject({ refreshTokenExpiresAt: now + lifeMs, nextDueAt: now + dueMs });
  });

  it("sets a date where there was none", async () => {
    const start = makeBench().clock.now();
    const { now, probe, stored } = await make({ kind: "active", expiresAt: start + 60_000 }, {}, { nextDueAt: undefined });
    await probe();
    expect(await stored()).toMatchObject({ nextDueAt: now + 30_000 });
  });

  it("does not overrule what the authorization server said itself", async () => {
    const { issuer, probe, stored, record } = await make({ kind: "active", expiresAt: 1 }, {}, { refreshTokenExpiresAt: 500_000 });
    await probe();
    expect(issuer.introspectionTrusted).toBe(true);
    expect(await stored()).toMatchObject({ refreshTokenExpiresAt: 500_000, nextDueAt: record.nextDueAt });
  });

  it("is remembered with the login session, for a process that starts after its reply was lost (F11)", async () => {
    const { one, probe, record, stored } = await make({ kind: "active" });
    await probe();
    const after = makeBench().one;
    expect(after.core.issuers.trustsIntrospection(record)).toBe(false);
    const seen = await stored();
    expect(seen && after.core.issuers.trustsIntrospection(seen)).toBe(true);
    // And so are the logins that this process has not asked about.
    expect(after.core.issuers.trustsIntrospection(record)).toBe(true);
    expect(one.core.issuers.trustsIntrospection(record)).toBe(true);
  });

  it.each(["refreshed", "ended"] as const)("says nothing of a record that was %s meanwhile", async (what) => {
    const { one, hold, probe, stored, record } = await make({ kind: "active", expiresAt: 1 });
    hold.on = true;
    const probing = probe();
    await settle();
    if (what === "ended") await one.core.sessions.commit(record, inState(record, "ended"));
    else {
      const claimed = inState(record, "refreshing");
      await one.core.sessions.commit(record, claimed);
      await one.core.sessions.commit(claimed, { ...inState(claimed, "live"), generation: 2, attempts: [] });
    }
    const before = await stored();
    hold.open();
    await probing;
    const after = await stored();
    expect(after?.refreshTokenExpiresAt).toBe(before?.refreshTokenExpiresAt);
    expect(after?.nextDueAt).toBe(before?.nextDueAt);
    if (what === "ended") expect(after).toEqual(before);
  });

  it("never fails: not without a record, not when the authorization server throws", async () => {
    const { one, server, record, probe } = await make({ kind: "active" });
    server.introspect = () => Promise.reject(new Error("unexpected"));
    await expect(probe()).resolves.toBeUndefined();
    await one.core.sessions.remove(record);
    await expect(probe()).resolves.toBeUndefined();
  });
});
