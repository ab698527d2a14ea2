import { describe, expect, it } from "vitest";
import { type Logger, silentLogger } from "../../src/logger.ts";
import type { AccessToken, AttemptId, LoginSession, PendingReply, RefreshToken } from "../../src/session/login-session.ts";
import type { RawReply } from "../../src/token/ports.ts";
import { settleReply, storeReply, verifyPending } from "../../src/token/reply-settlement.ts";
import { aLoginSession, inState, openAttempt } from "../session/records.ts";
import { makeBench, type ReplicaOptions } from "../support/token-bench.ts";

const dayMs = 86_400_000;
const target = { scopes: [] };

/** A body of the model authorization server. */
function bodyOf(name: string, fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ access_token: `at-${name}`, refresh_token: `rt-${name}`, expires_in: 30, subject: "alice", ...fields });
}

function pendingOf(at: number, body: string, attemptId: AttemptId = openAttempt.id): PendingReply {
  return { attemptId, target, sentAt: at, receivedAt: at, body, verificationTries: 0, nextVerificationAt: at };
}

/** A record that waits for the reply of `openAttempt`, put into the store as `change` makes it. */
async function stored(
  change: (now: number) => Partial<LoginSession> = () => ({}),
  state: LoginSession["state"] = "refreshing",
  replica: Partial<ReplicaOptions> = {},
) {
  const errors: string[] = [];
  const logger: Logger = { ...silentLogger, error: (message) => void errors.push(message) };
  const bench = makeBench({}, { logger, ...replica });
  const { clock, one, store } = bench;
  const now = clock.now();
  const record: LoginSession = {
    ...inState(aLoginSession("a"), state),
    version: 1,
    createdAt: now,
    lastUsedAt: now,
    nextDueAt: now + 1_234,
    ...change(now),
  };
  await store.loginSessions.insert(record);
  const reply: RawReply = { sentAt: now - 200, receivedAt: now - 100, body: bodyOf("new") };
  return {
    ...bench,
    record,
    reply,
    now,
    errors,
    claimed: { ...record, principal: { ...record.principal, sid: "sid-of-the-claim" } },
    read: async () => {
      const found = await store.loginSessions.get(record.id);
      if (found === undefined) throw new Error("the record is gone");
      return found;
    },
    core: one.core,
    events: one.events,
  };
}

describe("a reply that is stored", () => {
  it("waits for its verification as it came, and is not stored twice (F10)", async () => {
    const { core, claimed, reply, read, record, events } = await stored();
    const pending = {
      attemptId: openAttempt.id,
      target,
      sentAt: reply.sentAt,
      receivedAt: reply.receivedAt,
      body: reply.body,
      verificationTries: 0,
      nextVerificationAt: reply.receivedAt,
    };
    for (let time = 0; time < 2; time += 1) {
      expect(await storeReply(core, claimed, openAttempt, reply)).toMatchObject({ arrival: "keep" });
      expect(await read()).toEqual({ ...record, version: 2, pending, nextDueAt: reply.receivedAt });
    }
    expect(events).toEqual([]);
  });

  it("is owed by a login session that has ended, to the grant of its claim (I4, I12)", async () => {
    const { core, claimed, reply, read, record, events, now } = await stored(() => ({}), "ended");
    expect(await settleReply(core, claimed, openAttempt, reply)).toMatchObject({ state: "ended" });
    const { debts, nextDueAt } = await read();
    expect(debts).toMatchObject([
      { kind: "refresh_token", token: "rt-new", sid: "sid-of-the-claim", nextTryAt: now },
      { kind: "access_token", token: "at-new", sid: "sid-of-the-claim", nextTryAt: now },
    ]);
    expect(nextDueAt).toBe(now);
    expect(events).toEqual([{ event: "late_reply_revoked", login: record.handle, tokens: 2 }]);
    await settleReply(core, claimed, openAttempt, reply);
    expect((await read()).debts).toHaveLength(2);
  });

  it("of a login that a sign-in has replaced is owed, and the new one is not refreshed any sooner (I4)", async () => {
    const fresh = (now: number): Partial<LoginSession> => ({
      epoch: 2,
      generation: 2,
      accessTokens: aLoginSession("a").accessTokens.map((entry) => ({ ...entry, obtainedAt: now, expiresAt: now + 30_000 })),
      principal: { ...aLoginSession("a").principal, sid: "sid-of-the-repair" },
    });
    const live = await stored(fresh, "live");
    const other = { ...live.claimed, principal: { ...live.record.principal, sid: "sid-of-the-repair" } };
    await settleReply(live.core, other, openAttempt, live.reply);
    expect(await live.read()).toMatchObject({ state: "live", nextDueAt: live.now + 19_500, debts: [{}, {}] });
    const refreshing = await stored(fresh, "refreshing");
    await settleReply(refreshing.core, { ...refreshing.claimed }, openAttempt, refreshing.reply);
    expect(await refreshing.read()).toMatchObject({ state: "refreshing", nextDueAt: refreshing.now + 1_234, debts: [{}, {}] });
    const over = await stored((now) => ({ ...fresh(now), accessTokens: [] }), "login_required");
    await settleReply(over.core, over.claimed, openAttempt, over.reply);
    expect(await over.read()).toMatchObject({ state: "login_required", nextDueAt: over.now, debts: [{}, {}] });
  });

  it("that nobody waits for any more is dropped, with a word in the audit: revoking it would end the live family", async () => {
    const { core, claimed, reply, read, record, server, events } = await stored(() => ({ generation: 2 }), "live");
    expect(await settleReply(core, claimed, openAttempt, reply)).toEqual(record);
    expect(await read()).toEqual(record);
    expect(server.revocationTries).toBe(0);
    expect(server.verifications).toBe(0);
    expect(events).toEqual([{ event: "late_reply_dropped", login: record.handle, generation: 2, state: "live" }]);
  });

  it("that is dropped is no occasion to look at the one that is pending", async () => {
    const { core, claimed, reply, read, record, server } = await stored((at) => ({
      generation: 2,
      attempts: [{ ...openAttempt, id: "attempt-2" as AttemptId, generation: 2 }],
      pending: pendingOf(at, bodyOf("other"), "attempt-2" as AttemptId),
    }));
    await settleReply(core, claimed, openAttempt, reply);
    expect(await read()).toEqual(record);
    expect(server.verifications).toBe(0);
  });

  it("of a record that is gone is revoked at once (I4)", async () => {
    const { core, claimed, reply, record, store, server, events } = await stored();
    await store.loginSessions.remove(record.id, record.version);
    expect(await storeReply(core, claimed, openAttempt, reply)).toMatchObject({ record: undefined });
    expect(server.revoked.map(({ token }) => token)).toEqual(["rt-new", "at-new"]);
    expect(events.map(({ event }) => event)).toEqual(["revocation_done", "revocation_done"]);
  });
});

describe("a pending reply that is verified", () => {
  it.each([
    ["refreshing", "refresh_committed"],
    ["uncertain", "late_reply_adopted"],
  ] as const)("is published, and is due again by its own lifetime: %s", async (state, event) => {
    const { core, record, read, now, events, server } = await stored(
      (at) => ({ pending: pendingOf(at, bodyOf("new")), attempts: [{ ...openAttempt, lost: state === "uncertain" }] }),
      state,
    );
    core.issuers.mustGet("main").introspectionTrusted = true;
    await verifyPending(core, record);
    expect(await read()).toMatchObject({
      state: "live",
      generation: 2,
      refreshToken: "rt-new",
      pending: undefined,
      attempts: [],
      observed: { introspection: "trusted" },
      refreshTokenExpiresAt: undefined,
      nextDueAt: now + 19_500,
    });
    expect(events).toEqual([{ event, login: record.handle, generation: 2, issuer: server.issuer }]);
    // A second time there is nothing to verify.
    const after = await read();
    expect(await verifyPending(core, after)).toBe(after);
    expect(server.verifications).toBe(1);
    await verifyPending(core, record);
    expect(await read()).toEqual(after);
    expect(events).toHaveLength(1);
  });

  it("knows the end of its refresh token by what the reply says, else by the configuration, else by introspection", async () => {
    const end = async (said: number | undefined, configured: number | undefined, learnt: number | undefined): Promise<unknown> => {
      const { core, record, read, now } = await stored(
        (at) => ({ pending: pendingOf(at, bodyOf("new", { refresh_expires_in: said })) }),
        "refreshing",
        { authorizationServer: { refreshTokenLifetimeSeconds: configured } },
      );
      core.issuers.mustGet("main").learntRefreshLifetimeSeconds = learnt;
      await verifyPending(core, record);
      const { refreshTokenExpiresAt } = await read();
      return refreshTokenExpiresAt === undefined ? undefined : (refreshTokenExpiresAt - now) / 1000;
    };
    expect(await end(600, 700, 800)).toBe(600);
    expect(await end(undefined, 700, 800)).toBe(700);
    expect(await end(undefined, undefined, 800)).toBe(800);
    expect(await end(undefined, undefined, undefined)).toBeUndefined();
  });
});

describe("a pending reply that cannot be verified", () => {
  it("yet is looked at again with backoff, from a second to half a minute, and the audit says why (F18)", async () => {
    for (const [tries, waitMs] of [
      [0, 550],
      [3, 4_400],
      [10, 16_500],
    ] as const) {
      const { core, record, read, now, events, server } = await stored((at) => ({
        pending: { ...pendingOf(at, bodyOf("new")), verificationTries: tries },
      }));
      server.verificationAnswer = { kind: "unavailable", problem: "no keys" };
      await verifyPending(core, record);
      expect(await read()).toMatchObject({
        state: "refreshing",
        pending: { verificationTries: tries + 1, nextVerificationAt: now + waitMs },
        nextDueAt: now + waitMs,
        health: { failures: 1, lastFailure: { kind: "unverified", at: now } },
      });
      expect(events).toEqual([{ event: "refresh_failed", login: record.handle, kind: "unverified", problem: "no keys" }]);
    }
  });

  it("since it is none counts as lost from now on, and the audit says why (F13)", async () => {
    const { core, record, read, now, events, server } = await stored((at) => ({ pending: pendingOf(at, "<html>") }));
    server.verificationAnswer = { kind: "unreadable", problem: "HTML" };
    await verifyPending(core, record);
    expect(await read()).toMatchObject({
      state: "uncertain",
      pending: undefined,
      attempts: [{ lost: true }],
      nextDueAt: now,
      health: { lastFailure: { kind: "ambiguous", at: now } },
    });
    expect(events).toEqual([{ event: "refresh_failed", login: record.handle, kind: "ambiguous", problem: "HTML" }]);
  });
});

describe("a reply of somebody else's tokens", () => {
  const revocable = [{ kind: "refresh_token" as const, token: "rt-mallory" as RefreshToken }];
  const mismatch = { kind: "identity_mismatch", problem: "another subject", revocable } as const;
  const second = "attempt-2" as AttemptId;

  it("needs a new sign-in, and is owed with all that came behind it; an alarm says so (F18, I7)", async () => {
    const { core, record, read, now, events, errors, server } = await stored(
      (at) => ({ pending: pendingOf(at, bodyOf("mallory")), queued: [pendingOf(at, bodyOf("behind"), second)] }),
      "refreshing",
      { policy: { idleLimitSeconds: 3_600 } },
    );
    server.verificationAnswer = mismatch;
    await verifyPending(core, record);
    const after = await read();
    expect(after).toMatchObject({ state: "login_required", reason: { code: "identity", at: now }, pending: undefined, queued: undefined });
    expect(after.debts).toMatchObject([
      { token: "rt-mallory", foreign: true },
      { token: "rt-behind", foreign: true },
      { token: "at-behind", foreign: true },
    ]);
    expect(events).toEqual([{ event: "identity_mismatch", login: record.handle, issuer: server.issuer, problem: "another subject" }]);
    expect(errors).toHaveLength(1);
  });

  it("with nothing to revoke leaves a record that is removed after the idle limit", async () => {
    const { core, record, read, now, server } = await stored((at) => ({ pending: pendingOf(at, "{}") }), "refreshing", {
      policy: { idleLimitSeconds: 3_600 },
    });
    server.verificationAnswer = { ...mismatch, revocable: [] };
    await verifyPending(core, record);
    expect(await read()).toMatchObject({ state: "login_required", debts: [], nextDueAt: now + 3_600_000 });
  });

  it("that came too late is owed by the record that was given up, which then waits for the next in the queue", async () => {
    const lost = (at: number): Partial<LoginSession> => ({
      pending: pendingOf(at, bodyOf("mallory")),
      attempts: [{ ...openAttempt, lost: true }],
      reason: { code: "lost_reply", at },
    });
    const queued = (at: number) => pendingOf(at, bodyOf("behind"), second);
    const { core, record, read, now, server } = await stored((at) => ({ ...lost(at), queued: [queued(at)] }), "login_required");
    server.verificationAnswer = mismatch;
    await verifyPending(core, record);
    expect(await read()).toMatchObject({
      state: "login_required",
      pending: queued(now),
      queued: undefined,
      attempts: record.attempts,
      debts: [{ token: "rt-mallory", foreign: true }],
    });
    const last = await stored((at) => ({ ...lost(at), queued: [queued(at), queued(at)] }), "login_required");
    last.server.verificationAnswer = mismatch;
    await verifyPending(last.core, last.record);
    expect((await last.read()).queued).toEqual([queued(last.now)]);
    const alone = await stored(lost, "login_required");
    alone.server.verificationAnswer = { ...mismatch, revocable: [] };
    await verifyPending(alone.core, alone.record);
    expect(await alone.read()).toMatchObject({ version: 2, pending: undefined, attempts: [], debts: [] });
  });

  it("changes nothing when the record has ended, or waits for another reply, by the time that it was looked at (I11)", async () => {
    for (const change of [
      (now: number): Partial<LoginSession> => ({ ...inState(aLoginSession("a"), "ended"), version: 2, nextDueAt: now }),
      (now: number): Partial<LoginSession> => ({ version: 2, pending: pendingOf(now, bodyOf("other"), second) }),
      (): Partial<LoginSession> => ({ version: 2, state: "live", pending: undefined, attempts: [] }),
    ]) {
      const { core, record, read, now, server, store } = await stored((at) => ({ pending: pendingOf(at, bodyOf("mallory")) }));
      const next: LoginSession = { ...record, ...change(now) };
      await store.loginSessions.commit(next);
      server.verificationAnswer = mismatch;
      await verifyPending(core, record);
      expect(await read()).toEqual(next);
    }
  });
});

describe("a late reply without a refresh token, for a login session that was given up as lost", () => {
  it("cannot bring it back: what it brought is owed (I4)", async () => {
    const { core, record, read, now, events } = await stored(
      (at) => ({
        pending: pendingOf(at, JSON.stringify({ access_token: "at-late", expires_in: 30, subject: "alice" })),
        attempts: [{ ...openAttempt, lost: true }],
        reason: { code: "lost_reply", at },
      }),
      "login_required",
    );
    await verifyPending(core, record);
    expect(await read()).toMatchObject({
      state: "login_required",
      pending: undefined,
      attempts: [],
      debts: [{ kind: "access_token", token: "at-late" as AccessToken, nextTryAt: now, expiresAt: expect.any(Number) }],
      revocation: "pending",
    });
    expect((await read()).debts[0]?.expiresAt).toBeLessThan(now + dayMs);
    expect((await read()).debts[0]).not.toHaveProperty("foreign");
    expect(events).toEqual([]);
  });

  it("touches nothing of a record that waits for another reply by then", async () => {
    const { core, record, read, store } = await stored(
      (at) => ({
        pending: pendingOf(at, JSON.stringify({ access_token: "at-late", expires_in: 30, subject: "alice" })),
        attempts: [{ ...openAttempt, lost: true }],
        reason: { code: "lost_reply", at },
      }),
      "login_required",
    );
    for (const pending of [undefined, pendingOf(0, bodyOf("other"), "attempt-2" as AttemptId)]) {
      const current = await read();
      const next = { ...current, version: current.version + 1, pending };
      await store.loginSessions.commit(next);
      await verifyPending(core, record);
      expect(await read()).toEqual(next);
    }
  });
});
