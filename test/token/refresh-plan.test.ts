import { describe, expect, it } from "vitest";
import type { Attempt, AttemptId, LoginSession, PendingReply } from "../../src/session/login-session.ts";
import type { AuthorizationServerPolicy } from "../../src/token/ports.ts";
import { type Introspected, type PlanFacts, planRefresh, type RefreshWish } from "../../src/token/refresh-plan.ts";
import { aLoginSession, inState, openAttempt } from "../session/records.ts";

/*
 * The access token of `aLoginSession` is of 30 s: obtained at 1 s, it is young until 8.5 s, fresh until 25 s, and ends at 31 s.
 * The open attempt was claimed at 1.5 s; its deadline is at 9 s.
 */
const target = { scopes: [] };
const demand: RefreshWish = { target, cause: { kind: "demand", minimumValidityMs: 0 } };
const due: RefreshWish = { target, cause: { kind: "due", generation: 1 } };

const policy: AuthorizationServerPolicy = {
  name: "main",
  issuer: "https://as.example",
  defaultTarget: target,
  rotation: "auto",
  lostReply: "present",
  sharedGrant: "wait",
  introspection: "auto",
};

function at(now: number, facts: Partial<PlanFacts> = {}, policyChange: Partial<AuthorizationServerPolicy> = {}): PlanFacts {
  return {
    now,
    policy: { ...policy, ...policyChange },
    introspectionTrusted: false,
    timeoutSeconds: undefined,
    introspected: undefined,
    incarnation: undefined,
    ...facts,
  };
}

const live = aLoginSession("a");
const accessTokens = live.accessTokens;
const lost: Attempt = { ...openAttempt, lost: true };
const refreshing = inState(live, "refreshing", { accessTokens });
const uncertain = inState(live, "uncertain", { accessTokens, attempts: [lost] });
const pending: PendingReply = {
  attemptId: openAttempt.id,
  target,
  sentAt: 2_000,
  receivedAt: 3_000,
  body: "{}",
  verificationTries: 1,
  nextVerificationAt: 20_000,
};

describe("a wish for a refresh", () => {
  it.each<[string, RefreshWish, number, string]>([
    ["is fulfilled for a caller while the token is good beyond its margin", demand, 24_999, "done"],
    ["is not from the margin on", demand, 25_000, "present"],
    [
      "is not when the caller needs it to be valid for longer",
      { target, cause: { kind: "demand", minimumValidityMs: 20_000 } },
      11_000,
      "present",
    ],
    [
      "is fulfilled by a young token, however long the caller needs it to be valid",
      { target, cause: { kind: "demand", minimumValidityMs: 60_000 } },
      8_499,
      "done",
    ],
    ["is no longer once a quarter of its life is over", { target, cause: { kind: "demand", minimumValidityMs: 60_000 } }, 8_500, "present"],
    [
      "is not by a token for another resource",
      { target: { resource: "https://x", scopes: [] }, cause: { kind: "demand", minimumValidityMs: 0 } },
      2_000,
      "present",
    ],
    ["is not when the API refused this very token", { target, cause: { kind: "rejected", accessToken: "at-a" } }, 10_000, "present"],
    ["is fulfilled when the API refused an older one", { target, cause: { kind: "rejected", accessToken: "at-older" } }, 10_000, "done"],
    [
      "is not when the API refused an older one and this one is about to end",
      { target, cause: { kind: "rejected", accessToken: "at-older" } },
      25_000,
      "present",
    ],
    ["of the heartbeat is fulfilled once the generation has grown", { target, cause: { kind: "due", generation: 0 } }, 30_000, "done"],
    ["of the heartbeat about this generation is not", due, 2_000, "present"],
  ])("%s", (_what, wish, now, kind) => {
    const step = planRefresh(live, wish, at(now));
    expect(step).toEqual(kind === "present" ? { kind, reason: wish.cause.kind } : { kind });
  });

  it.each([live, refreshing, uncertain])("that is fulfilled needs nothing, whatever is under way: $state", (record) => {
    expect(planRefresh(record, demand, at(8_600))).toEqual({ kind: "done" });
  });

  it.each(["ended", "login_required"] as const)("is in vain when the login session is %s", (state) => {
    expect(planRefresh(inState(live, state), demand, at(30_000))).toEqual({ kind: "done" });
  });
});

describe("a live login session", () => {
  const held = (health: Partial<LoginSession["health"]>): LoginSession => ({ ...live, health: { ...live.health, failures: 1, ...health } });

  it("is not presented before its backoff is over, and then it is", () => {
    const record = held({ notBefore: 28_000, lastFailure: { kind: "not_sent", at: 26_000 } });
    expect(planRefresh(record, demand, at(27_999))).toEqual({ kind: "done" });
    expect(planRefresh(record, demand, at(28_000))).toEqual({ kind: "present", reason: "demand" });
  });

  it("does not wait for a backoff that was written before the clock was set back (F25)", () => {
    const record = held({ notBefore: 3_600_000, lastFailure: { kind: "not_sent", at: 3_599_000 } });
    expect(planRefresh(record, demand, at(27_000))).toEqual({ kind: "present", reason: "demand" });
    expect(planRefresh(held({ notBefore: 3_600_000 }), demand, at(27_000))).toEqual({ kind: "done" });
  });

  const afterServerError = held({ lastFailure: { kind: "server_error", at: 20_000 } });
  it.each<[Introspected | undefined, number, object]>([
    [undefined, 26_000, { kind: "introspect" }],
    ["active", 26_000, { kind: "present", reason: "after_server_error" }],
    ["unsupported", 26_000, { kind: "present", reason: "after_server_error" }],
    ["unavailable", 26_000, { kind: "done" }],
    ["inactive", 30_999, { kind: "postpone", until: 31_000 }],
    ["inactive", 31_000, { kind: "give_up" }],
  ])("looks first after a server error, where introspection is trusted: %s at %i", (introspected, now, step) => {
    expect(planRefresh(afterServerError, demand, at(now, { introspectionTrusted: true, introspected }))).toEqual(step);
  });

  it("presents at once after a server error where it is not trusted, and after any other failure", () => {
    expect(planRefresh(afterServerError, due, at(26_000))).toEqual({ kind: "present", reason: "due" });
    const notSent = held({ lastFailure: { kind: "not_sent", at: 20_000 } });
    expect(planRefresh(notSent, due, at(26_000, { introspectionTrusted: true }))).toEqual({ kind: "present", reason: "due" });
  });
});

describe("a reply that is kept but not verified", () => {
  it.each(["live", "refreshing", "uncertain", "login_required"] as const)("is verified when its time has come: %s", (state) => {
    const record = inState(live, state, { pending });
    expect(planRefresh(record, demand, at(19_999))).toEqual({ kind: "done" });
    expect(planRefresh(record, demand, at(20_000))).toEqual({ kind: "verify" });
  });

  it("is verified at once when the clock was set back behind its arrival (F25)", () => {
    const late = { ...pending, receivedAt: 3_600_000, nextVerificationAt: 3_660_000 };
    expect(planRefresh(inState(live, "refreshing", { pending: late }), demand, at(1_000))).toEqual({ kind: "verify" });
  });

  it("is verified at once when the clock was set back since it was last looked at, although it came before that (F25)", () => {
    const looked = { ...pending, receivedAt: 1_000, verificationTries: 3 };
    const plan = (nextVerificationAt: number): unknown =>
      planRefresh(inState(live, "refreshing", { pending: { ...looked, nextVerificationAt } }), demand, at(20_000));
    // No look is put off by more than 30 s, and clocks may differ by 5 s.
    expect(plan(55_000)).toEqual({ kind: "done" });
    expect(plan(55_001)).toEqual({ kind: "verify" });
    expect(plan(3_620_000)).toEqual({ kind: "verify" });
  });

  it("is nothing to anybody once the login session has ended", () => {
    expect(planRefresh(inState(live, "ended", { pending }), demand, at(20_000))).toEqual({ kind: "done" });
  });
});

describe("an attempt under way", () => {
  it("has its owner until its deadline and the time to settle are over; then its answer counts as lost (I15)", () => {
    expect(planRefresh(refreshing, due, at(13_999))).toEqual({ kind: "wait", until: 14_000 });
    expect(planRefresh(refreshing, due, at(14_000))).toEqual({ kind: "mark_lost", attemptId: openAttempt.id });
  });

  it("gets its time anew when the clock was set back since the claim (F25)", () => {
    const future = { ...openAttempt, claimedAt: 3_600_000, deadline: 3_607_500 };
    expect(planRefresh({ ...refreshing, attempts: [lost, future] }, due, at(2_000))).toEqual({ kind: "rebase", attemptId: openAttempt.id });
  });

  it("that nobody owns does not hold the record for ever (I15)", () => {
    const record = { ...refreshing, attempts: [lost] };
    expect(planRefresh(record, due, at(30_999))).toEqual({ kind: "present", reason: "last_presentation" });
  });
});

describe("a lost reply", () => {
  it("waits for the last call, at expiry - attempt limit - margin, and then presents once more", () => {
    // 31 s - 7.5 s - 6 s
    expect(planRefresh(uncertain, due, at(17_499))).toEqual({ kind: "postpone", until: 17_500 });
    expect(planRefresh(uncertain, due, at(17_500))).toEqual({ kind: "present", reason: "last_presentation" });
  });

  it("waits for the last call of whatever is served, when nothing is for the target that is kept fresh", () => {
    const elsewhere = accessTokens.map((entry) => ({ ...entry, target: { resource: "https://x", scopes: [] } }));
    expect(planRefresh({ ...uncertain, accessTokens: elsewhere }, due, at(17_499))).toEqual({ kind: "postpone", until: 17_500 });
  });

  it("takes the configured time of a presentation for the last call", () => {
    expect(planRefresh(uncertain, due, at(10_000, { timeoutSeconds: 10 }))).toEqual({ kind: "postpone", until: 15_000 });
  });

  it("never presents beside the first lost one, which may still be on its way (I1)", () => {
    const record = {
      ...uncertain,
      attempts: [
        { ...lost, deadline: 29_000 },
        { ...lost, id: "attempt-2" as AttemptId, deadline: 40_000 },
      ],
    };
    expect(planRefresh(record, due, at(28_999))).toEqual({ kind: "postpone", until: 29_000 });
    expect(planRefresh(record, due, at(29_000))).toEqual({ kind: "present", reason: "last_presentation" });
  });

  it("is not waited for when its attempt lies in a future that the clock was set back from (F25)", () => {
    const record = { ...uncertain, attempts: [{ ...lost, claimedAt: 3_600_000, deadline: 3_607_500 }] };
    expect(planRefresh(record, due, at(17_500))).toEqual({ kind: "present", reason: "last_presentation" });
  });

  it("waits for the backoff of a presentation that failed", () => {
    const record = {
      ...uncertain,
      health: { failures: 1, refusals: 0, notBefore: 26_000, lastFailure: { kind: "not_sent" as const, at: 25_000 } },
    };
    expect(planRefresh(record, due, at(25_999))).toEqual({ kind: "postpone", until: 26_000 });
    expect(planRefresh(record, due, at(26_000))).toEqual({ kind: "present", reason: "last_presentation" });
  });

  it("`retire`: is given up when the access token has ended, and not presented before", () => {
    expect(planRefresh(uncertain, due, at(30_999, {}, { lostReply: "retire" }))).toEqual({ kind: "postpone", until: 31_000 });
    expect(planRefresh(uncertain, due, at(31_000, {}, { lostReply: "retire" }))).toEqual({ kind: "give_up" });
  });

  it("is presented again at once at a server that does not rotate, by configuration or by what was seen", () => {
    const same = { ...uncertain, observed: { ...uncertain.observed, rotation: "same" as const } };
    const again = { kind: "present", reason: "not_rotating" };
    expect(planRefresh(uncertain, due, at(2_000, {}, { rotation: "never" }))).toEqual(again);
    expect(planRefresh(same, due, at(2_000))).toEqual(again);
    expect(planRefresh(same, due, at(2_000, {}, { rotation: "always" }))).toMatchObject({ kind: "postpone" });
  });

  it("is presented within the grace period, counted from the first lost claim, twice at most (F3)", () => {
    const grace = { reuseLeewaySeconds: 10 };
    const again = { kind: "present", reason: "within_grace" };
    expect(planRefresh(uncertain, due, at(11_499, {}, grace))).toEqual(again);
    expect(planRefresh(uncertain, due, at(11_500, {}, grace))).toMatchObject({ kind: "postpone" });
    const once = { ...lost, claimedAt: 5_000, reason: "within_grace" as const };
    expect(planRefresh({ ...uncertain, attempts: [lost, once] }, due, at(11_499, {}, grace))).toEqual(again);
    expect(planRefresh({ ...uncertain, attempts: [lost, once] }, due, at(11_500, {}, grace))).toMatchObject({ kind: "postpone" });
    expect(planRefresh({ ...uncertain, attempts: [lost, once, once] }, due, at(6_000, {}, grace))).toMatchObject({ kind: "postpone" });
  });

  describe("where introspection is trusted", () => {
    const trusted = { introspectionTrusted: true };
    it("is looked at once no attempt can be on its way any more", () => {
      const record = { ...uncertain, attempts: [lost, { ...lost, id: "attempt-2" as AttemptId, deadline: 12_000 }] };
      expect(planRefresh(record, due, at(11_999, trusted))).toEqual({ kind: "postpone", until: 12_000 });
      expect(planRefresh(record, due, at(12_000, trusted))).toEqual({ kind: "introspect" });
    });

    it.each<[Introspected, number, object]>([
      ["active", 10_000, { kind: "present", reason: "introspected_active" }],
      ["unavailable", 10_000, { kind: "done" }],
      ["inactive", 30_999, { kind: "postpone", until: 31_000 }],
      ["inactive", 31_000, { kind: "give_up" }],
      ["unsupported", 10_000, { kind: "postpone", until: 17_500 }],
    ])("and found %s at %i", (introspected, now, step) => {
      expect(planRefresh(uncertain, due, at(now, { ...trusted, introspected }))).toEqual(step);
    });

    it("is not looked at where that is configured `never`", () => {
      expect(planRefresh(uncertain, due, at(17_500, trusted, { introspection: "never" }))).toEqual({
        kind: "present",
        reason: "last_presentation",
      });
    });
  });
});
