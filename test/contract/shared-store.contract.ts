import { describe, expect, it } from "vitest";
import type { BrowserSession } from "../../src/session/browser-session.ts";
import type { LoginSessionId, RefreshTokenHash } from "../../src/session/login-session.ts";
import { hashBrowserCookie, hashConnectionKey } from "../../src/session/random.ts";
import type { LoginSessionChange, Store } from "../../src/session/store.ts";
import { aLoginSession, inState } from "../session/records.ts";

/** Makes two stores on the same data, as two processes have them. */
export type SharedStoreMaker = () => Promise<{
  readonly stores: readonly [Store, Store];
  readonly now: () => number;
  readonly advance: (ms: number) => Promise<void>;
}>;

const alice = "id-alice" as LoginSessionId;

/** What several processes on one store may rely on. Each adapter that can be shared runs it. */
export function describeSharedStore(name: string, makeStores: SharedStoreMaker): void {
  /** Calls `run` for each of both stores in turn, `count` times in all, at one time. */
  function all<T>(stores: readonly Store[], count: number, run: (store: Store, index: number) => Promise<T>): Promise<readonly T[]> {
    return Promise.all(Array.from({ length: count }, (_, index) => run(index % 2 === 0 ? mustGet(stores, 0) : mustGet(stores, 1), index)));
  }

  describe(`${name}, shared by two processes`, () => {
    it("lets one of all commits to a version win (I1, I3, F2)", async () => {
      const { stores } = await makeStores();
      const record = aLoginSession("a");
      await stores[0].loginSessions.insert(record);
      const results = await all(stores, 20, (store, index) => store.loginSessions.commit({ ...record, version: 2, nextDueAt: index }));
      const winners = results.flatMap((result, index) => (result.committed ? [index] : []));
      expect(winners).toHaveLength(1);
      for (const store of stores) expect((await store.loginSessions.get(record.id))?.nextDueAt).toBe(winners[0]);
      const [loser] = results.filter((result) => !result.committed);
      expect(loser).toMatchObject({ current: { version: 2, nextDueAt: winners[0] } });
    });

    it("shows each what the other has written, at once and whole (I5)", async () => {
      const { stores } = await makeStores();
      const [one, two] = [stores[0].loginSessions, stores[1].loginSessions];
      const record = aLoginSession("a");
      await one.insert(record);
      expect(await two.get(record.id)).toEqual(record);
      const next = inState(record, "ended");
      await two.commit(next);
      expect(await one.get(record.id)).toEqual(next);
      expect(await one.remove(record.id, 2)).toBe(true);
      expect(await two.get(record.id)).toBeUndefined();
    });

    it("inserts a record of one id or handle once", async () => {
      const { stores } = await makeStores();
      const results = await Promise.allSettled(stores.map((store) => store.loginSessions.insert(aLoginSession("a"))));
      expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    });

    it("inserts one record of an imported refresh token, however many come at one time (F47)", async () => {
      const { stores } = await makeStores();
      const importedRefreshTokenHash = "hash-imported" as RefreshTokenHash;
      const inserted = await all(stores, 12, (store, index) =>
        store.loginSessions.insert(aLoginSession(`r${index}`, { importedRefreshTokenHash })).then(
          () => index,
          (error: unknown) => {
            expect(error).toMatchObject({ code: "conflict" });
            return undefined;
          },
        ),
      );
      const [winner, ...others] = inserted.filter((each) => each !== undefined);
      expect(others).toEqual([]);
      for (const store of stores)
        expect((await store.loginSessions.getByRefreshTokenHash(importedRefreshTokenHash))?.id).toBe(`id-r${winner}`);
    });

    it("gives what is due to one of them, the soonest first, and to nobody else within the lease", async () => {
      const { stores } = await makeStores();
      for (let each = 0; each < 40; each += 1) await stores[0].loginSessions.insert(aLoginSession(`r${each}`, { nextDueAt: each }));
      const claims = await all(stores, 8, (store) => store.loginSessions.claimDue(100, 5, 1_000));
      expect(new Set(claims.flat()).size).toBe(40);
      expect(claims.flat()).toHaveLength(40);
      for (const store of stores) expect(await store.loginSessions.claimDue(1_099, 10, 1_000)).toEqual([]);
    });

    it("moves due times once when both notice that the wall clock was set back (F25)", async () => {
      const { stores } = await makeStores();
      const hour = 3_600_000;
      await stores[0].loginSessions.insert(aLoginSession("a", { nextDueAt: 10 * hour }));
      for (const { loginSessions } of stores) await loginSessions.shiftDue(-hour);
      expect(await stores[0].loginSessions.claimDue(9 * hour - 1, 1, 1)).toEqual([]);
      // Another jump, and one of the same process, count.
      await stores[1].loginSessions.shiftDue(-2 * hour);
      await stores[0].loginSessions.shiftDue(-2 * hour - 10);
      await stores[1].loginSessions.shiftDue(-2 * hour);
      expect(await stores[0].loginSessions.claimDue(5 * hour - 1, 1, 1)).toEqual([]);
      expect(await stores[0].loginSessions.claimDue(5 * hour, 1, 1)).toEqual(["id-a"]);
    });

    it("gives a login transaction once (B7, F34)", async () => {
      const { stores, now } = await makeStores();
      const transaction = {
        state: "s1",
        authorizationServer: "main",
        nonce: "n",
        codeVerifier: "v",
        redirectUri: "r",
        browserBinding: "b",
        expiresAt: now() + 1_000,
      };
      await stores[0].loginTransactions.insert(transaction);
      const taken = await all(stores, 6, (store) => store.loginTransactions.take("s1", now()));
      expect(taken.filter((each) => each !== undefined)).toEqual([transaction]);
    });

    it("lets one import present a refresh token (I1, F47)", async () => {
      const { stores, now } = await makeStores();
      const hash = "hash-1" as RefreshTokenHash;
      const claims = await all(stores, 6, (store, index) =>
        store.importIntents.claim({ hash, owner: String(index), expiresAt: now() + 1_000 }, now()),
      );
      expect(claims.filter((claimed) => claimed)).toHaveLength(1);
    });

    it("counts a login session's connection keys together", async () => {
      const { stores } = await makeStores();
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) =>
          mustGet(stores, index % 2).connectionKeys.insert(
            { id: String(index), hash: hashConnectionKey(`lk_${index}`), loginSessionId: alice, name: "k", createdAt: 1 },
            3,
          ),
        ),
      );
      expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
      expect(await stores[1].connectionKeys.listByLoginSession(alice)).toHaveLength(3);
    });

    it("brings the sign-ins of one browser together that finish side by side", async () => {
      const { stores, now } = await makeStores();
      const session = (cookie: string, id: string): BrowserSession => ({
        key: hashBrowserCookie(cookie),
        loginSessionIds: [id as LoginSessionId],
        createdAt: now(),
        expiresAt: now() + 10_000,
        madeBy: `login of ${cookie}`,
        signedInAt: now(),
      });
      const loginCookies = ["login of one", "login of two"];
      await Promise.all([
        stores[0].browserSessions.signIn({ previous: undefined, next: session("one", "a"), loginCookies, since: 0 }),
        stores[1].browserSessions.signIn({ previous: undefined, next: session("two", "b"), loginCookies, since: 0 }),
      ]);
      for (const [store, cookie] of [
        [stores[0], "two"],
        [stores[1], "one"],
      ] as const) {
        const found = await store.browserSessions.get(hashBrowserCookie(cookie), now());
        expect([...(found?.loginSessionIds ?? [])].sort()).toEqual(["a", "b"]);
      }
    });

    it("tells each of the other's changes within a second, and of its own once (I12, B9)", async () => {
      const { stores, advance } = await makeStores();
      const told: LoginSessionChange[][] = [[], []];
      const stops = stores.map((store, index) => store.loginSessions.subscribe((change) => void told[index]?.push(change)));
      const record = aLoginSession("a");
      await stores[0].loginSessions.insert(record);
      await advance(1_000);
      await stores[1].loginSessions.commit(inState(record, "ended"));
      await advance(1_000);
      await stores[0].loginSessions.remove(record.id, 2);
      await advance(1_000);
      const all = [1, 2, 0].map((version) => ({ id: record.id, version }));
      expect(told).toEqual([all, all]);
      for (const stop of stops) stop();
      await stores[1].loginSessions.insert(aLoginSession("b"));
      await advance(1_000);
      expect(told[0]).toHaveLength(3);
    });

    it("tells none of its own changes again when the other writes at the same moment", async () => {
      const { stores, advance } = await makeStores();
      const told: LoginSessionChange[] = [];
      const stop = stores[0].loginSessions.subscribe((change) => void told.push(change));
      await stores[0].loginSessions.insert(aLoginSession("own"));
      await stores[1].loginSessions.insert(aLoginSession("other"));
      await advance(1_000);
      expect(told).toEqual([
        { id: "id-own", version: 1 },
        { id: "id-other", version: 1 },
      ]);
      stop();
    });

    it("tells of the newest version, when there were several in between", async () => {
      const { stores, advance } = await makeStores();
      const record = aLoginSession("a");
      await stores[0].loginSessions.insert(record);
      const told: LoginSessionChange[] = [];
      const stop = stores[1].loginSessions.subscribe((change) => void told.push(change));
      for (const version of [2, 3, 4]) await stores[0].loginSessions.commit({ ...record, version });
      await advance(1_000);
      expect(told.at(-1)).toEqual({ id: record.id, version: 4 });
      stop();
    });
  });
}

function mustGet<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`There is no entry ${index}.`);
  return found;
}
