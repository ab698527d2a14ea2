import { describe, expect, it } from "vitest";
import type { Attempt, AttemptId, LoginSession, RefreshToken } from "../../src/session/login-session.ts";
import { settleFailure, verdictOf } from "../../src/token/failure-settlement.ts";
import type { GateVerdict } from "../../src/token/issuer-gate.ts";
import type { RefreshOutcome } from "../../src/token/ports.ts";
import { claim } from "../../src/token/record-changes.ts";
import { aLoginSession, inState, openAttempt } from "../session/records.ts";
import { makeBench } from "../support/token-bench.ts";

type Failure = Exclude<RefreshOutcome, { kind: "rotated" }>;
const cause = new Error("why");
const dayMs = 86_400_000;
const other = { resource: "https://other.example", scopes: [] };

interface Start {
  /** Milliseconds since the access token of 30 s was obtained. */
  readonly age?: number;
  readonly record?: Partial<LoginSession>;
  readonly attempt?: Partial<Attempt>;
  /** When, in the same count, another login session of this issuer was refreshed. */
  readonly healthyAt?: number;
  /** What happens between the claim and the answer. */
  readonly meanwhile?: (claimed: LoginSession) => LoginSession;
}

/** What becomes of a login session whose presentation fails. Every random number is 0.5: a backoff is 0.55 of its ceiling. */
async function fail(outcome: Failure, start: Start = {}) {
  const { clock, one, store } = makeBench();
  const born = clock.now();
  const core = one.core;
  const { gate } = core.issuers.mustGet("main");
  if (start.healthyAt !== undefined) {
    await clock.advance(start.healthyAt);
    (await gate.enter("user", 0).entered).leave({ kind: "healthy" });
  }
  await clock.advance((start.age ?? 0) - (start.healthyAt ?? 0));
  const [entry] = aLoginSession("a").accessTokens;
  if (entry === undefined) throw new Error("no access token");
  const record = aLoginSession("a", {
    accessTokens: [{ ...entry, obtainedAt: born, expiresAt: born + 30_000 }],
    lastUsedAt: born,
    ...start.record,
  });
  await core.sessions.insert(record);
  const attempt: Attempt = { ...openAttempt, claimedAt: clock.now(), deadline: clock.now() + 7_500, ...start.attempt };
  const claimed = claim(record, attempt);
  await core.sessions.commit(record, claimed);
  if (start.meanwhile !== undefined) await core.sessions.commit(claimed, start.meanwhile(claimed));
  const verdicts: GateVerdict[] = [];
  const result = await settleFailure(core, claimed, attempt, outcome, { leave: (verdict) => void verdicts.push(verdict) });
  const after = await store.loginSessions.get(record.id);
  expect(result.record).toEqual(after);
  return { born, now: clock.now(), result, after, verdict: verdicts[0], events: one.events.map((each) => each.event), claimed };
}

describe("an answer that left the refresh token alive", () => {
  it.each<[Failure, number, number]>([
    [{ kind: "not_sent", cause }, 137.5, 550],
    [{ kind: "server_error", cause }, 137.5, 550],
    [{ kind: "client_broken", cause }, 137.5, 550],
    [{ kind: "not_sent", cause, retryAfterSeconds: 30 }, 30_000, 30_000],
    [{ kind: "server_error", cause, retryAfterSeconds: 0.3 }, 300, 550],
  ])("backs off: %j", async (outcome, notBefore, due) => {
    const { now, after, result, events } = await fail(outcome);
    expect(after).toMatchObject({
      state: "live",
      attempts: [],
      health: { failures: 1, refusals: 0, notBefore: now + notBefore, lastFailure: { kind: outcome.kind, at: now } },
      nextDueAt: now + due,
    });
    expect(result.failure).toMatchObject({ kind: outcome.kind });
    expect(events).toEqual(["refresh_failed"]);
  });

  it("backs off ever longer, a caller up to five seconds, the heartbeat up to thirty", async () => {
    const { now, after } = await fail({ kind: "not_sent", cause }, { record: { health: { failures: 20, refusals: 0 } } });
    expect(after).toMatchObject({ health: { notBefore: now + 2_750 }, nextDueAt: now + 16_500 });
  });
});

describe("a refusal", () => {
  it("waits for the end of the access token, less the time that a refresh takes and the margin (F17)", async () => {
    const { born, after, verdict } = await fail({ kind: "refused", cause });
    expect(after).toMatchObject({ state: "live", health: { refusals: 1, notBefore: born + 16_500 }, nextDueAt: born + 16_500 });
    expect(verdict).toEqual({ kind: "answered" });
  });

  it("backs off once that has passed, and waits as long as the server says", async () => {
    const late = await fail({ kind: "refused", cause }, { age: 20_000 });
    expect(late.after?.nextDueAt).toBe(late.now + 550);
    const told = await fail({ kind: "refused", cause, retryAfterSeconds: 25 });
    expect(told.after?.nextDueAt).toBe(told.now + 25_000);
    expect(told.verdict).toEqual({ kind: "sick", failure: "refused", retryAfterSeconds: 25 });
    expect(told.result.failure).toEqual({ kind: "refused", errorCode: undefined, retryAfterSeconds: 25 });
  });

  it("for a target without an access token does not wait for that of another", async () => {
    const { now, after } = await fail({ kind: "refused", cause }, { attempt: { target: other } });
    expect(after).toMatchObject({ health: { refusals: 1 }, nextDueAt: now + 550 });
  });

  it.each(["invalid_scope", "invalid_target"])(
    "of what one caller asked for (%s) leaves the login session as well and as due as it was",
    async (errorCode) => {
      const { born, after, result } = await fail({ kind: "refused", cause, errorCode }, { attempt: { target: other } });
      expect(after).toMatchObject({ state: "live", attempts: [], health: { failures: 0, refusals: 0 }, nextDueAt: born + 19_500 });
      expect(result.failure).toMatchObject({ kind: "refused", errorCode });
    },
  );

  it("of the login's own target, or for another reason, is one like any other", async () => {
    expect((await fail({ kind: "refused", cause, errorCode: "invalid_scope" })).after?.health.refusals).toBe(1);
    expect(
      (await fail({ kind: "refused", cause, errorCode: "invalid_request" }, { attempt: { target: other } })).after?.health.refusals,
    ).toBe(1);
  });

  describe("that lasts (F42)", () => {
    /** The third refusal, ten minutes after the first, while another login session was refreshed. */
    const lasting = (change: { refusals?: number; firstAt?: number; healthyAt?: number; lifeMs?: number; age?: number } = {}): Start => {
      const bench = makeBench();
      const born = bench.clock.now();
      const [entry] = aLoginSession("a").accessTokens;
      return {
        age: change.age ?? 700_000,
        healthyAt: change.healthyAt ?? 100_001,
        record: {
          health: { failures: 2, refusals: change.refusals ?? 2, firstRefusalAt: born + (change.firstAt ?? 100_000) },
          ...(entry === undefined ? {} : { accessTokens: [{ ...entry, obtainedAt: born, expiresAt: born + (change.lifeMs ?? 30_000) }] }),
        },
      };
    };
    const refused: Failure = { kind: "refused", cause };

    it("ends the login, and says so", async () => {
      const { now, after, events, verdict } = await fail(refused, lasting());
      expect(after).toMatchObject({
        state: "login_required",
        reason: { code: "refused", at: now },
        debts: [],
        nextDueAt: now + 14 * dayMs,
      });
      expect(events).toEqual(["refresh_failed", "login_required"]);
      expect(verdict).toEqual({ kind: "answered" });
    });

    it.each<[string, Start]>([
      ["fewer than three times", lasting({ refusals: 1 })],
      ["shorter than ten minutes", lasting({ firstAt: 100_001, healthyAt: 100_002 })],
      ["shorter than two lives of an access token", lasting({ lifeMs: 300_001 })],
      ["while the access token is still good", lasting({ lifeMs: 250_000, age: 0, firstAt: -700_000, healthyAt: 0 })],
    ])("but %s ends nothing", async (_what, start) => {
      expect((await fail(refused, start)).after?.state).toBe("live");
    });

    it("does not make another kind of failure the client's fault", async () => {
      const { verdict } = await fail({ kind: "not_sent", cause }, lasting({ healthyAt: 99_999 }));
      expect(verdict).toMatchObject({ kind: "sick" });
    });

    it("ends the login at the very moment that the access token ends, and not a moment sooner", async () => {
      const at = (age: number): Start => lasting({ age, lifeMs: 250_000, firstAt: -700_000, healthyAt: 0 });
      expect((await fail(refused, at(249_999))).after?.state).toBe("live");
      expect((await fail(refused, at(250_000))).after?.state).toBe("login_required");
    });

    it("is the client's fault where nobody else was refreshed since: nobody's login ends", async () => {
      for (const healthyAt of [99_999, 100_000]) {
        const { after, verdict } = await fail(refused, lasting({ healthyAt }));
        expect(after?.state).toBe("live");
        expect(verdict).toEqual({ kind: "client_broken" });
      }
      const { healthyAt: _, ...never } = lasting();
      const told = await fail({ ...refused, retryAfterSeconds: 60 }, never);
      expect(told.after?.state).toBe("live");
      expect(told.verdict).toEqual({ kind: "client_broken", retryAfterSeconds: 60 });
    });
  });
});

describe("a lost answer", () => {
  it.each(["due", "demand", "rejected"] as const)("to the first presentation (%s) waits for the last call", async (reason) => {
    const { born, after, verdict } = await fail({ kind: "ambiguous", cause }, { attempt: { reason } });
    expect(after).toMatchObject({ state: "uncertain", attempts: [{ lost: true }], nextDueAt: born + 16_500 });
    expect(after?.health).toMatchObject({ failures: 1, notBefore: undefined, lastFailure: { kind: "ambiguous" } });
    expect(verdict).toEqual({ kind: "sick", failure: "ambiguous" });
  });

  it.each(["introspected_active", "within_grace", "not_rotating", "last_presentation", "after_server_error"] as const)(
    "to another presentation (%s) backs off",
    async (reason) => {
      const { now, after } = await fail({ kind: "ambiguous", cause }, { attempt: { reason } });
      expect(after).toMatchObject({ health: { notBefore: now + 275 }, nextDueAt: now + 275 });
      const later = await fail({ kind: "ambiguous", cause }, { attempt: { reason }, record: { health: { failures: 20, refusals: 0 } } });
      expect(later.after?.nextDueAt).toBe(later.now + 16_500);
    },
  );

  it("is due at once where something can be done at once", async () => {
    const { now, after } = await fail({ kind: "ambiguous", cause }, { age: 29_000 });
    expect(after?.nextDueAt).toBe(now + 7_500);
    const same = await fail({ kind: "ambiguous", cause }, { record: { observed: { rotation: "same", introspection: "unknown" } } });
    expect(same.after?.nextDueAt).toBe(same.now);
  });

  it("changes nothing once the login session has ended", async () => {
    const { after, events } = await fail({ kind: "ambiguous", cause }, { meanwhile: (claimed) => inState(claimed, "ended") });
    expect(after).toMatchObject({ state: "ended", version: 3 });
    expect(events).toEqual(["refresh_failed"]);
  });
});

describe("a dead grant", () => {
  it("needs a new sign-in, and says so", async () => {
    const { now, after, events, result, verdict } = await fail({ kind: "grant_dead", cause });
    expect(after).toMatchObject({
      state: "login_required",
      reason: { code: "grant_dead", at: now },
      debts: [],
      nextDueAt: now + 14 * dayMs,
    });
    expect(events).toEqual(["refresh_failed", "login_required"]);
    expect(result.failure).toEqual({ kind: "grant_dead", errorCode: undefined, retryAfterSeconds: undefined });
    expect(verdict).toEqual({ kind: "answered" });
  });

  it("is a lost reply where an earlier presentation was lost", async () => {
    const lost: Attempt = { ...openAttempt, id: "attempt-0" as AttemptId, lost: true };
    const { after } = await fail({ kind: "grant_dead", cause }, { record: { attempts: [lost] } });
    expect(after?.reason?.code).toBe("lost_reply");
    const own = await fail(
      { kind: "grant_dead", cause },
      {
        meanwhile: (claimed) => ({
          ...inState(claimed, "uncertain"),
          refreshToken: claimed.refreshToken,
          attempts: claimed.attempts.map((each) => ({ ...each, lost: true })),
        }),
      },
    );
    expect(own.after?.reason?.code).toBe("grant_dead");
  });

  it.each<[string, (claimed: LoginSession) => LoginSession]>([
    [
      "the token was rotated meanwhile (F15)",
      (claimed) => ({ ...inState(claimed, "live"), refreshToken: "rt-peer" as RefreshToken, attempts: [] }),
    ],
    ["somebody signed in again meanwhile", (claimed) => ({ ...inState(claimed, "live"), refreshToken: claimed.refreshToken, epoch: 2 })],
    ["it ended meanwhile", (claimed) => inState(claimed, "ended")],
  ])("counts for nothing when %s (I9)", async (_what, meanwhile) => {
    const { after, claimed } = await fail({ kind: "grant_dead", cause }, { meanwhile });
    expect(after).toEqual(meanwhile(claimed));
  });

  it("does not end a login whose reply waits for its verification (I4)", async () => {
    const pending = {
      attemptId: "attempt-0" as AttemptId,
      target: { scopes: [] },
      sentAt: 1,
      receivedAt: 1,
      body: "{}",
      verificationTries: 0,
      nextVerificationAt: 1,
    };
    const { now, after } = await fail({ kind: "grant_dead", cause }, { meanwhile: (claimed) => ({ ...claimed, version: 3, pending }) });
    expect(after).toMatchObject({ state: "live", pending, attempts: [], nextDueAt: now, health: { failures: 0 } });
  });
});

it.each<[Failure, GateVerdict]>([
  [
    { kind: "not_sent", cause, retryAfterSeconds: 3 },
    { kind: "sick", failure: "not_sent", retryAfterSeconds: 3 },
  ],
  [
    { kind: "server_error", cause },
    { kind: "sick", failure: "server_error", retryAfterSeconds: undefined },
  ],
  [
    { kind: "ambiguous", cause },
    { kind: "sick", failure: "ambiguous" },
  ],
  [{ kind: "refused", cause }, { kind: "answered" }],
  [
    { kind: "refused", cause, retryAfterSeconds: 3 },
    { kind: "sick", failure: "refused", retryAfterSeconds: 3 },
  ],
  [{ kind: "grant_dead", cause }, { kind: "answered" }],
  [{ kind: "client_broken", cause }, { kind: "client_broken" }],
])("of the authorization server itself, %j says: %j", (outcome, verdict) => {
  expect(verdictOf(outcome)).toEqual(verdict);
});
