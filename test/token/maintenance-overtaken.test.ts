import { describe, expect, it } from "vitest";
import type { LoginSession, LoginSessionState } from "../../src/session/login-session.ts";
import { aLoginSession, inState, openAttempt } from "../session/records.ts";
import { hookedStore, type StoreOperation } from "../support/hooked-store.ts";
import { makeBench, makeReplica } from "../support/token-bench.ts";

const hourMs = 3_600_000;
const policy = { idleLimitSeconds: 3_600, tombstoneSeconds: 3_600 };

/**
 * A record that is due, its limit or its time reached, in a replica whose store lets `by` happen once before an operation:
 * before the nth of its kind, from the moment that `maintain` is called.
 */
async function due(state: LoginSessionState, change: (now: number) => Partial<LoginSession> = () => ({})) {
  const bench = makeBench();
  const { clock, server, store } = bench;
  const overtaking = { at: "get" as StoreOperation, nth: Number.POSITIVE_INFINITY, by: async (): Promise<unknown> => undefined };
  const loginSessions = hookedStore(store.loginSessions, {
    before: async (operation) => {
      if (operation !== overtaking.at) return;
      overtaking.nth -= 1;
      if (overtaking.nth === 0) await overtaking.by();
    },
  });
  const one = makeReplica({ clock, server, store, loginSessions, policy });
  const two = makeReplica({ clock, server, store, owner: "replica-2", policy });
  const now = clock.now();
  const base = inState(aLoginSession("a"), state);
  const record: LoginSession = {
    ...base,
    version: 1,
    createdAt: now,
    lastUsedAt: now,
    accessTokens: base.accessTokens.map((entry) => ({ ...entry, obtainedAt: now, expiresAt: now + 24 * hourMs })),
    reason: base.reason && { ...base.reason, at: now },
    nextDueAt: now + hourMs,
    ...change(now),
  };
  await store.loginSessions.insert(record);
  await clock.advance(hourMs);
  const maintain = async (at: StoreOperation, nth: number, by: () => Promise<unknown>): Promise<void> => {
    Object.assign(overtaking, { at, nth, by });
    await one.maintenance.maintain(record.id);
  };
  return { ...bench, one, two, record, maintain, read: () => store.loginSessions.get(record.id) };
}

describe("a login session that has reached its limit, and is overtaken", () => {
  it.each(["ended", "login_required"] as const)("is left as it is by then: %s (I11)", async (state) => {
    const { one, record, maintain, read, store, clock } = await due("live");
    const next: LoginSession = {
      ...inState(record, state),
      version: 2,
      reason: { code: state === "ended" ? "logout" : "refused", at: clock.now() },
    };
    await maintain("get", 2, () => store.loginSessions.commit(next));
    expect(await read()).toEqual(next);
    expect(one.events).toEqual([]);
  });

  it("is not said to need a sign-in when its record is gone by then", async () => {
    const { one, record, maintain, read, store } = await due("live");
    await maintain("get", 2, () => store.loginSessions.remove(record.id, record.version));
    expect(await read()).toBeUndefined();
    expect(one.events).toEqual([]);
  });
});

describe("a record whose time has come", () => {
  /** The same with a look at what is stored when its keys are removed, which comes just before its own removal. */
  async function removal(state: LoginSessionState, change: (now: number) => Partial<LoginSession> = () => ({})) {
    const made = await due(state, change);
    const { one, store, record } = made;
    const atRemoval: (LoginSession | undefined)[] = [];
    const { connectionKeys } = store;
    const removeKeys = connectionKeys.removeByLoginSession.bind(connectionKeys);
    connectionKeys.removeByLoginSession = async (id) => {
      atRemoval.push(await store.loginSessions.get(id));
      return removeKeys(id);
    };
    return { ...made, atRemoval, remove: () => one.maintenance.maintain(record.id) };
  }

  it("is made final first where a sign-in could bring it back, and holds nothing then (I11)", async () => {
    const { record, atRemoval, remove, read } = await removal("login_required", (at) => ({
      attempts: [{ ...openAttempt, lost: true }],
      reason: { code: "lost_reply", at },
      idToken: "id-token" as LoginSession["idToken"],
    }));
    await remove();
    expect(atRemoval).toEqual([{ ...record, version: 2, state: "ended", attempts: [], idToken: undefined }]);
    expect(await read()).toBeUndefined();
  });

  it("is not written once more where it is final", async () => {
    const { record, atRemoval, remove, read } = await removal("ended");
    await remove();
    expect(atRemoval).toEqual([record]);
    expect(await read()).toBeUndefined();
  });

  it("stays, with its connection keys, when somebody signs in again at the last moment", async () => {
    const { record, maintain, read, two, server, store } = await due("login_required");
    const again = server.signIn("alice");
    const hash = "hash" as Parameters<typeof store.connectionKeys.getByHash>[0];
    await store.connectionKeys.insert({ id: "k", hash, loginSessionId: record.id, name: "laptop", createdAt: 0 }, 20);
    await maintain("commit", 1, () => two.logins.repair(record.handle, { ...again, principal: record.principal }));
    expect(await read()).toMatchObject({ state: "live", epoch: 2 });
    expect(await store.connectionKeys.getByHash(hash)).toBeDefined();
  });

  it("counts from the moment that it lost its login, not from its last use", async () => {
    const { read, maintain, clock } = await due("login_required", (now) => ({
      lastUsedAt: now - 10 * hourMs,
      reason: { code: "grant_dead", at: now + hourMs / 2 },
    }));
    await maintain("get", 9, async () => undefined);
    expect(await read()).toMatchObject({ state: "login_required", nextDueAt: clock.now() + hourMs / 2 });
  });

  it("is not put off by a look that was overtaken", async () => {
    const { record, read, maintain, store, clock } = await due("login_required", (now) => ({
      reason: { code: "grant_dead", at: now + hourMs / 2 },
    }));
    const next = { ...record, version: 2, nextDueAt: clock.now() + 1 };
    await maintain("get", 2, () => store.loginSessions.commit(next));
    expect(await read()).toEqual(next);
  });
});
