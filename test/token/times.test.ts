import { describe, expect, it } from "vitest";
import type { AccessToken, AccessTokenEntry, LoginSession } from "../../src/session/login-session.ts";
import {
  attemptLimitMs,
  attemptLimitOf,
  backoffMs,
  endOf,
  heldUntil,
  isFresh,
  isYoung,
  lastExpiry,
  lifetimeMs,
  queueingExpiry,
  refreshDueAt,
  remainingMs,
  wasSetBack,
} from "../../src/token/times.ts";
import { aLoginSession } from "../session/records.ts";

const target = { scopes: [] };
const other = { resource: "https://other.example", scopes: [] };

function entry(obtainedAt: number, seconds: number, of: AccessTokenEntry["target"] = target): AccessTokenEntry {
  return { target: of, accessToken: "at" as AccessToken, grantedScopes: [], obtainedAt, expiresAt: obtainedAt + seconds * 1000 };
}

function holding(accessTokens: readonly AccessTokenEntry[], refreshTokenExpiresAt?: number): LoginSession {
  return aLoginSession("a", { accessTokens, refreshTokenExpiresAt });
}

describe("the lifetime of access tokens", () => {
  it("is that of the token for the target, else of the newest, else 300 s", () => {
    const record = holding([entry(10_000, 30), entry(5_000, 600, other)]);
    expect(lifetimeMs(record)).toBe(30_000);
    expect(lifetimeMs(record, other)).toBe(600_000);
    expect(lifetimeMs(record, { resource: "https://third.example", scopes: [] })).toBe(30_000);
    expect(lifetimeMs(holding([]))).toBe(300_000);
  });

  it("is a second at least, whatever the server says", () => {
    expect(lifetimeMs(holding([entry(10_000, 0)]))).toBe(1_000);
    expect(lifetimeMs(holding([entry(10_000, -5)]))).toBe(1_000);
  });
});

describe("the time that a presentation may take", () => {
  it("is a quarter of the access token's life, or of the refresh token's where that is shorter", () => {
    expect(attemptLimitOf(holding([entry(10_000, 60)]), {})).toBe(15_000);
    expect(attemptLimitOf(holding([entry(10_000, 60)], 30_000), {})).toBe(5_000);
    expect(attemptLimitOf(holding([entry(10_000, 60)], 100_000), {})).toBe(15_000);
    expect(attemptLimitOf(holding([entry(10_000, 60), entry(10_000, 40, other)]), {}, other)).toBe(10_000);
  });

  it("counts the refresh token's life from the newest access token", () => {
    expect(attemptLimitOf(holding([entry(1_000, 60), entry(10_000, 60, other)], 30_000), {})).toBe(5_000);
    expect(attemptLimitOf(holding([entry(10_000, 60), entry(1_000, 60, other)], 30_000), {})).toBe(5_000);
  });

  it("does not heed the end of a refresh token that was over before the last refresh", () => {
    expect(attemptLimitOf(holding([entry(10_000, 60)], 10_000), {})).toBe(15_000);
    expect(attemptLimitOf(holding([entry(10_000, 60)], 10_001), {})).toBe(3_000);
  });

  it("is what is configured, where it is", () => {
    expect(attemptLimitOf(holding([entry(10_000, 60)], 20_000), { timeoutSeconds: 7 })).toBe(7_000);
    expect(attemptLimitMs(3_600_000, {})).toBe(20_000);
  });
});

describe("an access token", () => {
  const token = entry(100_000, 100);

  it("is good to its end, and not for a negative time after", () => {
    expect(remainingMs(token, 150_000)).toBe(50_000);
    expect(remainingMs(token, 200_000)).toBe(0);
    expect(remainingMs(token, 200_001)).toBe(0);
  });

  it("is good for nothing when the clock was set back by more than five seconds behind its birth (F25)", () => {
    expect(remainingMs(token, 95_000)).toBe(105_000);
    expect(remainingMs(token, 94_999)).toBe(0);
    expect(endOf(token, 95_000)).toBe(200_000);
    expect(endOf(token, 94_999)).toBe(0);
    expect(isYoung(token, 95_000)).toBe(true);
    expect(isYoung(token, 94_999)).toBe(false);
    expect(wasSetBack(100_000, 95_000)).toBe(false);
    expect(wasSetBack(100_000, 94_999)).toBe(true);
  });

  it("is fresh up to its margin, or up to the time that is asked for where that is longer", () => {
    expect(isFresh(token, 179_999)).toBe(true);
    expect(isFresh(token, 180_000)).toBe(false);
    expect(isFresh(token, 149_999, 50_000)).toBe(true);
    expect(isFresh(token, 150_000, 50_000)).toBe(false);
    expect(isFresh(token, 180_000, 1_000)).toBe(false);
  });

  it("is young in the first quarter of its life (I14)", () => {
    expect(isYoung(token, 124_999)).toBe(true);
    expect(isYoung(token, 125_000)).toBe(false);
  });

  it("that ends last tells how long anything is served", () => {
    expect(lastExpiry(holding([entry(10_000, 30), entry(5_000, 600, other), entry(10_000, 60)]), 20_000)).toBe(605_000);
    expect(lastExpiry(holding([entry(500_000, 30), entry(5_000, 60)]), 20_000)).toBe(65_000);
    expect(lastExpiry(holding([]), 20_000)).toBe(0);
  });
});

describe("a backoff", () => {
  it("holds until its time, unless the clock was set back since it was written (F25)", () => {
    const record = (health: Partial<LoginSession["health"]>): LoginSession =>
      aLoginSession("a", { health: { failures: 1, refusals: 0, ...health } });
    expect(heldUntil(record({}), 10_000)).toBe(0);
    expect(heldUntil(record({ notBefore: 90_000 }), 10_000)).toBe(90_000);
    expect(heldUntil(record({ notBefore: 90_000, lastFailure: { kind: "not_sent", at: 15_000 } }), 10_000)).toBe(90_000);
    expect(heldUntil(record({ notBefore: 90_000, lastFailure: { kind: "not_sent", at: 15_001 } }), 10_000)).toBe(0);
  });

  it("doubles from a second to a minute, if nothing else is said, and never falls under a tenth", () => {
    expect([0, 1, 5, 6, 60].map((failures) => backoffMs(failures, () => 1))).toEqual([1_000, 2_000, 32_000, 60_000, 60_000]);
    expect(backoffMs(0, () => 0)).toBe(100);
    // 2^20 and no more: nothing overflows.
    expect(backoffMs(5_000, () => 1, 1, Number.MAX_SAFE_INTEGER)).toBe(2 ** 20);
  });
});

describe("the next refresh", () => {
  it("is a second away when there is no access token", () => {
    expect(refreshDueAt(holding([]), target, 50_000, () => 0.5)).toBe(51_000);
  });

  it("follows the newest token when there is none for the target that is kept fresh", () => {
    expect(refreshDueAt(holding([entry(10_000, 100, other)]), target, 10_000, () => 0.5)).toBe(75_000);
  });

  it("comes at half of what is left of the refresh token since the newest token, whichever target that is for", () => {
    const record = holding([entry(10_000, 600), entry(20_000, 600, other)], 60_000);
    expect(refreshDueAt(record, target, 20_000, () => 0.5)).toBe(40_000);
    expect(refreshDueAt(record, target, 30_000, () => 0.5)).toBe(40_000);
  });

  it("does not heed the end of a refresh token that no refresh puts off (F41)", () => {
    const record = holding([entry(10_000, 100)], 60_000);
    const fixed = { ...record, observed: { ...record.observed, refreshTokenEnd: "fixed" as const } };
    expect(refreshDueAt(record, target, 10_000, () => 0.5)).toBe(35_000);
    expect(refreshDueAt(fixed, target, 10_000, () => 0.5)).toBe(75_000);
  });
});

describe("the place in the queue of an authorization server", () => {
  it("is by the end of the access token, and the first without one", () => {
    const record = holding([entry(10_000, 100)]);
    for (const now of [20_000, 200_000]) expect(queueingExpiry(record, target, now)).toBe(110_000);
    expect(queueingExpiry(holding([]), target, 20_000)).toBe(0);
  });

  it("is the last for one that was refused and has nothing left to be in time for (F42)", () => {
    const record = holding([entry(10_000, 100)]);
    const refused = { ...record, health: { ...record.health, refusals: 1 } };
    expect(queueingExpiry(refused, target, 109_999)).toBe(110_000);
    expect(queueingExpiry(refused, target, 110_000)).toBe(Number.POSITIVE_INFINITY);
    expect(queueingExpiry({ ...refused, accessTokens: [] }, target, 20_000)).toBe(Number.POSITIVE_INFINITY);
  });
});
