import { describe, expect, it } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { hashBrowserCookie, hashConnectionKey } from "../../src/session/random.ts";
import type { Store } from "../../src/session/store.ts";
import type { StoreAdministration } from "../../src/session/store-administration.ts";
import type { SealingKey } from "../../src/store/key-ring.ts";
import { aLoginSession, inState } from "../session/records.ts";

const firstKey: SealingKey = { id: "one", secret: "first secret of the tests, 32 characters and more" };
const secondKey: SealingKey = { id: "two", secret: "second secret of the tests, 32 characters and more" };

/** One place where data is; each `open` is as good as a process. The test closes what it opened. */
export interface DurablePlace {
  open(keys: readonly SealingKey[]): Promise<Store>;
  readonly now: () => number;
  /** Lets the time of the processes and of the store pass, at least as far as leases are concerned. */
  readonly advance: (ms: number) => Promise<void>;
}

/** What an operator may rely on with a store that outlives its processes. Each such adapter runs it. `makePlace` cleans up after the test by itself. */
export function describeDurableStore(name: string, makePlace: () => Promise<DurablePlace>): void {
  describe(`${name}, as a store that outlives its processes`, () => {
    it("holds everything when it is opened again", async () => {
      const place = await makePlace();
      const first = await place.open([firstKey]);
      const record = aLoginSession("a");
      const key = { id: "1", hash: hashConnectionKey("lk_1"), loginSessionId: record.id, name: "k", createdAt: 1 };
      await first.loginSessions.insert(record);
      await first.connectionKeys.insert(key, 20);
      await first.authorizationServerRecords.put({ kind: "Client", id: "c", content: "{}" });
      await first.close();
      const second = await place.open([firstKey]);
      expect(await second.loginSessions.get(record.id)).toEqual(record);
      expect(await second.connectionKeys.getByHash(key.hash)).toEqual(key);
      expect(await second.authorizationServerRecords.get("Client", "c", place.now())).toMatchObject({ id: "c" });
      await second.close();
    });

    it("is refused without its sealing key, in words that name it, and nothing is lost", async () => {
      const place = await makePlace();
      const first = await place.open([firstKey]);
      await first.loginSessions.insert(aLoginSession("a"));
      await first.close();
      await expect(place.open([secondKey])).rejects.toMatchObject({
        code: "configuration_invalid",
        message: expect.stringContaining('sealed with the key "one"'),
      });
      const again = await place.open([secondKey, firstKey]);
      expect(await again.loginSessions.get("id-a" as LoginSessionId)).toBeDefined();
      await again.close();
    });

    it("counts what it holds", async () => {
      const place = await makePlace();
      const store = await place.open([firstKey]);
      const now = place.now();
      await store.loginSessions.insert(aLoginSession("a", { nextDueAt: now - 1 }));
      await store.loginSessions.insert(aLoginSession("b", { nextDueAt: now + 60_000 }));
      await store.loginSessions.insert(inState(aLoginSession("c", { version: 0 }), "ended"));
      await store.connectionKeys.insert(
        { id: "1", hash: hashConnectionKey("lk_1"), loginSessionId: "id-a" as LoginSessionId, name: "k", createdAt: 1 },
        20,
      );
      await store.usedIds.use({ kind: "k", id: "1", expiresAt: now + 1_000 }, now);
      await store.authorizationServerRecords.put({ kind: "Client", id: "c", content: "{}" });
      await store.replicas.announce("r1", 5_000);
      const stats = await administrationOf(store).stats(now);
      expect(stats.loginSessions).toEqual({ live: 2, refreshing: 0, uncertain: 0, login_required: 0, ended: 1 });
      expect(stats).toMatchObject({ connectionKeys: 1, browserSessions: 0, usedIds: 1, authorizationServerRecords: 1, replicas: 1 });
      expect(stats.due).toBeGreaterThanOrEqual(1);
      expect(stats.sealedWith).toEqual({ one: 4 });
      await store.close();
    });

    it("removes what has expired, and no login session", async () => {
      const place = await makePlace();
      const store = await place.open([firstKey]);
      const now = place.now();
      await store.loginSessions.insert(inState(aLoginSession("a", { version: 0 }), "ended"));
      await store.browserSessions.signIn({
        previous: undefined,
        next: {
          key: hashBrowserCookie("c"),
          loginSessionIds: [],
          createdAt: now,
          expiresAt: now + 100_000,
          madeBy: "m",
          signedInAt: now,
        },
        loginCookies: [],
        since: 0,
      });
      await store.usedIds.use({ kind: "k", id: "1", expiresAt: now + 100_000 }, now);
      await store.authorizationServerRecords.put({ kind: "Code", id: "c", content: "{}", expiresAt: now + 100_000 });
      await store.authorizationServerRecords.put({ kind: "Client", id: "c", content: "{}" });
      await administrationOf(store).purge(now);
      expect(await administrationOf(store).stats(now)).toMatchObject({ browserSessions: 1, usedIds: 1, authorizationServerRecords: 2 });
      await administrationOf(store).purge(now + 100_000);
      expect(await administrationOf(store).stats(now)).toMatchObject({ browserSessions: 0, usedIds: 0, authorizationServerRecords: 1 });
      expect(await store.loginSessions.get("id-a" as LoginSessionId)).toBeDefined();
      await store.close();
    });

    it("seals everything anew with another key while it is in use, so that the old one can go (B14)", async () => {
      const place = await makePlace();
      const before = await place.open([firstKey]);
      const records = Array.from({ length: 7 }, (_, index) => aLoginSession(`r${index}`));
      for (const record of records) await before.loginSessions.insert(record);
      await before.authorizationServerRecords.put({ kind: "Client", id: "c", content: '{"a":1}', grantId: "g" });
      await before.close();
      const store = await place.open([secondKey, firstKey]);
      const beside = await place.open([secondKey, firstKey]);
      const moved = inState(aLoginSession("r3"), "ended");
      await beside.loginSessions.commit(moved);
      let resealed = 0;
      let after: string | undefined;
      do {
        const step = await administrationOf(store).reseal(after, 3);
        expect(step.unreadable).toBe(0);
        resealed += step.resealed;
        after = step.next;
      } while (after !== undefined);
      expect(resealed).toBe(7);
      expect((await administrationOf(store).stats(place.now())).sealedWith).toEqual({ two: 8 });
      await store.close();
      await beside.close();
      const later = await place.open([secondKey]);
      for (const record of records) expect(await later.loginSessions.get(record.id)).toEqual(record.id === moved.id ? moved : record);
      expect(await later.authorizationServerRecords.get("Client", "c", place.now())).toMatchObject({ content: '{"a":1}', grantId: "g" });
      await later.close();
    });

    it("leaves what it cannot read as it is when it seals anew (F38)", async () => {
      const place = await makePlace();
      const lost: SealingKey = { id: "lost", secret: "a secret that nobody has any more, 32 characters" };
      const first = await place.open([firstKey]);
      await first.loginSessions.insert(aLoginSession("a"));
      await first.close();
      const second = await place.open([lost, firstKey]);
      await second.loginSessions.insert(aLoginSession("b"));
      await second.close();
      const both = await place.open([firstKey, lost]);
      await both.close();
      const store = await place.open([firstKey]);
      let unreadable = 0;
      let after: string | undefined;
      do {
        const step = await administrationOf(store).reseal(after, 10);
        unreadable += step.unreadable;
        after = step.next;
      } while (after !== undefined);
      expect(unreadable).toBe(1);
      expect((await administrationOf(store).stats(place.now())).sealedWith).toEqual({ one: 1, lost: 1 });
      expect(await store.loginSessions.get("id-a" as LoginSessionId)).toBeDefined();
      await store.close();
    });

    it("knows how many processes are alive, and forgets one whose lease is over", async () => {
      const place = await makePlace();
      const [one, two] = [await place.open([firstKey]), await place.open([firstKey])];
      expect(await one.replicas.announce("r1", 2_000)).toBe(1);
      expect(await two.replicas.announce("r2", 60_000)).toBe(2);
      expect(await one.replicas.announce("r1", 2_000)).toBe(2);
      await place.advance(2_500);
      expect(await two.replicas.announce("r2", 60_000)).toBe(1);
      expect(await one.replicas.announce("r1", 2_000)).toBe(2);
      await one.replicas.leave("r1");
      expect(await two.replicas.announce("r2", 60_000)).toBe(1);
      await one.close();
      await two.close();
    });

    it("has one incarnation for all, which outlives them, and another one after it was put back from a backup (F48)", async () => {
      const place = await makePlace();
      const [one, two] = [await place.open([firstKey]), await place.open([firstKey])];
      const before = one.incarnation();
      expect(before).not.toBe("");
      expect(two.incarnation()).toBe(before);
      const stop = two.loginSessions.subscribe(() => {});
      await administrationOf(one).renewIncarnation();
      await place.advance(1_000);
      expect(two.incarnation()).not.toBe(before);
      stop();
      const third = await place.open([firstKey]);
      expect(third.incarnation()).toBe(two.incarnation());
      for (const store of [one, two, third]) await store.close();
    });
  });
}

function administrationOf(store: Store): StoreAdministration {
  if (store.administration === undefined) throw new Error("This store has no administration.");
  return store.administration;
}
