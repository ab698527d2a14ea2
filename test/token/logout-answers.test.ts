import { describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { hookedStore, type StoreOperation, storeAway } from "../support/hooked-store.ts";
import { makeBench, makeReplica } from "../support/token-bench.ts";

/** A login session in a replica whose store throws what `fault` gives for an operation. */
async function faulty() {
  const bench = makeBench();
  const { clock, server, store } = bench;
  const faults: { fault: (operation: StoreOperation) => Error | undefined } = { fault: () => undefined };
  const loginSessions = hookedStore(store.loginSessions, {
    before: (operation) => {
      const error = faults.fault(operation);
      if (error !== undefined) throw error;
    },
  });
  const one = makeReplica({ clock, server, store, loginSessions });
  const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
  one.events.length = 0;
  return { ...bench, one, record, faults };
}

/** The store is away as soon as the end is written. */
function awayOnceEnded(): (operation: StoreOperation) => Error | undefined {
  let ended = false;
  return (operation) => {
    if (ended) return storeAway();
    ended = operation === "commit";
    return undefined;
  };
}

describe("the answer of a logout", () => {
  it("is given although the store is away as soon as the end is written: what is owed stays written (I12)", async () => {
    const { one, record, faults, server, store } = await faulty();
    faults.fault = awayOnceEnded();
    expect(await one.logout.end(record.id, "logout", { waitForRevocationMs: 1_000 })).toMatchObject({
      loginSession: { state: "ended", reason: { code: "logout" } },
      revocation: "pending",
      idToken: record.idToken,
    });
    expect(server.revocationTries).toBe(0);
    expect((await store.loginSessions.get(record.id))?.debts).toHaveLength(2);
    expect(one.abortedCalls).toEqual([]);
  });

  it("waits for nothing when it was not told to, and leaves no timer behind when it was", async () => {
    const { one, record, clock, server } = await faulty();
    expect(await one.logout.end(record.id, "logout", { waitForRevocationMs: 60_000 })).toMatchObject({ revocation: "done" });
    expect(clock.pending).toBe(0);
    const other = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    server.revoke = () => new Promise(() => {});
    expect(await one.logout.end(other.id, "logout", { waitForRevocationMs: 0 })).toMatchObject({ revocation: "pending" });
    expect(clock.pending).toBe(0);
  });

  it("is an error, and aborts no calls, when the store fails in another way than being away", async () => {
    for (const error of [new Error("a mistake"), new LatchkeyError("internal_error", "A mistake.")]) {
      const { one, record, faults, store } = await faulty();
      faults.fault = () => error;
      await expect(one.logout.end(record.id, "logout")).rejects.toBe(error);
      expect(one.abortedCalls).toEqual([]);
      faults.fault = () => undefined;
      expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "live" });
    }
  });

  it("is in the audit once, with who asked, and never a second time (R15)", async () => {
    const { one, record, server } = await faulty();
    await one.logout.end(record.id, "administrator", { waitForRevocationMs: 1_000 });
    await one.logout.end(record.id, "logout", { waitForRevocationMs: 1_000 });
    expect(one.events.filter(({ event }) => event === "login_ended")).toEqual([
      { event: "login_ended", login: record.handle, issuer: server.issuer, reason: "administrator" },
    ]);
  });
});
