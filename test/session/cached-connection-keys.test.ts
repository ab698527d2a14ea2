import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { CachedConnectionKeys } from "../../src/session/cached-connection-keys.ts";
import type { ConnectionKeyRecord } from "../../src/session/connection-key.ts";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { hashConnectionKey } from "../../src/session/random.ts";
import type { ConnectionKeyStore } from "../../src/session/store.ts";
import { MemoryConnectionKeys } from "../../src/store/memory/memory-connection-keys.ts";
import { ManualClock } from "../support/manual-clock.ts";

const alice = "id-alice" as LoginSessionId;

function aKey(id: string, loginSessionId = alice): ConnectionKeyRecord {
  return { id, hash: hashConnectionKey(`lk_${id}`), loginSessionId, name: id, createdAt: 1 };
}

function make() {
  const clock = new ManualClock();
  const inner = new MemoryConnectionKeys();
  const world = { reads: 0, away: false, pause: async () => {} };
  const asked: ConnectionKeyStore = {
    insert: (key, limit) => inner.insert(key, limit),
    listByLoginSession: (id) => inner.listByLoginSession(id),
    remove: (id, keyId) => inner.remove(id, keyId),
    removeByLoginSession: (id) => inner.removeByLoginSession(id),
    getByHash: async (hash) => {
      world.reads += 1;
      if (world.away) throw new LatchkeyError("store_unavailable", "away");
      const found = await inner.getByHash(hash);
      await world.pause();
      return found;
    },
  };
  return { clock, inner, world, keys: new CachedConnectionKeys(asked, clock) };
}

describe("connection keys that are remembered", () => {
  it("are read at most twice a second, however often they are used", async () => {
    const { clock, world, keys } = make();
    const key = aKey("1");
    await keys.insert(key, 20);
    for (let call = 0; call < 1_000; call += 1) {
      expect(await keys.getByHash(key.hash)).toEqual(key);
      await clock.advance(1);
    }
    expect(world.reads).toBe(2);
  });

  it("are read once for all who ask at one time", async () => {
    const { world, keys } = make();
    await keys.insert(aKey("1"), 20);
    const found = await Promise.all(Array.from({ length: 10 }, () => keys.getByHash(aKey("1").hash)));
    expect(found).toEqual(Array.from({ length: 10 }, () => aKey("1")));
    expect(world.reads).toBe(1);
  });

  it("are refused at once when they are removed here, and within half a second when another process removes them", async () => {
    const { clock, inner, keys } = make();
    for (const id of ["1", "2", "3"]) {
      await keys.insert(aKey(id), 20);
      await keys.getByHash(aKey(id).hash);
    }
    await keys.remove(alice, "1");
    expect(await keys.getByHash(aKey("1").hash)).toBeUndefined();
    await inner.remove(alice, "2");
    await clock.advance(500);
    expect(await keys.getByHash(aKey("2").hash)).toBeUndefined();
    await keys.removeByLoginSession(alice);
    expect(await keys.getByHash(aKey("3").hash)).toBeUndefined();
    expect(keys.size).toBe(0);
  });

  it("are never known before they are there: an unknown one is asked for each time", async () => {
    const { world, keys } = make();
    expect(await keys.getByHash(aKey("1").hash)).toBeUndefined();
    await keys.insert(aKey("1"), 20);
    expect(await keys.getByHash(aKey("1").hash)).toEqual(aKey("1"));
    expect(world.reads).toBe(2);
  });

  it("go on while the store is away, if they were good when they were last read (F9)", async () => {
    const { clock, world, keys } = make();
    await keys.insert(aKey("1"), 20);
    await keys.getByHash(aKey("1").hash);
    world.away = true;
    await clock.advance(60_000);
    expect(await keys.getByHash(aKey("1").hash)).toEqual(aKey("1"));
    await expect(keys.getByHash(aKey("2").hash)).rejects.toMatchObject({ code: "store_unavailable" });
    world.away = false;
    await keys.remove(alice, "1");
    expect(await keys.getByHash(aKey("1").hash)).toBeUndefined();
  });

  it("do not go on when the store fails in another way: that may be a refusal", async () => {
    for (const error of [new Error("a mistake"), new LatchkeyError("internal_error", "A mistake.")]) {
      const { clock, world, keys } = make();
      await keys.insert(aKey("1"), 20);
      await keys.getByHash(aKey("1").hash);
      await clock.advance(500);
      world.pause = () => Promise.reject(error);
      await expect(keys.getByHash(aKey("1").hash)).rejects.toBe(error);
    }
  });

  it("are forgotten when they are found to be gone", async () => {
    const { clock, inner, world, keys } = make();
    await keys.insert(aKey("1"), 20);
    await keys.getByHash(aKey("1").hash);
    await inner.remove(alice, "1");
    await clock.advance(500);
    expect(await keys.getByHash(aKey("1").hash)).toBeUndefined();
    expect(keys.size).toBe(0);
    world.away = true;
    await expect(keys.getByHash(aKey("1").hash)).rejects.toMatchObject({ code: "store_unavailable" });
  });

  it("stay remembered when others are removed: of this login session, of the same name, or all of another's", async () => {
    const bob = "id-bob" as LoginSessionId;
    const all = [aKey("1"), aKey("2"), { ...aKey("3", bob), id: "1" }];
    const keptAfter = async (remove: (keys: CachedConnectionKeys) => Promise<unknown>) => {
      const { world, keys } = make();
      for (const key of all) await keys.insert(key, 20);
      for (const { hash } of all) await keys.getByHash(hash);
      await remove(keys);
      const kept: string[] = [];
      for (const { hash, name } of all) {
        world.reads = 0;
        await keys.getByHash(hash);
        if (world.reads === 0) kept.push(name);
      }
      return kept;
    };
    expect(await keptAfter((keys) => keys.remove(alice, "1"))).toEqual(["2", "3"]);
    expect(await keptAfter((keys) => keys.removeByLoginSession(alice))).toEqual(["3"]);
  });

  it("are listed as the store has them", async () => {
    const { keys } = make();
    await keys.insert(aKey("1"), 20);
    expect(await keys.listByLoginSession(alice)).toEqual([aKey("1")]);
  });

  it("are ten thousand at most (I16)", async () => {
    const { keys } = make();
    for (let each = 0; each < 10_050; each += 1) {
      await keys.insert(aKey(String(each), `id-${each}` as LoginSessionId), 20);
      await keys.getByHash(aKey(String(each)).hash);
    }
    expect(keys.size).toBe(10_000);
  });

  it("property: after a removal here has resolved, nobody who asks later gets the key, at any interleaving of reads and the removal", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        const { world, keys } = make();
        await keys.insert(aKey("1"), 20);
        world.pause = async () => {
          await scheduler.schedule(Promise.resolve());
        };
        const early = Array.from({ length: 3 }, () => scheduler.schedule(Promise.resolve()).then(() => keys.getByHash(aKey("1").hash)));
        const removal = scheduler
          .schedule(Promise.resolve())
          .then(() => keys.remove(alice, "1"))
          .then(() => Promise.all([keys.getByHash(aKey("1").hash), keys.getByHash(aKey("1").hash)]));
        await scheduler.waitFor(Promise.all([removal, ...early]));
        expect(await removal).toEqual([undefined, undefined]);
        world.pause = async () => {};
        expect(await keys.getByHash(aKey("1").hash)).toBeUndefined();
      }),
    );
  });
});
