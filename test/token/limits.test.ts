import { describe, expect, it } from "vitest";
import type { AccessToken, LoginSession, RevocationDebt } from "../../src/session/login-session.ts";
import { debtsDueAt, isDueForIdleOnly, limitReached, liveDueAt, livesOnGrantOf } from "../../src/token/limits.ts";
import type { TokenPolicy } from "../../src/token/ports.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { makeBench } from "../support/token-bench.ts";

/* The access token of `aLoginSession` is of 30 s, obtained at 1 s: with a random number of 0.5 it is due at 20.5 s. */

const debt: RevocationDebt = { kind: "access_token", token: "at-old" as AccessToken, tries: 0, nextTryAt: 9_000, expiresAt: 99_000 };

function withPolicy(policy: Partial<TokenPolicy>, sharedGrant: "wait" | "revoke" = "wait") {
  return makeBench({}, { policy, authorizationServer: { sharedGrant } }).one.core;
}

describe("the limits of a login session", () => {
  it("idle: counts from its last use, unless a connection is bound to it", async () => {
    const core = withPolicy({ idleLimitSeconds: 60 });
    const record = aLoginSession("a");
    expect(limitReached(core, record, 60_999)).toBeUndefined();
    expect(limitReached(core, record, 61_000)).toBe("idle");
    await core.sessions.insert(record);
    const watched = await core.sessions.watch(record.id);
    expect(limitReached(core, record, 3_600_000)).toBeUndefined();
    watched?.touch(5_000);
    watched?.release();
    expect(limitReached(core, record, 64_999)).toBeUndefined();
    expect(limitReached(core, record, 65_000)).toBe("idle");
  });

  it("absolute: counts from the sign-in, or from the newest repair, and none is set unless it is configured", () => {
    const core = withPolicy({ idleLimitSeconds: 10_000, absoluteLimitSeconds: 60 });
    const record = aLoginSession("a");
    expect(limitReached(core, record, 60_999)).toBeUndefined();
    expect(limitReached(core, record, 61_000)).toBe("absolute_limit");
    expect(limitReached(core, { ...record, repairedAt: 50_000 }, 109_999)).toBeUndefined();
    expect(limitReached(core, { ...record, repairedAt: 50_000 }, 110_000)).toBe("absolute_limit");
    expect(limitReached(withPolicy({ idleLimitSeconds: 10_000 }), record, 9_000_000)).toBeUndefined();
  });
});

describe("when a live login session is due", () => {
  const record = aLoginSession("a");
  it.each<[string, Partial<TokenPolicy>, Partial<LoginSession>, number]>([
    ["for its refresh", {}, {}, 20_500],
    ["for its idle limit", { idleLimitSeconds: 10 }, {}, 11_000],
    ["for its absolute limit", { absoluteLimitSeconds: 12 }, {}, 13_000],
    ["for a debt that may be paid", {}, { debts: [{ ...debt, foreign: true }] }, 9_000],
    ["for a debt whose time has come, at once", {}, { debts: [{ ...debt, foreign: true, nextTryAt: 0 }] }, 1_001],
    ["not for a debt that may not be paid while it lives", {}, { debts: [debt] }, 20_500],
  ])("%s", (_what, policy, change, expected) => {
    expect(liveDueAt(withPolicy(policy), { ...record, ...change }, 1_000)).toBe(expected);
  });

  it("is for its idle limit only, if it stands in the record like that and nothing else is near", () => {
    const core = withPolicy({ idleLimitSeconds: 10 });
    const used = { ...record, lastUsedAt: 5_000, nextDueAt: 15_000 };
    expect(isDueForIdleOnly(core, used, 12_000)).toBe(true);
    expect(isDueForIdleOnly(core, used, 14_000)).toBe(false);
    expect(isDueForIdleOnly(core, { ...used, nextDueAt: 14_999 }, 12_000)).toBe(false);
    expect(isDueForIdleOnly(core, { ...inState(used, "uncertain"), lastUsedAt: 5_000, nextDueAt: 15_000 }, 12_000)).toBe(false);
  });
});

describe("a debt of a login session that lives (F23)", () => {
  const sid = (of: string | undefined): LoginSession => aLoginSession("a", { principal: { ...aLoginSession("a").principal, sid: of } });
  it.each<[string, LoginSession, RevocationDebt, "wait" | "revoke", boolean]>([
    ["waits where nobody knows whether the grant is shared", sid(undefined), debt, "wait", true],
    ["waits where only the record has a `sid`", sid("s1"), debt, "wait", true],
    ["waits where only the debt has a `sid`", sid(undefined), { ...debt, sid: "s1" }, "wait", true],
    ["waits where both have the same `sid`", sid("s1"), { ...debt, sid: "s1" }, "wait", true],
    ["does not where their `sid` differ", sid("s1"), { ...debt, sid: "s2" }, "wait", false],
    ["does not where it is of somebody else's grant", sid("s1"), { ...debt, sid: "s1", foreign: true }, "wait", false],
    ["does not where grants are configured not to be shared", sid("s1"), { ...debt, sid: "s1" }, "revoke", false],
    ["does not once it needs a new sign-in", inState(sid("s1"), "login_required"), { ...debt, sid: "s1" }, "wait", false],
    ["does not once it has ended", inState(sid("s1"), "ended"), { ...debt, sid: "s1" }, "wait", false],
  ])("%s", (_what, record, owed, sharedGrant, waits) => {
    expect(livesOnGrantOf(record, owed, sharedGrant)).toBe(waits);
    expect(debtsDueAt(withPolicy({}, sharedGrant), { ...record, debts: [owed] })).toBe(waits ? Number.POSITIVE_INFINITY : 9_000);
  });

  it("is due when the soonest of them is, and never where there is none", () => {
    const core = withPolicy({}, "revoke");
    const debts = [{ ...debt, nextTryAt: 20_000 }, debt, { ...debt, nextTryAt: 10_000 }];
    expect(debtsDueAt(core, aLoginSession("a", { debts }))).toBe(9_000);
    expect(debtsDueAt(core, aLoginSession("a"))).toBe(Number.POSITIVE_INFINITY);
  });
});
