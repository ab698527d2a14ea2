import { describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { applyChange, applyOutcome } from "../../src/token/apply-change.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, makeReplica } from "../support/token-bench.ts";

describe("a change of a login session", () => {
  it("reads the record again under the lock: whoever waited for it does not try what was overtaken (I3)", async () => {
    const { one, signIn } = makeBench();
    const { record } = await signIn();
    const seen: number[] = [];
    const all = Array.from({ length: 10 }, () =>
      applyChange(one.core, record.id, (current) => {
        seen.push(current.version);
        return { ...current, version: current.version + 1 };
      }),
    );
    await Promise.all(all);
    expect(seen).toEqual(Array.from({ length: 10 }, (_, index) => record.version + index));
  });

  it("is tried again on the newer record when another process was faster (I3)", async () => {
    const commits = new Hold();
    const { clock, server, store, another } = makeBench();
    const one = makeReplica({
      clock,
      server,
      store,
      loginSessions: hookedStore(store.loginSessions, { before: (operation) => (operation === "commit" ? commits.wait() : undefined) }),
    });
    const two = another("replica-2");
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const seen: number[] = [];
    const mine = applyChange(one.core, record.id, (current) => {
      seen.push(current.version);
      return { ...current, version: current.version + 1, nextDueAt: 7 };
    });
    await settle();
    await applyChange(two.core, record.id, (current) => ({ ...current, version: current.version + 1, lastUsedAt: 9 }));
    commits.open();
    expect(await mine).toMatchObject({ version: 3, nextDueAt: 7, lastUsedAt: 9 });
    expect(seen).toEqual([1, 2]);
  });

  it("of a login session that is gone is none", async () => {
    const { one, signIn } = makeBench();
    const { record } = await signIn();
    await one.core.sessions.remove(record);
    expect(await applyChange(one.core, record.id, () => expect.unreachable())).toBeUndefined();
    expect(one.core.locks.size).toBe(0);
  });

  it("that must not be lost is tried until the store is back, without holding the lock in between (I4)", async () => {
    let away = true;
    const { clock, server, store } = makeBench();
    const loginSessions = hookedStore(store.loginSessions, {
      before: (operation) => {
        if (away && operation === "commit") throw storeAway();
      },
    });
    const one = makeReplica({ clock, server, store, loginSessions });
    const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
    const outcome = applyOutcome(one.core, record.id, (current) => ({ ...current, version: current.version + 1, nextDueAt: 7 }));
    await clock.advance(60_000);
    expect(one.core.locks.size).toBe(0);
    away = false;
    await clock.advance(6_000);
    expect(await outcome).toMatchObject({ nextDueAt: 7 });
  });

  it("that must not be lost is tried ever less often while the store is away, however long, at least every five seconds (I4)", async () => {
    const tries: number[] = [];
    const { clock, server, store } = makeBench();
    const start = clock.now();
    const loginSessions = hookedStore(store.loginSessions, {
      before: (operation) => {
        if (operation !== "get") return;
        tries.push(clock.now() - start);
        throw storeAway();
      },
    });
    const one = makeReplica({ clock, server, store, loginSessions, random: () => 1 });
    void applyOutcome(one.core, "id" as LoginSessionId, () => undefined);
    await clock.advance(30_000);
    expect(tries).toEqual([0, 250, 750, 1_750, 3_750, 7_750, 12_750, 17_750, 22_750, 27_750]);
  });

  it("that fails by a mistake of ours is tried nine times in all, and then says so", async () => {
    const { clock, one, signIn } = makeBench();
    const { record } = await signIn();
    let tries = 0;
    const outcome = applyOutcome(one.core, record.id, () => {
      tries += 1;
      throw new LatchkeyError("internal_error", "A mistake.");
    });
    const failed = expect(outcome).rejects.toMatchObject({ code: "internal_error" });
    await clock.advance(60_000);
    await failed;
    expect(tries).toBe(9);
  });

  it("runs alone, though the one before has gone and others still wait", async () => {
    const { one } = makeBench();
    const id = "id" as LoginSessionId;
    const holds = [new Hold(), new Hold(), new Hold()];
    let inside = 0;
    let most = 0;
    const run = (hold: Hold | undefined): Promise<void> =>
      one.core.locks.run(id, async () => {
        inside += 1;
        most = Math.max(most, inside);
        await hold?.wait();
        inside -= 1;
      });
    const first = run(holds[0]);
    const second = run(holds[1]);
    await settle();
    holds[0]?.open();
    await first;
    const third = run(holds[2]);
    await settle();
    for (const hold of holds) hold.open();
    await Promise.all([second, third]);
    expect(most).toBe(1);
  });

  it("holds a lock only while somebody wants it, and lets the next one in though one failed", async () => {
    const { one } = makeBench();
    const { locks } = one.core;
    const work = new Hold();
    const done: string[] = [];
    const id = "id" as LoginSessionId;
    const first = locks.run(id, () => work.wait().then(() => Promise.reject(new Error("failed"))));
    const second = locks.run(id, async () => void done.push("second"));
    const other = locks.run("other" as LoginSessionId, async () => void done.push("other"));
    await other;
    await settle();
    expect(done).toEqual(["other"]);
    expect(locks.size).toBe(1);
    work.open();
    await expect(first).rejects.toThrow("failed");
    await second;
    expect(done).toEqual(["other", "second"]);
    expect(locks.size).toBe(0);
  });
});
