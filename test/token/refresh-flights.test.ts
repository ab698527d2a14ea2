import { describe, expect, it } from "vitest";
import type { AccessTokenTarget, LoginSession } from "../../src/session/login-session.ts";
import type { RefreshWish } from "../../src/token/refresh-plan.ts";
import { aLoginSession, openAttempt } from "../session/records.ts";
import { hookedStore, type StoreOperation, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import type { ModelOptions } from "../support/model-authorization-server.ts";
import { Hold, makeBench, makeReplica, type ReplicaOptions } from "../support/token-bench.ts";

const cause = new Error("as the server was");
const target: AccessTokenTarget = { scopes: [] };
const reports: AccessTokenTarget = { resource: "https://reports.example", scopes: [] };

function demand(wanted = target): RefreshWish {
  return { target: wanted, cause: { kind: "demand", minimumValidityMs: 0 } };
}

function due({ generation }: LoginSession, wanted = target): RefreshWish {
  return { target: wanted, cause: { kind: "due", generation } };
}

/** Requests are held until they are let go. Access tokens live 30 s. */
function held(model: Partial<ModelOptions> = {}, replica: Partial<ReplicaOptions> = {}) {
  const requests = new Hold();
  const bench = makeBench({ pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()), ...model }, replica);
  return { ...bench, requests };
}

describe("a flight that is under way", () => {
  it("is joined by whoever wants the same, and both hear how it ended (I8)", async () => {
    const { clock, one, server, requests, signIn } = held();
    const { record } = await signIn();
    await clock.advance(31_000);
    const results = [one.flights.join(record, demand()), one.flights.join(record, demand()), one.flights.join(record, due(record))];
    expect(one.flights.size).toBe(1);
    await settle();
    server.faults.push({ kind: "answer", outcome: { kind: "server_error", retryAfterSeconds: 3, cause } });
    requests.open();
    for (const result of results)
      expect(await result).toMatchObject({ record: { state: "live" }, failure: { kind: "server_error", retryAfterSeconds: 3 } });
    expect(server.presentations).toHaveLength(1);
    expect(one.flights.size).toBe(0);
  });

  it("for another target is waited for, however it ends, and followed by one's own (I1)", async () => {
    const { clock, one, server, requests, signIn } = held();
    const { record, login } = await signIn();
    await clock.advance(31_000);
    const first = one.flights.join(record, demand());
    const second = one.flights.join(record, demand(reports));
    await settle();
    expect(server.presentations).toHaveLength(1);
    requests.letGo();
    expect(await first).toMatchObject({ record: { generation: 2 } });
    await settle();
    expect(server.presentations).toHaveLength(2);
    requests.letGo();
    expect(await second).toMatchObject({ record: { generation: 3 } });
    expect(login.current().accessTokens.map((each) => each.target)).toEqual([reports, target]);
  });

  it("for another target is enough for the heartbeat: when it fails, nothing more is presented for that", async () => {
    const { clock, one, server, requests, signIn } = held({ graceMs: 30_000 }, { authorizationServer: { reuseLeewaySeconds: 30 } });
    const { record } = await signIn();
    await clock.advance(31_000);
    const first = one.flights.join(record, demand(reports));
    const beat = one.flights.join(record, due(record));
    server.faults.push({ kind: "lose_reply" });
    await settle();
    requests.open();
    expect(await first).toMatchObject({ record: { state: "uncertain" }, failure: { kind: "ambiguous" } });
    expect(await beat).toMatchObject({ failure: { kind: "ambiguous" } });
    await settle();
    expect(server.presentations).toHaveLength(1);
  });

  it("does not end for whoever waits behind it when the store fails it", async () => {
    const { clock, one, server, requests, signIn } = held();
    const { record } = await signIn();
    await clock.advance(31_000);
    const { sessions } = one.core;
    const get = sessions.get.bind(sessions);
    sessions.get = () => {
      sessions.get = get;
      return Promise.reject(new Error("the store fails once"));
    };
    const first = one.flights.join(record, demand());
    const second = one.flights.join(record, demand(reports));
    requests.open();
    await expect(first).rejects.toThrow("the store fails once");
    expect(await second).toMatchObject({ record: { generation: 2 } });
    expect(server.presentations).toHaveLength(1);
  });
});

describe("in front of a busy authorization server", () => {
  /** Two login sessions, a second apart, whose refreshes queue for the heartbeat, bob's first; the gate lets one in at a time. */
  async function queued() {
    const bench = held({}, { concurrencyPerIssuer: 1 });
    const { clock, one } = bench;
    const alice = await bench.signIn("alice");
    await clock.advance(1_000);
    const bob = await bench.signIn("bob");
    await clock.advance(25_000);
    const ticket = await one.core.issuers.mustGet("main").gate.enter("user", 0).entered;
    bench.requests.open();
    const order = async () => {
      ticket.leave({ kind: "neutral" });
      await settle();
      return bench.server.presentations.map((each) => each.subject);
    };
    return { ...bench, alice: alice.record, bob: bob.record, order };
  }

  it("whose access token ends first goes first", async () => {
    const { one, alice, bob, order } = await queued();
    void one.flights.join(bob, due(bob));
    await settle();
    void one.flights.join(alice, due(alice));
    await settle();
    expect(await order()).toEqual(["alice", "bob"]);
  });

  it.each(["as soon as it has begun", "while it queues"])("a refresh that a user joins goes first: %s", async (when) => {
    const { one, alice, bob, order } = await queued();
    void one.flights.join(alice, due(alice));
    await settle();
    void one.flights.join(bob, due(bob));
    if (when === "while it queues") await settle();
    void one.flights.join(bob, demand());
    await settle();
    expect(await order()).toEqual(["bob", "alice"]);
  });

  it("a refresh that a user asked for goes first, one that the heartbeat joins does not", async () => {
    const { one, alice, bob, order } = await queued();
    void one.flights.join(alice, due(alice));
    void one.flights.join(bob, due(bob));
    await settle();
    void one.flights.join(bob, due(bob));
    await settle();
    expect(await order()).toEqual(["alice", "bob"]);
    const again = await queued();
    void again.one.flights.join(again.alice, due(again.alice));
    void again.one.flights.join(again.bob, demand());
    await settle();
    expect(await again.order()).toEqual(["bob", "alice"]);
  });
});

describe("a flight", () => {
  it("of a login session that is gone presents nothing (R14)", async () => {
    const { one, server, store, signIn } = held();
    const { record } = await signIn();
    await store.loginSessions.remove(record.id, record.version);
    expect(await one.flights.join(record, demand())).toEqual({ record: undefined });
    expect(server.presentations).toHaveLength(0);
    expect(one.flights.size).toBe(0);
  });

  it("whose request ends in an error that nobody foresaw counts as lost: the token may be spent (I1)", async () => {
    const { clock, one, server, signIn } = held();
    const { record } = await signIn();
    await clock.advance(31_000);
    server.refresh = () => Promise.reject(new Error("a mistake of the adapter"));
    expect(await one.flights.join(record, demand())).toMatchObject({
      record: { state: "uncertain", attempts: [{ lost: true }] },
      failure: { kind: "ambiguous" },
    });
  });

  it("says when its reply waits for its verification", async () => {
    const { clock, one, server, requests, signIn } = held();
    const { record } = await signIn();
    await clock.advance(31_000);
    requests.open();
    server.verificationAnswer = { kind: "unavailable", problem: "no keys" };
    expect(await one.flights.join(record, demand())).toMatchObject({ failure: { kind: "unverified" } });
    await clock.advance(60_000);
    expect(await one.flights.join(record, demand())).toMatchObject({ failure: { kind: "unverified" } });
    server.verificationAnswer = undefined;
    await clock.advance(60_000);
    expect(await one.flights.join(record, demand())).toEqual({ record: expect.objectContaining({ state: "live", generation: 2 }) });
    expect(server.presentations).toHaveLength(1);
  });
});

describe("a claim whose acknowledgement the store loses (F10)", () => {
  /** The store fails once when a claim is written, before it or after it. */
  async function failing(when: "before" | "after") {
    const bench = makeBench();
    const { clock, server, store } = bench;
    const fault = { left: 0 };
    const fail = (operation: StoreOperation): void => {
      if (operation === "commit" && fault.left-- > 0) throw storeAway();
    };
    const one = makeReplica({ clock, server, store, loginSessions: hookedStore(store.loginSessions, { [when]: fail }) });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    await clock.advance(31_000);
    fault.left = 1;
    return { ...bench, one, record };
  }

  it("is ours all the same, and presented once", async () => {
    const { one, record, server } = await failing("after");
    expect(await one.flights.join(record, demand())).toMatchObject({ record: { state: "live", generation: 2 } });
    expect(server.presentations).toHaveLength(1);
  });

  it("is none when it was not written: nothing is presented, and whoever asked hears of the store", async () => {
    const { one, record, server, store } = await failing("before");
    await expect(one.flights.join(record, demand())).rejects.toMatchObject({ code: "store_unavailable" });
    expect(server.presentations).toHaveLength(0);
    expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "live", attempts: [] });
  });

  it("is none when it is another's that was written meanwhile (I1)", async () => {
    const bench = makeBench();
    const { clock, server, store } = bench;
    const other = { ...openAttempt, claimedAt: clock.now() + 31_000, deadline: clock.now() + 40_000, owner: "replica-2" };
    const loginSessions = hookedStore(store.loginSessions, {
      before: async (operation, detail) => {
        if (operation !== "commit") return;
        const [attempt] = (detail as LoginSession).attempts;
        if (attempt === undefined) return;
        await store.loginSessions.commit({ ...(detail as LoginSession), attempts: [other] });
        throw storeAway();
      },
    });
    const one = makeReplica({ clock, server, store, loginSessions });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    await clock.advance(31_000);
    await expect(one.flights.join(record, demand())).rejects.toMatchObject({ code: "store_unavailable" });
    expect(server.presentations).toHaveLength(0);
  });
});

describe("a flight that asks introspection first", () => {
  /** A login session whose last presentation was answered with an error, so that the next one looks first. */
  async function lookingFirst(change: Partial<LoginSession> = {}) {
    const bench = makeBench({ introspection: "works" });
    const { clock, one } = bench;
    const at = clock.now();
    one.core.issuers.mustGet("main").introspectionTrusted = true;
    const record = aLoginSession("a", {
      createdAt: at,
      lastUsedAt: at,
      nextDueAt: at,
      health: { failures: 1, refusals: 0, lastFailure: { kind: "server_error", at } },
      ...change,
    });
    await one.core.sessions.insert(record);
    return { ...bench, record, gate: one.core.issuers.mustGet("main").gate };
  }

  it.each([
    [true, "server_error"],
    [false, "not_sent"],
    [undefined, "not_sent"],
  ] as const)("says what is wrong with it, and holds back: answered %s", async (answered, kind) => {
    const { clock, one, record, server, gate } = await lookingFirst();
    server.introspectionAnswer = { kind: "unavailable", answered, cause };
    expect(await one.flights.join(record, demand())).toMatchObject({
      record: {
        version: 2,
        nextDueAt: clock.now() + 275,
        // Nothing was presented, so the next flight need not look for that.
        health: { failures: 2, notBefore: clock.now() + 275, lastFailure: { kind: "not_sent", at: clock.now() } },
      },
      failure: { kind, retryAfterSeconds: undefined },
    });
    expect(server.presentations).toHaveLength(0);
    expect(gate.lastFailure).toBe(kind);
    expect(gate.closedForMs).toBe(0);
    expect(gate.isBusy).toBe(false);
  });

  it("holds back as long as the server asks for, and all others with it (F12)", async () => {
    const { clock, one, record, server, gate } = await lookingFirst();
    server.introspectionAnswer = { kind: "unavailable", answered: true, retryAfterSeconds: 7, cause };
    expect(await one.flights.join(record, demand())).toMatchObject({
      record: { nextDueAt: clock.now() + 7_000, health: { notBefore: clock.now() + 7_000 } },
      failure: { kind: "server_error", retryAfterSeconds: 7 },
    });
    expect(gate.closedForMs).toBe(7_000);
  });

  it("writes nothing over what has changed meanwhile (I3)", async () => {
    const { one, record, server } = await lookingFirst();
    server.introspect = async () => {
      await one.core.sessions.commit(record, { ...record, version: 2, lastUsedAt: record.lastUsedAt + 1 });
      return { kind: "unavailable", cause };
    };
    const { record: after, failure } = await one.flights.join(record, demand());
    expect(after).toMatchObject({ version: 2, health: record.health });
    expect(failure).toMatchObject({ kind: "not_sent" });
  });

  it("without a refresh token need not ask: there is nothing to ask about, and the reply is lost for good", async () => {
    const { one, record, server, clock } = await lookingFirst({ refreshToken: undefined });
    expect(await one.flights.join(record, demand())).toMatchObject({ record: { state: "login_required", reason: { code: "lost_reply" } } });
    expect(server.introspections).toBe(0);
    expect(one.events).toEqual([{ event: "login_required", login: record.handle, reason: "lost_reply" }]);
    expect(clock.pending).toBe(0);
  });
});
