import { describe, expect, it } from "vitest";
import type {
  AccessToken,
  AccessTokenEntry,
  Attempt,
  AttemptId,
  IdToken,
  LoginSession,
  PendingReply,
  RefreshToken,
  RefreshTokenHash,
} from "../../src/session/login-session.ts";
import type { VerifiedReply } from "../../src/token/ports.ts";
import {
  arrive,
  claim,
  discardPending,
  end,
  failed,
  markLost,
  newEntry,
  owe,
  postponeVerification,
  publish,
  rebaseAttempt,
  replacedDebts,
  requireLogin,
  settle,
  storedReplies,
} from "../../src/token/record-changes.ts";
import { aLoginSession, inState, openAttempt } from "../session/records.ts";

const target = { scopes: [] };
const other = { resource: "https://other.example", scopes: [] };
const dayMs = 86_400_000;

const live = aLoginSession("a", { refreshTokenExpiresAt: 500_000 });
const health = { failures: 1, refusals: 0 };
const first: Attempt = openAttempt;
const second: Attempt = { ...openAttempt, id: "attempt-2" as AttemptId };
const lost = (attempt: Attempt): Attempt => ({ ...attempt, lost: true });
const refreshing = inState(live, "refreshing");
const uncertain = inState(live, "uncertain", { attempts: [lost(first)] });
const gone = "attempt-gone" as AttemptId;

const pending: PendingReply = {
  attemptId: first.id,
  target,
  sentAt: 10_000,
  receivedAt: 12_000,
  body: "{}",
  verificationTries: 0,
  nextVerificationAt: 12_000,
};
const later: PendingReply = { ...pending, attemptId: second.id, receivedAt: 13_000 };

const tokens: VerifiedReply = { accessToken: "at-new" as AccessToken, expiresInSeconds: 30, refreshToken: "rt-new" as RefreshToken };

describe("a claim", () => {
  it("is due when its owner's time and the time to settle are over (I15)", () => {
    expect(claim(live, first)).toMatchObject({ version: 2, state: "refreshing", attempts: [first], nextDueAt: first.deadline + 5_000 });
  });

  it("remembers the first lost attempt and the newest, nine in all with itself, however long the outage", () => {
    let record: LoginSession = live;
    const ids: string[] = [];
    for (let each = 0; each < 30; each += 1) {
      const id = `attempt-${each}` as AttemptId;
      record = claim(record, { ...lost(first), id });
      ids.push(id);
      expect(record.attempts.map((attempt) => attempt.id)).toEqual(ids.length <= 9 ? ids : [ids[0], ...ids.slice(-8)]);
    }
  });
});

describe("an attempt whose answer left the refresh token alive", () => {
  it("goes back to live when it was the only one", () => {
    expect(settle(refreshing, first.id, health, 9)).toMatchObject({ version: 3, state: "live", attempts: [], health, nextDueAt: 9 });
  });

  it("goes back to uncertain when another one is lost", () => {
    const record = { ...refreshing, attempts: [lost(second), first] };
    expect(settle(record, first.id, health, 9)).toMatchObject({ state: "uncertain", attempts: [lost(second)] });
    expect(settle(uncertain, first.id, health, 9)).toMatchObject({ state: "live", attempts: [] });
  });

  it("leaves the state alone while another one is under way, and when nobody waits for it", () => {
    expect(settle({ ...refreshing, attempts: [first, second] }, first.id, health, 9)).toMatchObject({
      state: "refreshing",
      attempts: [second],
    });
    const given = inState(live, "login_required", { attempts: [lost(first)] });
    expect(settle(given, first.id, health, 9)).toMatchObject({ state: "login_required", attempts: [] });
  });

  it("is nothing to a record that does not know it", () => {
    expect(settle(refreshing, gone, health, 9)).toBeUndefined();
  });
});

describe("an attempt whose answer is lost", () => {
  it("makes the record uncertain when none is under way any more", () => {
    expect(markLost(refreshing, first.id, health, 9)).toMatchObject({
      version: 3,
      state: "uncertain",
      attempts: [lost(first)],
      health,
      nextDueAt: 9,
    });
    const two = { ...refreshing, attempts: [first, second] };
    expect(markLost(two, first.id, health, 9)).toMatchObject({ state: "refreshing", attempts: [lost(first), second] });
    const open = { ...uncertain, attempts: [lost(first), second] };
    expect(markLost(open, second.id, health, 9)).toMatchObject({ state: "uncertain", attempts: [lost(first), lost(second)] });
  });

  it("is nothing when it is unknown, lost already, or nobody waits for it", () => {
    expect(markLost(refreshing, gone, health, 9)).toBeUndefined();
    expect(markLost(uncertain, first.id, health, 9)).toBeUndefined();
    for (const state of ["live", "login_required", "ended"] as const)
      expect(markLost(inState(live, state, { attempts: [first] }), first.id, health, 9)).toBeUndefined();
  });
});

describe("a reply that arrives", () => {
  it("is kept by the record that waits for it, and is due for its verification", () => {
    for (const record of [refreshing, uncertain, inState(live, "live", { attempts: [first] })])
      expect(arrive(record, first, pending)).toEqual({ kind: "keep", next: { ...record, version: 3, pending, nextDueAt: 12_000 } });
  });

  it("waits behind the one that came before it, in its order (I4)", () => {
    const record = { ...refreshing, attempts: [lost(first), second], pending };
    expect(arrive(record, second, later)).toEqual({ kind: "keep", next: { ...record, version: 3, queued: [later] } });
    const long = { ...record, queued: [pending] };
    expect(arrive(long, second, later)).toEqual({ kind: "keep", next: { ...long, version: 3, queued: [pending, later] } });
  });

  it("brings a login back that was given up for it, and no other", () => {
    const given = (code: "lost_reply" | "grant_dead" | "refused" | "identity"): LoginSession =>
      inState(live, "login_required", { attempts: [lost(first)], reason: { code, at: 2_000 } });
    expect(arrive(given("lost_reply"), first, pending)).toMatchObject({ kind: "keep" });
    for (const code of ["grant_dead", "refused", "identity"] as const)
      expect(arrive(given(code), first, pending)).toEqual({ kind: "drop" });
    expect(arrive({ ...given("lost_reply"), reason: undefined }, first, pending)).toEqual({ kind: "drop" });
  });

  it("is dropped when its attempt is unknown, or its generation or epoch is not the record's", () => {
    expect(arrive(refreshing, { ...first, id: gone }, pending)).toEqual({ kind: "drop" });
    expect(arrive({ ...refreshing, generation: 2 }, first, pending)).toEqual({ kind: "drop" });
    expect(arrive(refreshing, { ...first, epoch: 2 }, pending)).toEqual({ kind: "drop" });
  });

  it("is revoked when its login is over: ended, past a limit, or replaced by a new sign-in", () => {
    expect(arrive(inState(live, "ended", { attempts: [first] }), first, pending)).toEqual({ kind: "revoke" });
    for (const code of ["idle", "absolute_limit"] as const) {
      const limited = inState(live, "login_required", { reason: { code, at: 2_000 } });
      expect(arrive(limited, first, pending)).toEqual({ kind: "revoke" });
      expect(arrive(limited, { ...first, epoch: 2 }, pending)).toEqual({ kind: "drop" });
    }
    expect(arrive({ ...refreshing, epoch: 2 }, first, pending)).toEqual({ kind: "revoke" });
  });
});

describe("a reply that cannot be verified yet", () => {
  it("is tried again at its time, and counts as a failure", () => {
    const record = { ...refreshing, pending: { ...pending, verificationTries: 2 } };
    expect(postponeVerification(record, first.id, 20_000, 25_000)).toEqual({
      ...record,
      version: 3,
      pending: { ...pending, verificationTries: 3, nextVerificationAt: 25_000 },
      health: { failures: 1, refusals: 0, lastFailure: { kind: "unverified", at: 20_000 } },
      nextDueAt: 25_000,
    });
  });

  it("is nothing when another one is pending, or none", () => {
    expect(postponeVerification({ ...refreshing, pending }, second.id, 1, 2)).toBeUndefined();
    expect(postponeVerification(refreshing, first.id, 1, 2)).toBeUndefined();
  });
});

describe("a reply that is no token reply", () => {
  it("is as good as none: its attempt is lost", () => {
    const record = { ...refreshing, pending };
    expect(discardPending(record, first.id, 20_000, 25_000)).toMatchObject({
      version: 3,
      state: "uncertain",
      pending: undefined,
      queued: undefined,
      attempts: [lost(first)],
      health: { failures: 1, lastFailure: { kind: "ambiguous", at: 20_000 } },
      nextDueAt: 25_000,
    });
    expect(discardPending({ ...uncertain, pending }, first.id, 1, 2)).toMatchObject({ state: "uncertain" });
  });

  it("leaves the record waiting for a presentation that is under way beside it (I1)", () => {
    const record = { ...refreshing, attempts: [first, second], pending };
    expect(discardPending(record, first.id, 1, 2)).toMatchObject({ state: "refreshing", attempts: [lost(first), second] });
    const given = inState(live, "login_required", { attempts: [lost(first)], pending });
    expect(discardPending(given, first.id, 1, 2)).toMatchObject({ state: "login_required" });
  });

  it("makes room for the one that came after it, one at a time (I4)", () => {
    const third = { ...later, receivedAt: 14_000 };
    const record = { ...refreshing, pending, queued: [later, third] };
    const next = discardPending(record, first.id, 1, 2);
    expect(next).toMatchObject({ pending: later, queued: [third] });
    expect(next && discardPending(next, second.id, 1, 2)).toMatchObject({ pending: third, queued: undefined });
  });

  it("is nothing when another one is pending, or none", () => {
    expect(discardPending({ ...refreshing, pending }, second.id, 1, 2)).toBeUndefined();
    expect(discardPending(refreshing, first.id, 1, 2)).toBeUndefined();
  });
});

describe("a claim that was made before the clock was set back (F25)", () => {
  const future = { ...first, claimedAt: 3_600_000, deadline: 3_607_500 };
  it("gets the time of one attempt from now, and no other attempt does", () => {
    const record = { ...refreshing, attempts: [lost(second), future] };
    expect(rebaseAttempt(record, first.id, 10_000)).toEqual({
      ...record,
      version: 3,
      attempts: [lost(second), { ...future, claimedAt: 10_000, deadline: 17_500 }],
      nextDueAt: 22_500,
    });
  });

  it("is left alone when it is lost, unknown, or not in the future", () => {
    expect(rebaseAttempt({ ...refreshing, attempts: [lost(future)] }, first.id, 10_000)).toBeUndefined();
    expect(rebaseAttempt({ ...refreshing, attempts: [future] }, gone, 10_000)).toBeUndefined();
    expect(rebaseAttempt({ ...refreshing, attempts: [future] }, first.id, 3_600_000)).toBeUndefined();
  });
});

describe("a verified reply", () => {
  const publication = {
    tokens,
    now: 13_000,
    hash: (token: RefreshToken) => `hash-of-${token}` as RefreshTokenHash,
    introspectionTrusted: false,
    refreshLifetimeMs: undefined,
  };
  const waiting: LoginSession = { ...claim(live, first), pending, queued: [later], health: { ...health, notBefore: 99 } };

  it("becomes the next generation, whole (I3, I5)", () => {
    expect(publish(waiting, first.id, publication)).toEqual({
      ...waiting,
      version: 3,
      generation: 2,
      state: "live",
      reason: undefined,
      refreshToken: "rt-new",
      refreshTokenHash: "hash-of-rt-new",
      consumedRefreshTokenHash: "hash-of-rt-a",
      refreshTokenExpiresAt: undefined,
      accessTokens: [{ target, accessToken: "at-new", grantedScopes: [], obtainedAt: 10_000, expiresAt: 40_000 }],
      pending: undefined,
      queued: undefined,
      attempts: [],
      observed: { rotation: "rotates", introspection: "unknown", refreshTokenEnd: undefined },
      health: { lastRefreshAt: 13_000, failures: 0, refusals: 0 },
      nextDueAt: undefined,
    });
  });

  it.each([
    ["without a refresh token", { ...tokens, refreshToken: undefined }],
    ["with the same refresh token", { ...tokens, refreshToken: live.refreshToken }],
  ])("%s keeps the old one, its end and its hashes (F41)", (_what, same) => {
    const record = { ...waiting, consumedRefreshTokenHash: "hash-of-older" as RefreshTokenHash };
    const next = publish(record, first.id, { ...publication, tokens: same });
    expect(next).toMatchObject({
      refreshToken: "rt-a",
      refreshTokenHash: "hash-of-rt-a",
      consumedRefreshTokenHash: "hash-of-older",
      refreshTokenExpiresAt: 500_000,
      observed: { rotation: "same" },
    });
    const seen = { ...record, observed: { ...record.observed, rotation: "rotates" as const } };
    expect(publish(seen, first.id, { ...publication, tokens: same })).toMatchObject({ observed: { rotation: "rotates" } });
  });

  it("counts the life of the refresh token from when the request was sent", () => {
    expect(publish(waiting, first.id, { ...publication, refreshLifetimeMs: 60_000 })).toMatchObject({ refreshTokenExpiresAt: 70_000 });
  });

  it("is a use of the login session, unless the heartbeat asked for it", () => {
    const asked = (reason: Attempt["reason"], lastUsedAt: number): unknown =>
      publish({ ...waiting, lastUsedAt, attempts: [{ ...first, reason }] }, first.id, publication)?.lastUsedAt;
    expect(asked("demand", 1_000)).toBe(first.claimedAt);
    expect(asked("demand", 9_000)).toBe(9_000);
    expect(asked("due", 1_000)).toBe(1_000);
    // Of two attempts it is the one that the reply belongs to.
    const beside = { ...lost(second), reason: "demand" as const };
    expect(publish({ ...waiting, attempts: [beside, first] }, first.id, publication)?.lastUsedAt).toBe(1_000);
    expect(publish({ ...waiting, attempts: [] }, first.id, publication)?.lastUsedAt).toBe(1_000);
  });

  it("keeps the tokens for other targets that are still good", () => {
    const entry = (accessToken: string, expiresAt: number): AccessTokenEntry => ({
      target: { resource: `https://${accessToken}.example`, scopes: [] },
      accessToken: accessToken as AccessToken,
      grantedScopes: [],
      obtainedAt: 1_000,
      expiresAt,
    });
    const good = entry("good", 13_001);
    const record = { ...waiting, accessTokens: [...live.accessTokens, good, entry("over", 13_000)] };
    expect(publish(record, first.id, publication)?.accessTokens.map((each) => each.accessToken)).toEqual(["at-new", "good"]);
  });

  it("renews the ID token and what is known of the user where it says so, and keeps them where it does not", () => {
    const record = { ...waiting, idToken: "id-old" as IdToken };
    expect(publish(record, first.id, publication)).toMatchObject({ idToken: "id-old", profile: { name: "Alice" } });
    const said = { ...tokens, idToken: "id-new" as IdToken, profile: { name: "Alice B." } };
    expect(publish(record, first.id, { ...publication, tokens: said })).toMatchObject({ idToken: "id-new", profile: { name: "Alice B." } });
  });

  it("remembers that introspection can be trusted", () => {
    expect(publish(waiting, first.id, { ...publication, introspectionTrusted: true })?.observed.introspection).toBe("trusted");
    const trusted = { ...waiting, observed: { ...waiting.observed, introspection: "trusted" as const } };
    expect(publish(trusted, first.id, publication)?.observed.introspection).toBe("trusted");
  });

  it("brings back a login that was given up for it, if it has a refresh token to live on (I11)", () => {
    const given = inState(live, "login_required", { pending, attempts: [lost(first)], reason: { code: "lost_reply", at: 2_000 } });
    expect(publish(given, first.id, publication)).toMatchObject({ state: "live", reason: undefined, refreshToken: "rt-new" });
    expect(publish(given, first.id, { ...publication, tokens: { ...tokens, refreshToken: undefined } })).toBeUndefined();
  });

  it("is nothing when it is not the pending one, nor after the end (I11)", () => {
    expect(publish(waiting, second.id, publication)).toBeUndefined();
    expect(publish({ ...waiting, pending: undefined }, first.id, publication)).toBeUndefined();
    expect(publish(inState(live, "ended", { pending, refreshToken: "rt-x" as RefreshToken }), first.id, publication)).toBeUndefined();
  });

  describe("and the end of the refresh token (F41)", () => {
    const told = (sentAt: number, endBefore: number | undefined, lifetimeMs: number | undefined, known?: "fixed"): unknown => {
      const record: LoginSession = {
        ...waiting,
        refreshTokenExpiresAt: endBefore,
        pending: { ...pending, sentAt },
        observed: { ...waiting.observed, refreshTokenEnd: known },
      };
      return publish(record, first.id, { ...publication, refreshLifetimeMs: lifetimeMs })?.observed.refreshTokenEnd;
    };
    // The last refresh was at 1 s; this one is sent 20 s later.
    it("is fixed when a refresh puts it off by less than half of the time since the last one", () => {
      expect(told(21_000, 100_000, 79_000)).toBe("fixed");
      expect(told(21_000, 100_000, 88_999)).toBe("fixed");
      expect(told(21_000, 100_000, 89_000)).toBeUndefined();
      expect(told(21_000, 100_000, 99_000, "fixed")).toBeUndefined();
    });

    it("cannot be told too soon after the last one, and stays what it was known to be", () => {
      expect(told(5_999, 100_000, 94_001)).toBeUndefined();
      expect(told(5_999, 100_000, 94_001, "fixed")).toBe("fixed");
      expect(told(6_000, 100_000, 94_000)).toBe("fixed");
    });

    it("is unknown where the server does not say it", () => {
      expect(told(21_000, undefined, 60_000, "fixed")).toBeUndefined();
      expect(told(21_000, 100_000, undefined, "fixed")).toBeUndefined();
      expect(told(5_999, undefined, 60_000, "fixed")).toBeUndefined();
      expect(told(5_999, 100_000, undefined, "fixed")).toBeUndefined();
    });
  });
});

describe("the scopes of a new access token", () => {
  const before: AccessTokenEntry = {
    target: other,
    accessToken: "at" as AccessToken,
    grantedScopes: ["read"],
    obtainedAt: 0,
    expiresAt: 1,
  };
  it.each<[string, AccessTokenEntry["target"], readonly string[] | undefined, readonly string[]]>([
    ["are those of the reply, where it says", other, ["write"], ["write"]],
    ["are those that were asked for, where it does not (RFC 6749, section 5.1)", { ...other, scopes: ["admin"] }, undefined, ["admin"]],
    ["are those of the token before it, where none were asked for", other, undefined, ["read"]],
    ["are none, where there was no token before it for this target", target, undefined, []],
  ])("%s", (_what, asked, granted, expected) => {
    expect(newEntry(asked, { ...tokens, grantedScopes: granted }, 5_000, [before])).toEqual({
      target: asked,
      accessToken: "at-new",
      grantedScopes: expected,
      obtainedAt: 5_000,
      expiresAt: 35_000,
    });
  });
});

describe("a login session that needs a new sign-in", () => {
  const waiting = { ...refreshing, pending, queued: [later] };

  it("serves nothing, owes nothing, and is purged at its time", () => {
    expect(requireLogin(waiting, "grant_dead", 20_000, { revoke: [], purgeAt: 99_000 })).toEqual({
      ...waiting,
      version: 3,
      state: "login_required",
      reason: { code: "grant_dead", at: 20_000 },
      refreshToken: undefined,
      accessTokens: [],
      pending: undefined,
      queued: undefined,
      attempts: [],
      nextDueAt: 99_000,
    });
  });

  it("still waits for the answer that was lost", () => {
    const next = requireLogin(uncertain, "lost_reply", 20_000, { revoke: [], purgeAt: 99_000 });
    expect(next.attempts).toEqual([lost(first)]);
  });

  it("owes what can be revoked, and is due for that at once; foreign tokens are of another grant", () => {
    const revoke = [{ kind: "refresh_token" as const, token: "rt-foreign" as RefreshToken }];
    const owed = { kind: "refresh_token", token: "rt-foreign", tries: 0, nextTryAt: 20_000, expiresAt: 20_000 + 30 * dayMs };
    const foreign = requireLogin(waiting, "identity", 20_000, { revoke, purgeAt: 99_000 });
    expect(foreign).toMatchObject({ revocation: "pending", nextDueAt: 20_000 });
    expect(foreign.debts).toEqual([{ ...owed, foreign: true }]);
    const idle = requireLogin({ ...waiting, principal: { ...live.principal, sid: "s1" } }, "idle", 20_000, { revoke, purgeAt: 99_000 });
    expect(idle.debts).toEqual([{ ...owed, sid: "s1" }]);
  });
});

describe("the end of a login session", () => {
  it("owes everything that it held and that still lives", () => {
    const over: AccessTokenEntry = {
      target: other,
      accessToken: "at-over" as AccessToken,
      grantedScopes: [],
      obtainedAt: 0,
      expiresAt: 20_000,
    };
    const record: LoginSession = {
      ...live,
      idToken: "id" as IdToken,
      accessTokens: [...live.accessTokens, over],
      pending,
      queued: [later],
    };
    const next = end(record, "logout", 20_000, [{ kind: "access_token", token: "at-pending" as AccessToken }]);
    expect(next).toMatchObject({
      version: 2,
      state: "ended",
      reason: { code: "logout", at: 20_000 },
      refreshToken: undefined,
      accessTokens: [],
      idToken: undefined,
      pending: undefined,
      queued: undefined,
      attempts: [],
      revocation: "pending",
      nextDueAt: 20_000,
    });
    expect(next.debts.map(({ kind, token, tries, nextTryAt, expiresAt }) => [kind, token, tries, nextTryAt, expiresAt])).toEqual([
      ["refresh_token", "rt-a", 0, 20_000, 500_000],
      ["access_token", "at-pending", 0, 20_000, 20_000 + 3_600_000],
      // Never less than a minute: clocks differ.
      ["access_token", "at-a", 0, 20_000, 80_000],
    ]);
  });

  it("owes nothing when nothing is held", () => {
    const next = end(inState(live, "login_required"), "administrator", 20_000, []);
    expect(next).toMatchObject({ debts: [], revocation: "none" });
  });
});

describe("tokens that arrive when all is over", () => {
  const token = { kind: "refresh_token" as const, token: "rt-late" as RefreshToken };
  it("are owed, once", () => {
    const record = inState(live, "ended");
    const next = owe(record, [token], 20_000);
    expect(next).toMatchObject({ version: 3, revocation: "pending", nextDueAt: 20_000, debts: [{ token: "rt-late" }] });
    expect(next && owe(next, [token], 30_000)).toBeUndefined();
    expect(next && owe(next, [token, { ...token, token: "rt-later" as RefreshToken }], 30_000)?.debts.map((each) => each.token)).toEqual([
      "rt-late",
      "rt-later",
    ]);
  });

  it("are of the record's own grant, unless something else is said", () => {
    const record = inState({ ...live, principal: { ...live.principal, sid: "s1" } }, "ended");
    expect(owe(record, [token], 20_000)?.debts[0]?.sid).toBe("s1");
    expect(owe(record, [token], 20_000, { sid: "s0" })?.debts[0]?.sid).toBe("s0");
    expect(owe(record, [token], 20_000, { foreign: true })?.debts[0]).toMatchObject({ foreign: true });
  });
});

describe("the replies that are stored and not published", () => {
  it("are the pending one and those behind it, in their order", () => {
    expect(storedReplies(live)).toEqual([]);
    expect(storedReplies({ ...live, pending })).toEqual([pending]);
    expect(storedReplies({ ...live, pending, queued: [later] })).toEqual([pending, later]);
  });
});

describe("what a new sign-in replaces", () => {
  it("is owed with the replies that were never published, but not its access tokens", () => {
    const body = (name: string): string => JSON.stringify({ access_token: `at-${name}`, refresh_token: `rt-${name}` });
    const record = { ...refreshing, pending: { ...pending, body: body("p") }, queued: [{ ...later, body: body("q") }] };
    expect(replacedDebts(record, 20_000).map((each) => each.token)).toEqual(["rt-2", "rt-p", "at-p", "rt-q", "at-q"]);
    expect(replacedDebts(inState(live, "login_required"), 20_000)).toEqual([]);
  });
});

describe("a failure after the clock was set back (F25)", () => {
  const before = { failures: 1, refusals: 0, notBefore: 3_660_000, lastFailure: { kind: "not_sent" as const, at: 3_600_000 } };

  it("does not take over a wait that the later clock wrote: from then on nobody could tell it any more", () => {
    expect(failed(before, "ambiguous", 3_594_999).notBefore).toBeUndefined();
    expect(failed(before, "ambiguous", 3_594_999, 3_600_000).notBefore).toBe(3_600_000);
  });

  it("keeps the wait of a clock that goes on", () => {
    expect(failed(before, "ambiguous", 3_595_000).notBefore).toBe(3_660_000);
    expect(failed({ failures: 0, refusals: 0, notBefore: 9_000 }, "ambiguous", 1_000).notBefore).toBe(9_000);
  });
});

describe("a failure", () => {
  it("counts in a row, and refusals for themselves, from the first of them", () => {
    const once = failed({ failures: 0, refusals: 0 }, "refused", 1_000, 5_000);
    expect(once).toEqual({
      failures: 1,
      refusals: 1,
      firstRefusalAt: 1_000,
      lastFailure: { kind: "refused", at: 1_000 },
      notBefore: 5_000,
    });
    const twice = failed(once, "refused", 2_000);
    expect(twice).toMatchObject({ failures: 2, refusals: 2, firstRefusalAt: 1_000, notBefore: 5_000 });
    const away = failed(twice, "not_sent", 3_000, 9_000);
    expect(away).toMatchObject({
      failures: 3,
      refusals: 2,
      firstRefusalAt: 1_000,
      notBefore: 9_000,
      lastFailure: { kind: "not_sent", at: 3_000 },
    });
    expect(failed({ failures: 0, refusals: 0 }, "not_sent", 1_000).firstRefusalAt).toBeUndefined();
  });
});
