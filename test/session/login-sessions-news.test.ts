import { describe, expect, it } from "vitest";
import { silentLogger } from "../../src/logger.ts";
import { LoginSessions } from "../../src/session/login-sessions.ts";
import type { LoginSessionChange } from "../../src/session/store.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { hookedStore, type StoreHooks, type StoreOperation, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold } from "../support/token-bench.ts";
import { aLoginSession, inState } from "./records.ts";

/** A process that hears of changes only when the test says so, beside one that changes things in the store directly. */
function make(hooks: StoreHooks = {}) {
  const store = new MemoryStore(() => 0).loginSessions;
  const listeners = new Set<(change: LoginSessionChange) => void>();
  const asked: StoreOperation[] = [];
  const before: StoreHooks["before"] = (operation, detail) => {
    asked.push(operation);
    return hooks.before?.(operation, detail);
  };
  const subscribe = (listener: (change: LoginSessionChange) => void): (() => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  const here = new LoginSessions({ ...hookedStore(store, { ...hooks, before }), subscribe }, silentLogger);
  const told: string[] = [];
  return {
    store,
    here,
    told,
    tellListener: (wantsAll: () => boolean = () => true) =>
      here.onChange((next, previous) => void told.push(`${previous?.version ?? "-"} ${next.version} ${next.state}`), wantsAll),
    hear: async (change: LoginSessionChange) => {
      for (const listener of listeners) listener(change);
      await settle();
    },
    reads: () => asked.filter((operation) => operation === "get").length,
  };
}

const record = aLoginSession("a");
const second = { ...record, version: 2 };
const third = { ...record, version: 3 };

describe("a process that has not heard of a change yet", () => {
  it.each(["get", "getByHandle"] as const)("knows it once it has read the record by `%s`", async (way) => {
    const { store, here } = make();
    await store.insert(record);
    const watched = await here.watch(record.id);
    await store.commit(second);
    expect(watched?.current().version).toBe(1);
    expect(await (way === "get" ? here.get(record.id) : here.getByHandle(record.handle))).toEqual(second);
    expect(watched?.current().version).toBe(2);
    expect(await here.getByHandle(aLoginSession("b").handle)).toBeUndefined();
  });

  it("knows it once it has lost against it (I3)", async () => {
    const { store, here } = make();
    await store.insert(record);
    const watched = await here.watch(record.id);
    await store.commit(inState(record, "ended"));
    expect(await here.commit(record, { ...second, nextDueAt: 5 })).toBe(false);
    expect(watched?.current().state).toBe("ended");
  });

  it("loses against a removal as well", async () => {
    const { store, here } = make();
    await store.insert(record);
    await store.remove(record.id, 1);
    expect(await here.commit(record, second)).toBe(false);
  });

  it("never gives a login session that is removed between its two reads (R3, I16)", async () => {
    let reads = 0;
    const { store, here } = make({
      before: async (operation) => {
        if (operation === "get" && ++reads === 2) await store.remove(record.id, 1);
      },
    });
    await store.insert(record);
    expect(await here.watch(record.id)).toBeUndefined();
    expect(here.watchedCount).toBe(0);
  });

  it("asks only once for a login session that does not exist", async () => {
    const { here, reads } = make();
    expect(await here.watch(record.id)).toBeUndefined();
    expect(reads()).toBe(1);
  });
});

describe("news from the store", () => {
  it("that are old are not read again", async () => {
    const { store, here, hear, reads } = make();
    await store.insert(record);
    await store.commit(second);
    const watched = await here.watch(record.id);
    const before = reads();
    await hear({ id: record.id, version: 1 });
    await hear({ id: record.id, version: 2 });
    expect(reads()).toBe(before);
    await store.commit(third);
    await hear({ id: record.id, version: 3 });
    expect(reads()).toBe(before + 1);
    expect(watched?.current().version).toBe(3);
  });

  it("about what nobody here watches are read while somebody wants all, and not when the record is gone", async () => {
    const { store, hear, reads, tellListener } = make();
    await store.insert(record);
    await hear({ id: record.id, version: 1 });
    expect(reads()).toBe(0);
    let wanted = false;
    tellListener(() => wanted);
    await hear({ id: record.id, version: 1 });
    expect(reads()).toBe(0);
    wanted = true;
    await hear({ id: record.id, version: 0 });
    expect(reads()).toBe(0);
    await hear({ id: record.id, version: 1 });
    expect(reads()).toBe(1);
  });

  it("are told to nobody when the record is gone, or older, by the time it is read", async () => {
    const { store, hear, told, tellListener } = make();
    tellListener();
    await hear({ id: record.id, version: 1 });
    await store.insert(record);
    await hear({ id: record.id, version: 2 });
    expect(told).toEqual([]);
    await hear({ id: record.id, version: 1 });
    expect(told).toEqual(["- 1 live"]);
  });

  it("are told once when somebody begins to watch while they are read", async () => {
    const gets = new Hold();
    gets.on = false;
    const { store, here, hear, told, tellListener } = make({ before: (operation) => (operation === "get" ? gets.wait() : undefined) });
    tellListener();
    await store.insert(record);
    gets.on = true;
    await hear({ id: record.id, version: 1 });
    const watching = here.watch(record.id);
    await settle();
    gets.letLast();
    await settle();
    expect(here.isWatched(record.id)).toBe(true);
    gets.open();
    await watching;
    await settle();
    expect(told).toEqual([]);
  });

  it("stop when it is closed, and so do the listeners", async () => {
    const { store, here, hear, told, tellListener } = make();
    tellListener();
    const watched = await store.insert(record).then(() => here.watch(record.id));
    here.close();
    await store.commit(second);
    await hear({ id: record.id, version: 2 });
    expect(watched?.current().version).toBe(1);
    await here.commit(second, third);
    expect(watched?.current().version).toBe(3);
    expect(told).toEqual([]);
  });

  it("reach no listener that was stopped", async () => {
    const { store, hear, told, tellListener } = make();
    await store.insert(record);
    const stop = tellListener();
    stop();
    await hear({ id: record.id, version: 1 });
    expect(told).toEqual([]);
  });
});

describe("a change that this process makes", () => {
  it("does not take back what it heard while it waited for the acknowledgement (I5)", async () => {
    const commits = new Hold();
    const { store, here, hear } = make({ after: (operation) => (operation === "commit" ? commits.wait() : undefined) });
    await store.insert(record);
    const watched = await here.watch(record.id);
    const committing = here.commit(record, second);
    await settle();
    await store.commit(third);
    await hear({ id: record.id, version: 3 });
    expect(watched?.current().version).toBe(3);
    commits.open();
    expect(await committing).toBe(true);
    expect(watched?.current().version).toBe(3);
  });

  it("is told once, though the store tells it too, and also when the next change is under way already", async () => {
    const commits: Hold[] = [new Hold(), new Hold()];
    const held = [...commits];
    const { store, here, hear, told, tellListener } = make({
      after: (operation) => (operation === "commit" ? held.shift()?.wait() : undefined),
    });
    await store.insert(record);
    tellListener();
    const first = here.commit(record, second);
    await settle();
    const next = here.commit(second, third);
    await settle();
    commits[0]?.open();
    await first;
    await hear({ id: record.id, version: 3 });
    commits[1]?.open();
    await next;
    expect(told).toEqual(["1 2 live", "2 3 live"]);
  });

  it("makes it deaf to nobody else's change of the same version once it has lost", async () => {
    const { store, here, hear, told, tellListener } = make();
    await store.insert(record);
    tellListener();
    await store.commit({ ...second, nextDueAt: 77 });
    expect(await here.commit(record, second)).toBe(false);
    await hear({ id: record.id, version: 2 });
    expect(told).toEqual(["- 2 live"]);
  });

  it("is known although its acknowledgement was lost (F10), and is not looked for when it was not written", async () => {
    const { store, here, hear, reads } = make({
      after: async (operation) => {
        if (operation !== "commit") return;
        await hear({ id: record.id, version: 2 });
        throw storeAway();
      },
    });
    await store.insert(record);
    const watched = await here.watch(record.id);
    await expect(here.commit(record, second)).rejects.toMatchObject({ code: "store_unavailable" });
    await settle();
    expect(watched?.current().version).toBe(2);

    const away = make({
      before: (operation) => {
        if (operation === "commit") throw storeAway();
      },
    });
    await away.store.insert(record);
    await away.here.watch(record.id);
    const before = away.reads();
    await expect(away.here.commit(record, second)).rejects.toMatchObject({ code: "store_unavailable" });
    await settle();
    expect(away.reads()).toBe(before);
    expect(reads()).toBeGreaterThan(0);
  });
});

describe("the removal of a record", () => {
  it("that this process makes shows at once, with a reason, and is told (I12)", async () => {
    const { store, here, told, tellListener } = make();
    await store.insert(record);
    const watched = await here.watch(record.id);
    tellListener();
    expect(await here.remove({ ...record, version: 9 })).toBe(false);
    expect(watched?.current().state).toBe("live");
    expect(await here.remove(record)).toBe(true);
    expect(watched?.current()).toMatchObject({
      state: "ended",
      reason: { code: "administrator", at: record.lastUsedAt },
      accessTokens: [],
      refreshToken: undefined,
    });
    expect(told).toEqual(["1 1 ended"]);
  });

  it("keeps the reason that was there, and tells nothing when it had ended before", async () => {
    const { store, here, hear, told, tellListener } = make();
    const dead = inState(record, "login_required");
    await store.insert(dead);
    const watched = await here.watch(record.id);
    tellListener();
    await hear({ id: record.id, version: 0 });
    expect(watched?.current()).toMatchObject({ state: "ended", reason: { code: "grant_dead" } });
    expect(told).toEqual(["2 2 ended"]);
    await hear({ id: record.id, version: 0 });
    expect(told).toHaveLength(1);
  });
});

describe("a use that is not written yet", () => {
  it("is one only if it is newer than what is written", async () => {
    const { store, here } = make();
    await store.insert(record);
    const watched = await here.watch(record.id);
    watched?.touch(record.lastUsedAt - 1);
    watched?.touch(record.lastUsedAt);
    expect(here.unwrittenUses).toBe(0);
    watched?.touch(record.lastUsedAt + 1);
    expect(here.unwrittenUses).toBe(1);
    expect(here.lastUseOf(record)).toBe(record.lastUsedAt + 1);
    expect(here.lastUseOf({ ...record, lastUsedAt: 9_000 })).toBe(9_000);
  });

  it("outlives another process's change that does not know it, but not one that does, nor the end (I16)", async () => {
    const use = async () => {
      const made = make();
      await made.store.insert(record);
      const watched = await made.here.watch(record.id);
      watched?.touch(5_000);
      return made;
    };
    const older = await use();
    await older.store.commit(second);
    await older.hear({ id: record.id, version: 2 });
    expect(older.here.unwrittenUses).toBe(1);

    const newer = await use();
    await newer.store.commit({ ...second, lastUsedAt: 5_000 });
    await newer.hear({ id: record.id, version: 2 });
    expect(newer.here.unwrittenUses).toBe(0);

    const over = await use();
    await over.store.commit(inState(record, "ended"));
    await over.hear({ id: record.id, version: 2 });
    expect(over.here.unwrittenUses).toBe(0);

    const gone = await use();
    await gone.hear({ id: record.id, version: 0 });
    expect(gone.here.unwrittenUses).toBe(0);
  });
});
