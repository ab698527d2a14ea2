import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LoginSession, LoginSessionState, RefreshToken } from "../../src/session/login-session.ts";
import { aLoginSession, inState, openAttempt } from "../session/records.ts";
import { hookedStore } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { makeBench } from "../support/token-bench.ts";

const dayMs = 86_400_000;
const hourMs = 3_600_000;

/** A login session of which maintenance is to do what is due. Idle limit: an hour. Tombstones: a day. */
async function make(state: LoginSessionState, change: (now: number) => Partial<LoginSession> = () => ({}), absoluteLimitSeconds?: number) {
  const bench = makeBench({}, { policy: { idleLimitSeconds: 3_600, absoluteLimitSeconds } });
  const { clock, one, store } = bench;
  const now = clock.now();
  const base = inState(aLoginSession("a"), state);
  const accessTokens = base.accessTokens.map((entry) => ({ ...entry, obtainedAt: now, expiresAt: now + 30_000 }));
  const record: LoginSession = {
    ...base,
    version: 1,
    createdAt: now,
    lastUsedAt: now,
    accessTokens,
    reason: base.reason && { ...base.reason, at: now },
    nextDueAt: now,
    ...change(now),
  };
  await one.core.sessions.insert(record);
  return {
    ...bench,
    now,
    record,
    stored: () => store.loginSessions.get(record.id),
    maintain: (setBack?: boolean) => one.maintenance.maintain(record.id, setBack),
    events: () => one.events.map((each) => ("reason" in each ? `${each.event} ${String(each.reason)}` : each.event)),
  };
}

describe("a login session that is not due", () => {
  it.each<[string, (now: number) => Partial<LoginSession>]>([
    ["yet", (now) => ({ nextDueAt: now + 1 })],
    ["at all", () => ({ nextDueAt: undefined })],
  ])("%s is left alone", async (_what, change) => {
    const { stored, maintain, record } = await make("ended", change);
    await maintain();
    expect(await stored()).toEqual(record);
  });

  it("counts as due when the clock was set back since it was written (F25)", async () => {
    const later = (now: number): Partial<LoginSession> => ({ nextDueAt: now + 1 });
    const told = await make("ended", later);
    await told.maintain(true);
    expect(await told.stored()).toMatchObject({ version: 2 });
    for (const change of [
      (now: number) => ({ ...later(now), reason: { code: "logout" as const, at: now + 5_001 } }),
      (now: number) => ({ ...later(now), health: { failures: 0, refusals: 0, lastRefreshAt: now + 5_001 } }),
      (now: number) => ({
        ...later(now),
        health: { failures: 1, refusals: 0, lastFailure: { kind: "not_sent" as const, at: now + 5_001 } },
      }),
    ]) {
      const seen = await make("ended", change);
      await seen.maintain();
      expect(await seen.stored()).toMatchObject({ version: 2 });
    }
    const near = await make("ended", (now) => ({ ...later(now), reason: { code: "logout", at: now + 5_000 } }));
    await near.maintain();
    expect(await near.stored()).toEqual(near.record);
  });
});

describe("a login session whose refresh another replica has just committed, after the clock was set back (F25, I14)", () => {
  const refreshedAgo = (agoMs: number) =>
    make("live", (now) => ({ nextDueAt: now + 20_000, health: { failures: 0, refusals: 0, lastRefreshAt: now - agoMs } }));

  it("is not refreshed once more by a look that was begun before", async () => {
    const { maintain, stored, record, server } = await refreshedAgo(2_999);
    await maintain(true);
    expect(server.presentations).toEqual([]);
    expect(await stored()).toEqual(record);
  });

  it("counts as due when it may have been written before the jump", async () => {
    const { maintain, server } = await refreshedAgo(3_000);
    await maintain(true);
    expect(server.presentations).toHaveLength(1);
  });

  it("is refreshed once by two replicas, whichever reads when (property)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        const { one, another, server, store, signIn, clock } = makeBench();
        const { record } = await signIn();
        await clock.advance(60_000);
        const slow = hookedStore(store.loginSessions, { before: () => scheduler.schedule(Promise.resolve()) });
        const two = another("two", { loginSessions: slow });
        // Both have the claim of it: the lease of the first one was over while it waited for its answer.
        const looks = [one, two].map((each) => each.maintenance.maintain(record.id, true));
        await scheduler.waitFor(Promise.all(looks));
        expect(server.presentations).toHaveLength(1);
      }),
    );
  });
});

describe("a record that serves nothing any more", () => {
  it.each<[LoginSessionState, number]>([
    ["ended", dayMs],
    ["login_required", hourMs],
  ])("is removed at its time, and looked at again then: %s", async (state, keptMs) => {
    const { stored, maintain, clock, now } = await make(state);
    await maintain();
    expect(await stored()).toMatchObject({ version: 2, nextDueAt: now + keptMs });
    await clock.advance(keptMs - 1);
    await maintain(true);
    expect(await stored()).toBeDefined();
    await clock.advance(1);
    await maintain();
    expect(await stored()).toBeUndefined();
  });

  it("goes with its connection keys", async () => {
    const { maintain, clock, store, record } = await make("login_required");
    const hash = "hash" as Parameters<typeof store.connectionKeys.getByHash>[0];
    await store.connectionKeys.insert({ id: "k", hash, loginSessionId: record.id, name: "laptop", createdAt: 0 }, 20);
    await clock.advance(hourMs);
    await maintain();
    expect(await store.connectionKeys.getByHash(hash)).toBeUndefined();
  });

  it("that waits for the verification of a late reply is verified, until it is removed", async () => {
    const pending = (at: number) => ({
      attemptId: openAttempt.id,
      target: { scopes: [] },
      sentAt: at,
      receivedAt: at,
      body: "{}",
      verificationTries: 0,
      nextVerificationAt: at,
    });
    const change = (at: number): Partial<LoginSession> => ({
      pending: pending(at),
      attempts: [{ ...openAttempt, lost: true }],
      reason: { code: "lost_reply", at },
    });
    const waiting = await make("login_required", change);
    waiting.server.verificationAnswer = { kind: "unavailable", problem: "no keys" };
    await waiting.maintain();
    expect(waiting.server.verifications).toBe(1);
    const over = await make("login_required", change);
    await over.clock.advance(hourMs);
    await over.maintain();
    expect(over.server.verifications).toBe(0);
    expect(await over.stored()).toBeUndefined();
  });
});

describe("a login session that lives", () => {
  it.each<[LoginSessionState]>([["live"], ["refreshing"], ["uncertain"]])("needs a new sign-in past its idle limit: %s", async (state) => {
    const { maintain, stored, clock, events, server } = await make(state, (at) => ({ nextDueAt: at + hourMs }));
    await clock.advance(hourMs);
    await maintain();
    const after = await stored();
    expect(after).toMatchObject({ state: "login_required", reason: { code: "idle", at: clock.now() }, nextDueAt: clock.now() });
    expect(after?.debts.map((each) => each.token)).toEqual(["rt-2"]);
    expect(events()).toEqual(["login_required idle"]);
    expect(server.presentations).toHaveLength(0);
  });

  it("owes the tokens of the replies that were never published, past its limit (I4)", async () => {
    const body = JSON.stringify({ access_token: "at-p", refresh_token: "rt-p" });
    const { maintain, stored, clock, events } = await make(
      "refreshing",
      (at) => ({
        pending: {
          attemptId: openAttempt.id,
          target: { scopes: [] },
          sentAt: at,
          receivedAt: at,
          body,
          verificationTries: 0,
          nextVerificationAt: at,
        },
      }),
      60,
    );
    await clock.advance(60_000);
    await maintain();
    expect((await stored())?.debts.map((each) => each.token)).toEqual(["rt-2", "rt-p", "at-p"]);
    expect(events()).toEqual(["login_required absolute_limit"]);
  });

  it("is not ended for a limit that it has not reached any more when it is read again (R14)", async () => {
    const { maintain, stored, clock, one, record, events } = await make("live", (at) => ({ nextDueAt: at + hourMs }));
    await clock.advance(hourMs);
    let used = false;
    const { isWatched } = one.core.sessions;
    one.core.sessions.isWatched = (id) => {
      // The first look finds nobody; then a connection is there.
      const watched = used || isWatched.call(one.core.sessions, id);
      used = true;
      return watched;
    };
    await maintain();
    expect(await stored()).toMatchObject({ state: "live", version: record.version });
    expect(events()).toEqual([]);
  });

  it("pays what may be paid while it lives, and is not refreshed for that", async () => {
    const { maintain, stored, server } = await make("live", (at) => ({
      debts: [
        { kind: "refresh_token", token: "rt-foreign" as RefreshToken, tries: 0, nextTryAt: at, expiresAt: at + dayMs, foreign: true },
      ],
    }));
    await maintain();
    expect(server.revoked.map((each) => each.token)).toEqual(["rt-foreign"]);
    expect(await stored()).toMatchObject({ state: "live", debts: [], revocation: "done" });
    expect(server.presentations).toHaveLength(0);
  });

  it("that was due for its idle limit only, and was used since, is looked at later and not refreshed", async () => {
    const bench = await make("live", (at) => ({
      accessTokens: aLoginSession("a").accessTokens.map((entry) => ({ ...entry, obtainedAt: at, expiresAt: at + 100 * hourMs })),
      nextDueAt: at + hourMs,
    }));
    const watched = await bench.one.core.sessions.watch(bench.record.id);
    await bench.clock.advance(hourMs);
    await bench.maintain();
    await settle();
    expect((await bench.stored())?.nextDueAt).toBe(bench.clock.now() + hourMs);
    expect(bench.server.presentations).toHaveLength(0);
    watched?.release();
  });

  it("does not queue at a crowded gate: it is claimed again when its lease is over (I14)", async () => {
    const { maintain, server, one, stored, record } = await make("live");
    const { gate } = one.core.issuers.mustGet("main");
    (await gate.enter("user", 0).entered).leave({ kind: "sick", retryAfterSeconds: 60 });
    void gate.enter("heartbeat", 0);
    await maintain();
    expect(one.flights.size).toBe(0);
    expect(server.presentations).toHaveLength(0);
    expect(await stored()).toEqual(record);
  });
});
