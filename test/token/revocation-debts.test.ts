import { describe, expect, it } from "vitest";
import type {
  AccessToken,
  LoginSession,
  LoginSessionState,
  RefreshToken,
  RevocationDebt,
  RevocationState,
} from "../../src/session/login-session.ts";
import type { RevocationOutcome } from "../../src/token/ports.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench } from "../support/token-bench.ts";

const revoked: RevocationOutcome = { kind: "revoked" };
const unsupported: RevocationOutcome = { kind: "unsupported" };
const away: RevocationOutcome = { kind: "unavailable", cause: new Error("503") };
const dayMs = 86_400_000;

function owing(kind: RevocationDebt["kind"], change: Partial<RevocationDebt> = {}): RevocationDebt {
  const token = kind === "refresh_token" ? ("rt-owed" as RefreshToken) : ("at-owed" as AccessToken);
  return { kind, token, tries: 0, nextTryAt: 0, expiresAt: Number.MAX_SAFE_INTEGER, ...change };
}

/** What becomes of debts that are paid once, under a clock of which `debts` gets the present moment. Every random number is 0.5. */
async function pay(
  debts: (now: number) => readonly RevocationDebt[],
  answers: readonly RevocationOutcome[],
  start: {
    state?: LoginSessionState;
    record?: Partial<LoginSession>;
    sharedGrant?: "wait" | "revoke";
    others?: readonly LoginSession[];
  } = {},
) {
  const bench = makeBench({}, { authorizationServer: { sharedGrant: start.sharedGrant ?? "wait" } });
  const { clock, one, server, store } = bench;
  const now = clock.now();
  server.revocationAnswers.push(...answers);
  const silent = inState(aLoginSession("a"), start.state ?? "ended");
  const record = {
    ...silent,
    version: 1,
    lastUsedAt: now,
    revocation: "pending" as RevocationState,
    debts: debts(now),
    reason: silent.reason && { ...silent.reason, at: now - 5_000 },
    ...start.record,
  };
  await one.core.sessions.insert(record);
  for (const other of start.others ?? []) await one.core.sessions.insert(other);
  await one.debts.pay(record.id);
  const after = await store.loginSessions.get(record.id);
  return { ...bench, now, record, after, events: one.events };
}

describe("a debt", () => {
  it("that is paid is gone; the record is purged at its time, and the audit says so", async () => {
    const { now, after, server, events, record } = await pay(() => [owing("refresh_token"), owing("access_token")], [revoked, revoked]);
    expect(after).toMatchObject({ version: 2, debts: [], revocation: "done", nextDueAt: now - 5_000 + dayMs });
    expect(server.revoked.map((each) => each.kind)).toEqual(["refresh_token", "access_token"]);
    expect(events).toEqual([
      { event: "revocation_done", login: record.handle, issuer: record.principal.issuer, revocation: "done", owed: 0 },
    ]);
    const waiting = await pay(() => [owing("refresh_token")], [revoked], { state: "login_required" });
    expect(waiting.after?.nextDueAt).toBe(waiting.now - 5_000 + 14 * dayMs);
  });

  it("that cannot be paid is tried again, ever later, up to five minutes", async () => {
    for (const [tries, waitMs] of [
      [0, 550],
      [3, 4_400],
      [19, 165_000],
    ] as const) {
      const { now, after, events } = await pay(() => [owing("refresh_token", { tries })], [away]);
      expect(after).toMatchObject({
        revocation: "pending",
        debts: [{ tries: tries + 1, nextTryAt: now + waitMs }],
        nextDueAt: now + waitMs,
      });
      expect(events).toMatchObject([{ event: "revocation_failed", revocation: "pending", owed: 1 }]);
    }
  });

  it("waits as long as the server says, if that is longer (F12)", async () => {
    const { now, after } = await pay(() => [owing("refresh_token")], [{ ...away, retryAfterSeconds: 30 }]);
    expect(after?.nextDueAt).toBe(now + 30_000);
    const soon = await pay(() => [owing("refresh_token", { tries: 3 })], [{ ...away, retryAfterSeconds: 1 }]);
    expect(soon.after?.nextDueAt).toBe(soon.now + 4_400);
  });

  it("is left alone before its time; the soonest of them says when to look again", async () => {
    const { now, after, server } = await pay(
      (at) => [owing("refresh_token", { nextTryAt: at + 1 }), owing("access_token", { nextTryAt: at })],
      [away],
    );
    expect(server.revocationTries).toBe(1);
    expect(after?.debts.map((each) => [each.kind, each.tries])).toEqual([
      ["refresh_token", 0],
      ["access_token", 1],
    ]);
    expect(after?.nextDueAt).toBe(now + 1);
  });

  it("changes nothing when none has come to its time", async () => {
    const { after, record, events } = await pay((at) => [owing("refresh_token", { nextTryAt: at + 1 })], []);
    expect(after).toEqual(record);
    expect(events).toEqual([]);
  });

  it("ends by itself when its token has expired, and is not tried then", async () => {
    const { after, server, events } = await pay((at) => [owing("refresh_token", { expiresAt: at })], []);
    expect(server.revocationTries).toBe(0);
    expect(after).toMatchObject({ debts: [], revocation: "expired" });
    expect(events).toMatchObject([{ event: "revocation_done", revocation: "expired" }]);
    const last = await pay((at) => [owing("refresh_token", { expiresAt: at + 1 })], [revoked]);
    expect(last.after?.revocation).toBe("done");
  });

  it("is tried again when the authorization server's port fails unexpectedly", async () => {
    const { one, server, store } = makeBench();
    server.revoke = () => Promise.reject(new Error("unexpected"));
    const record = { ...inState(aLoginSession("a"), "ended"), debts: [owing("refresh_token")] };
    await one.core.sessions.insert(record);
    await one.debts.pay(record.id);
    expect((await store.loginSessions.get(record.id))?.debts).toMatchObject([{ tries: 1 }]);
  });

  it("is paid once, however many ask, and nothing is left of the payment", async () => {
    const revocations = new Hold();
    const { one, server } = makeBench({ pauseOther: (point) => (point === "revoke" ? revocations.wait() : Promise.resolve()) });
    const record = { ...inState(aLoginSession("a"), "ended"), debts: [owing("refresh_token")] };
    await one.core.sessions.insert(record);
    const payments = [one.debts.pay(record.id), one.debts.pay(record.id)];
    let drained = false;
    const draining = one.debts.drain().then(() => {
      drained = true;
    });
    await settle();
    expect(server.revocationTries).toBe(1);
    expect(one.debts.size).toBe(1);
    expect(drained).toBe(false);
    revocations.open();
    await Promise.all(payments);
    await draining;
    expect(one.debts.size).toBe(0);
  });

  it("of nobody, or none, is nothing", async () => {
    const { after, record } = await pay(() => [], []);
    expect(after).toEqual(record);
    const { one } = makeBench();
    await expect(one.debts.pay(record.id)).resolves.toBeUndefined();
  });
});

describe("what is said of a revocation (F45)", () => {
  const refresh = owing("refresh_token");
  const access = owing("access_token");
  it.each<[string, readonly RevocationDebt[], readonly RevocationOutcome[], RevocationState, Partial<LoginSession>]>([
    ["done", [refresh, access], [revoked, unsupported], "done", {}],
    ["pending while anything is owed", [refresh, access], [revoked, away], "pending", {}],
    ["pending while the refresh token is owed", [refresh, access], [away, revoked], "pending", {}],
    ["unsupported as soon as the refresh token cannot be revoked", [refresh, access], [unsupported, away], "unsupported", {}],
    ["unsupported still, when only access tokens were left", [access], [revoked], "unsupported", { revocation: "unsupported" }],
    ["expired still, when only access tokens were left", [access], [revoked], "expired", { revocation: "expired" }],
    ["unsupported where there was no refresh token", [access], [unsupported], "unsupported", {}],
    ["done where there was no refresh token", [access], [revoked], "done", {}],
    [
      "expired where one of two refresh tokens was",
      [refresh, { ...refresh, token: "rt-2" as RefreshToken, expiresAt: 1 }],
      [revoked],
      "expired",
      {},
    ],
    [
      "unsupported where one of two refresh tokens was",
      [refresh, { ...refresh, token: "rt-2" as RefreshToken }],
      [revoked, unsupported],
      "unsupported",
      {},
    ],
    [
      "pending where one of two refresh tokens is",
      [refresh, { ...refresh, token: "rt-2" as RefreshToken }],
      [unsupported, away],
      "pending",
      {},
    ],
    ["expired where the access token was all", [{ ...access, expiresAt: 1 }], [], "expired", {}],
  ])("%s", async (_what, debts, answers, said, record) => {
    expect((await pay(() => debts, answers, { record })).after?.revocation).toBe(said);
  });
});

describe("a grant that another login session may live on (F23)", () => {
  const principal = aLoginSession("a").principal;
  const withSid = (sid: string | undefined, change: Partial<LoginSession["principal"]> = {}): Partial<LoginSession> => ({
    principal: { ...principal, sid, ...change },
  });
  const other = (
    sid: string | undefined,
    state: LoginSessionState = "live",
    change: Partial<LoginSession["principal"]> = {},
  ): LoginSession => ({
    ...inState(aLoginSession("b"), state),
    ...withSid(sid, change),
  });

  it.each<[string, LoginSession[], boolean]>([
    ["the same `sid`, live", [other("s1")], true],
    ["the same `sid`, refreshing", [other("s1", "refreshing")], true],
    ["the same `sid`, uncertain", [other("s1", "uncertain")], true],
    ["the same `sid`, but over", [other("s1", "login_required")], false],
    ["the same `sid`, but another client", [other("s1", "live", { clientId: "other" })], false],
    ["another `sid`", [other("s2")], false],
    ["none at all", [], false],
  ])("%s: waits is %s", async (_what, others, waits) => {
    const { now, after, server, events } = await pay(() => [owing("refresh_token")], [revoked], { record: withSid("s1"), others });
    expect(server.revocationTries).toBe(waits ? 0 : 1);
    if (!waits) return;
    expect(after).toMatchObject({ version: 2, revocation: "shared", nextDueAt: now + 60_000 });
    expect(after?.debts).toHaveLength(1);
    expect(events).toEqual([]);
  });

  it("does not wait where grants are configured not to be shared, nor for what is somebody else's, nor without a `sid`", async () => {
    const others = [other("s1")];
    const configured = await pay(() => [owing("refresh_token")], [revoked], { record: withSid("s1"), others, sharedGrant: "revoke" });
    expect(configured.after?.revocation).toBe("done");
    const foreign = await pay(() => [owing("refresh_token", { foreign: true })], [revoked], { record: withSid("s1"), others });
    expect(foreign.after?.revocation).toBe("done");
    const unknown = await pay(() => [owing("refresh_token")], [revoked], { record: withSid(undefined), others: [other(undefined)] });
    expect(unknown.after?.revocation).toBe("done");
  });

  it("goes by the `sid` of the debt where that has one", async () => {
    const debts = () => [owing("refresh_token", { sid: "s0" })];
    const older = await pay(debts, [revoked], { record: withSid("s1"), others: [other("s1")] });
    expect(older.after?.revocation).toBe("done");
    const same = await pay(debts, [revoked], { record: withSid("s1"), others: [other("s0")] });
    expect(same.after?.revocation).toBe("shared");
  });

  it("is looked at again at once by those that wait for it, when the last of it has paid", async () => {
    const shared = (name: string, change: Partial<LoginSession>): LoginSession => ({
      ...inState(aLoginSession(name), "ended"),
      ...withSid("s1"),
      debts: [owing("refresh_token")],
      revocation: "shared",
      nextDueAt: 77,
      ...change,
    });
    const others = [
      shared("b", {}),
      shared("c", { revocation: "pending" }),
      shared("d", withSid("s2")),
      { ...other("s2"), handle: aLoginSession("e").handle, id: aLoginSession("e").id, nextDueAt: 77 },
    ];
    const { now, store } = await pay(() => [owing("refresh_token")], [revoked], { record: withSid("s1"), others });
    const dueAt = async (name: string): Promise<unknown> => (await store.loginSessions.get(aLoginSession(name).id))?.nextDueAt;
    expect(await Promise.all(["b", "c", "d", "e"].map(dueAt))).toEqual([now, 77, 77, 77]);
    const unended = await pay(() => [owing("refresh_token")], [revoked], {
      state: "login_required",
      record: withSid("s1"),
      others: [shared("b", {})],
    });
    expect((await unended.store.loginSessions.get(aLoginSession("b").id))?.nextDueAt).toBe(77);
  });

  it("keeps a login session that owes, but lives, due for its own refresh", async () => {
    const { now, after } = await pay(() => [owing("refresh_token")], [], { state: "live" });
    expect(after).toMatchObject({ state: "live", revocation: "shared", debts: [{ nextTryAt: now + 60_000 }], nextDueAt: now + 1_000 });
    const claimed = await pay(() => [owing("refresh_token")], [], { state: "refreshing", record: { nextDueAt: 77 } });
    expect(claimed.after).toMatchObject({ state: "refreshing", nextDueAt: 77 });
    const paid = await pay(() => [owing("refresh_token", { foreign: true })], [revoked], { state: "live" });
    expect(paid.after).toMatchObject({ state: "live", revocation: "done", debts: [], nextDueAt: paid.now + 1_000 });
    const paidBeside = await pay(() => [owing("refresh_token", { foreign: true })], [revoked], {
      state: "uncertain",
      record: { nextDueAt: 77 },
    });
    expect(paidBeside.after).toMatchObject({ state: "uncertain", debts: [], nextDueAt: 77 });
  });
});
