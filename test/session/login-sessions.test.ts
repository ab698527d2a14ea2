import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../src/logger.ts";
import type { LoginSession } from "../../src/session/login-session.ts";
import { LoginSessions } from "../../src/session/login-sessions.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { hookedStore, type StoreHooks, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench } from "../support/token-bench.ts";
import { aLoginSession, inState } from "./records.ts";

function make(hooks: StoreHooks = {}) {
  const store = new MemoryStore(() => 0);
  return {
    store,
    here: new LoginSessions(hookedStore(store.loginSessions, hooks), silentLogger),
    there: new LoginSessions(store.loginSessions, silentLogger),
  };
}

async function end(sessions: LoginSessions, record: LoginSession): Promise<LoginSession> {
  const next = inState(record, "ended");
  expect(await sessions.commit(record, next)).toBe(true);
  return next;
}

describe("watching a login session", () => {
  it.each(["before the first read", "between the two reads", "after the second read"] as const)(
    "that ends %s never gives a live one (R3)",
    async (moment) => {
      const gets = new Hold();
      const { here, there } = make({
        before: (operation) => (operation === "get" ? gets.wait() : undefined),
        after: (operation) => (operation === "get" ? gets.wait() : undefined),
      });
      const record = aLoginSession("a");
      await there.insert(record);
      const watching = here.watch(record.id);
      // Holds: before and after the first read, before and after the second.
      const steps = { "before the first read": 0, "between the two reads": 2, "after the second read": 3 }[moment];
      for (let step = 0; step < steps; step += 1) {
        await settle();
        gets.letOne();
      }
      await settle();
      await end(there, record);
      gets.open();
      const watched = await watching;
      await settle();
      expect(watched?.current().state).toBe("ended");
      expect(here.watchedCount).toBe(1);
      watched?.release();
      expect(here.watchedCount).toBe(0);
    },
  );

  it("never gives one that is gone, and keeps nothing of it (R3, I16)", async () => {
    const { here, there } = make();
    const record = aLoginSession("a");
    await there.insert(record);
    const ended = await end(there, record);
    await there.remove(ended);
    expect(await here.watch(record.id)).toBeUndefined();
    expect(here.watchedCount).toBe(0);
  });

  it("keeps nothing when the store fails at the second read (I16)", async () => {
    let reads = 0;
    const { here, there } = make({
      before: (operation) => {
        if (operation === "get" && ++reads === 2) throw storeAway();
      },
    });
    await there.insert(aLoginSession("a"));
    await expect(here.watch(aLoginSession("a").id)).rejects.toMatchObject({ code: "store_unavailable" });
    expect(here.watchedCount).toBe(0);
  });

  it("sees the end made in this process at once, and made elsewhere as soon as the store says so (I12)", async () => {
    const { here, there } = make();
    const record = aLoginSession("a");
    await here.insert(record);
    const a = await here.watch(record.id);
    const b = await there.watch(record.id);
    await end(here, record);
    expect(a?.current().state).toBe("ended");
    await settle();
    expect(b?.current().state).toBe("ended");
  });

  it("shows the last snapshot, ended, after the record was purged", async () => {
    const { here, there } = make();
    const record = inState(aLoginSession("a"), "login_required");
    await there.insert(record);
    const watched = await here.watch(record.id);
    await there.remove(record);
    await settle();
    expect(watched?.current()).toMatchObject({ state: "ended", accessTokens: [] });
    watched?.release();
    expect(here.watchedCount).toBe(0);
  });

  it("does not come back from the dead when a read of the removed record arrives late (I11)", async () => {
    const gets = new Hold();
    gets.on = false;
    const { here, there } = make({ after: (operation) => (operation === "get" ? gets.wait() : undefined) });
    const record = aLoginSession("a");
    await there.insert(record);
    const watched = await here.watch(record.id);
    gets.on = true;
    const dead = inState(record, "login_required");
    await there.commit(record, dead);
    await settle();
    // The news of version 2 is being read; before it is here, the record is gone.
    await there.remove(dead);
    gets.open();
    await settle();
    expect(watched?.current().state).toBe("ended");
  });

  it("releases once, however often it is asked", async () => {
    const { here } = make();
    const record = aLoginSession("a");
    await here.insert(record);
    const a = await here.watch(record.id);
    const b = await here.watch(record.id);
    a?.release();
    a?.release();
    expect(here.isWatched(record.id)).toBe(true);
    b?.release();
    expect(here.isWatched(record.id)).toBe(false);
  });

  it("never goes back to an older snapshot, in whatever order reads arrive (I5)", async () => {
    const gets: { version: number; letGo: () => void }[] = [];
    let holding = false;
    const { store, there } = make();
    const here = new LoginSessions(
      {
        ...hookedStore(store.loginSessions, {}),
        get: async (id) => {
          const record = await store.loginSessions.get(id);
          if (holding && record !== undefined)
            await new Promise<void>((resolve) => void gets.push({ version: record.version, letGo: resolve }));
          return record;
        },
      },
      silentLogger,
    );
    let record = aLoginSession("a");
    await there.insert(record);
    const watched = await here.watch(record.id);
    holding = true;
    for (let version = 2; version <= 4; version += 1) {
      const next = { ...record, version };
      await there.commit(record, next);
      record = next;
      await settle();
    }
    for (const get of gets.splice(0).reverse()) {
      get.letGo();
      await settle();
      expect(watched?.current().version).toBe(4);
    }
  });

  it.each(["this process", "another process"])(
    "is never bound to a login session that %s has ended, at any interleaving (R3, property)",
    async (who) => {
      await fc.assert(
        fc.asyncProperty(fc.scheduler(), async (scheduler) => {
          const wait = (): Promise<void> => scheduler.schedule(Promise.resolve());
          const store = new MemoryStore(() => 0);
          const slow = hookedStore(store.loginSessions, { before: wait, after: wait });
          const here = new LoginSessions(slow, silentLogger);
          const ender = who === "this process" ? here : new LoginSessions(slow, silentLogger);
          const record = aLoginSession("a");
          await store.loginSessions.insert(record);
          let ended = false;
          const ending = ender.commit(record, inState(record, "ended")).then(() => {
            ended = true;
          });
          const watching = here.watch(record.id).then((watched) => {
            // Ended here before the watch was there: then it says so at once. Ended elsewhere: as soon as the news was read.
            if (ended && ender === here) expect(watched?.current().state).toBe("ended");
            return watched;
          });
          await scheduler.waitFor(Promise.all([ending, watching]));
          await scheduler.waitIdle();
          expect((await watching)?.current().state).toBe("ended");
        }),
        { numRuns: 200 },
      );
    },
  );
});

describe("changes", () => {
  it("are refused by the table before the store hears of them", async () => {
    const { here, store } = make();
    const record = aLoginSession("a");
    await here.insert(record);
    await expect(here.commit(record, { ...record, version: 2, generation: 2 })).rejects.toMatchObject({ code: "internal_error" });
    expect(await store.loginSessions.get(record.id)).toEqual(record);
  });

  it("lose against a newer version, which then is known here (I3)", async () => {
    const { here, there } = make();
    const record = aLoginSession("a");
    await here.insert(record);
    const watched = await here.watch(record.id);
    await end(there, record);
    expect(await here.commit(record, { ...record, version: 2, nextDueAt: 5 })).toBe(false);
    expect(watched?.current().state).toBe("ended");
  });

  it("are told once each, with what was before, to watchers and to those who watch nothing", async () => {
    const { here, there } = make();
    const told: string[] = [];
    const toldThere: number[] = [];
    here.onChange((next, previous) => void told.push(`${previous?.version ?? "-"} ${next.version}`));
    const stop = there.onChange(
      (next) => void toldThere.push(next.version),
      () => true,
    );
    const record = aLoginSession("a");
    await here.insert(record);
    await settle();
    await end(here, record);
    await settle();
    expect(told).toEqual(["- 1", "1 2"]);
    expect(toldThere).toEqual([1, 2]);
    stop();
    here.close();
  });

  it("survive a listener that throws", async () => {
    const { here } = make();
    here.onChange(() => {
      throw new Error("a bad listener");
    });
    const record = aLoginSession("a");
    await here.insert(record);
    await end(here, record);
    expect((await here.get(record.id))?.state).toBe("ended");
  });

  it("write a use with them, and keep it until then, though the watcher has gone", async () => {
    const { here, store } = make();
    const record = aLoginSession("a");
    await here.insert(record);
    const watched = await here.watch(record.id);
    watched?.touch(5_000);
    watched?.touch(4_000);
    watched?.release();
    expect(here.unwrittenUses).toBe(1);
    expect(here.lastUseOf(record)).toBe(5_000);
    await here.commit(record, { ...record, version: 2 });
    expect((await store.loginSessions.get(record.id))?.lastUsedAt).toBe(5_000);
    expect(here.unwrittenUses).toBe(0);
  });
});

it("returns every map to its baseline after 2,000 logins, uses, logouts and purges (I16, F40)", async () => {
  const { clock, one, server, store, another } = makeBench({}, { heartbeat: { intervalMs: 60_000, concurrency: 512 } });
  const two = another("replica-2");
  const baseline = store.sizes();
  one.heartbeat.start();
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const record = await one.logins.start(server.signIn("alice", "main", index % 3 === 0 ? `sid-${round}-${index}` : undefined), {
          kind: "demo",
        });
        const here = await one.watch(record);
        const there = await two.watch(record);
        await two.tokens.acquire(there, { scopes: [] }, { rejected: "another" });
        await one.tokens.acquire(here, { resource: "https://other.example", scopes: [] });
        if (index % 2 === 0) here.release();
        await (index % 5 === 0 ? two : one).logout.end(record.id, "logout");
        if (index % 2 === 1) here.release();
        there.release();
      }),
    );
  }
  expect(store.sizes().records).toBe(2_000);
  await clock.advance(25 * 3_600_000);
  await one.heartbeat.stop();
  expect(store.sizes()).toEqual(baseline);
  for (const replica of [one, two]) {
    expect(replica.core.sessions.watchedCount).toBe(0);
    expect(replica.core.sessions.unwrittenUses).toBe(0);
    expect(replica.flights.size).toBe(0);
    expect(replica.debts.size).toBe(0);
    expect(replica.core.locks.size).toBe(0);
    expect(replica.imports.size).toBe(0);
  }
  expect(clock.pending).toBe(0);
});
