import { describe, expect, it } from "vitest";
import type { BrowserSession, BrowserSessionKey } from "../../src/session/browser-session.ts";
import type { ConnectionKeyRecord } from "../../src/session/connection-key.ts";
import type { LoginSessionId, RefreshTokenHash } from "../../src/session/login-session.ts";
import type { LoginTransaction } from "../../src/session/login-transaction.ts";
import { hashBrowserCookie, hashConnectionKey } from "../../src/session/random.ts";
import type { Store } from "../../src/session/store.ts";

export type StoreMaker = () => Promise<{
  readonly store: Store;
  readonly now: () => number;
  readonly advance: (ms: number) => Promise<void>;
}>;

const alice = "id-alice" as LoginSessionId;
const bob = "id-bob" as LoginSessionId;

function aKey(id: string, loginSessionId: LoginSessionId): ConnectionKeyRecord {
  return { id, hash: hashConnectionKey(`lk_${loginSessionId}_${id}`), loginSessionId, name: id, createdAt: 1 };
}

function aBrowserSession(cookie: string, expiresAt: number): BrowserSession {
  return {
    key: hashBrowserCookie(cookie),
    loginSessionIds: [alice],
    createdAt: 1,
    expiresAt,
    madeBy: `login of ${cookie}`,
    signedInAt: expiresAt - 1_000,
  };
}

function aTransaction(state: string, expiresAt: number): LoginTransaction {
  return {
    state,
    authorizationServer: "main",
    nonce: "n",
    codeVerifier: "v",
    redirectUri: "http://127.0.0.1/cb",
    browserBinding: "b",
    expiresAt,
  };
}

/** What every store of connection keys, browser sessions and login transactions must do. Each adapter runs it. */
export function describeOtherStores(name: string, makeStore: StoreMaker): void {
  describe(`${name}: connection keys`, () => {
    it("are found by hash and listed by login session, each its own only", async () => {
      const { store } = await makeStore();
      const [a, b, c] = [aKey("1", alice), aKey("2", alice), aKey("3", bob)];
      for (const key of [a, b, c]) await store.connectionKeys.insert(key, 20);
      expect(await store.connectionKeys.getByHash(a.hash)).toEqual(a);
      expect(await store.connectionKeys.getByHash(hashConnectionKey("lk_x"))).toBeUndefined();
      expect(await store.connectionKeys.listByLoginSession(alice)).toEqual([a, b]);
      expect(await store.connectionKeys.listByLoginSession("id-x" as LoginSessionId)).toEqual([]);
    });

    it("are limited per login session, also when they are made at one time, and a removal makes room", async () => {
      const { store } = await makeStore();
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) => store.connectionKeys.insert(aKey(String(index), alice), 3)),
      );
      expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(3);
      for (const result of results) if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "conflict" });
      await store.connectionKeys.insert(aKey("other", bob), 3);
      const [first] = await store.connectionKeys.listByLoginSession(alice);
      expect(await store.connectionKeys.remove(alice, first?.id ?? "")).toBe(true);
      await store.connectionKeys.insert(aKey("again", alice), 3);
    });

    it("of one hash exist once", async () => {
      const { store } = await makeStore();
      await store.connectionKeys.insert(aKey("1", alice), 20);
      await expect(store.connectionKeys.insert({ ...aKey("1", alice), id: "2", loginSessionId: bob }, 20)).rejects.toMatchObject({
        code: "conflict",
      });
      expect(await store.connectionKeys.listByLoginSession(bob)).toEqual([]);
      expect((await store.connectionKeys.getByHash(aKey("1", alice).hash))?.loginSessionId).toBe(alice);
    });

    it("are removed by their own login session only, once", async () => {
      const { store } = await makeStore();
      const key = aKey("1", alice);
      await store.connectionKeys.insert(key, 20);
      expect(await store.connectionKeys.remove(bob, "1")).toBe(false);
      expect(await store.connectionKeys.getByHash(key.hash)).toEqual(key);
      expect(await store.connectionKeys.remove(alice, "1")).toBe(true);
      expect(await store.connectionKeys.remove(alice, "1")).toBe(false);
      expect(await store.connectionKeys.getByHash(key.hash)).toBeUndefined();
    });

    it("go with their login session", async () => {
      const { store } = await makeStore();
      const [a, b] = [aKey("1", alice), aKey("2", bob)];
      await store.connectionKeys.insert(a, 20);
      await store.connectionKeys.insert(b, 20);
      await store.connectionKeys.removeByLoginSession(alice);
      await store.connectionKeys.removeByLoginSession(alice);
      expect(await store.connectionKeys.getByHash(a.hash)).toBeUndefined();
      expect(await store.connectionKeys.getByHash(b.hash)).toEqual(b);
    });
  });

  describe(`${name}: browser sessions`, () => {
    it("take the place of the one before in one step (B7)", async () => {
      const { store, now } = await makeStore();
      const first = aBrowserSession("one", now() + 1_000);
      const second = aBrowserSession("two", now() + 1_000);
      await store.browserSessions.signIn({ previous: undefined, next: first, loginCookies: [], since: 0 });
      expect(await store.browserSessions.get(first.key, now())).toEqual(first);
      await store.browserSessions.signIn({ previous: first.key, next: second, loginCookies: [], since: 0 });
      expect(await store.browserSessions.get(first.key, now())).toBeUndefined();
      expect(await store.browserSessions.get(second.key, now())).toEqual(second);
    });

    it("of sign-ins that finish side by side both stay, each with the login sessions of both (S2)", async () => {
      const { store, now } = await makeStore();
      const before = aBrowserSession("before", now() + 1_000);
      const first = { ...aBrowserSession("one", now() + 1_000), loginSessionIds: [alice] };
      const second = { ...aBrowserSession("two", now() + 1_000), loginSessionIds: [bob] };
      const loginCookies = [second.madeBy, first.madeBy];
      await store.browserSessions.signIn({ previous: undefined, next: before, loginCookies: [], since: 0 });
      await store.browserSessions.signIn({ previous: before.key, next: first, loginCookies: [first.madeBy], since: now() - 1 });
      await store.browserSessions.signIn({ previous: before.key, next: second, loginCookies, since: now() - 1 });
      expect(await store.browserSessions.get(before.key, now())).toBeUndefined();
      for (const { key } of [first, second])
        expect(new Set((await store.browserSessions.get(key, now()))?.loginSessionIds)).toEqual(new Set([alice, bob]));
      const later = { ...aBrowserSession("three", now() + 1_000), loginSessionIds: [] };
      await store.browserSessions.signIn({ previous: undefined, next: later, loginCookies, since: now() + 1 });
      expect((await store.browserSessions.get(later.key, now()))?.loginSessionIds).toEqual([]);
    });

    it("can be written again under their own key", async () => {
      const { store, now } = await makeStore();
      const session = aBrowserSession("one", now() + 1_000);
      await store.browserSessions.signIn({ previous: undefined, next: session, loginCookies: [], since: 0 });
      const more = { ...session, loginSessionIds: [alice, bob] };
      await store.browserSessions.signIn({ previous: session.key, next: more, loginCookies: [], since: 0 });
      expect(await store.browserSessions.get(session.key, now())).toEqual(more);
    });

    it("end at their time and by removal", async () => {
      const { store, now, advance } = await makeStore();
      const session = aBrowserSession("one", now() + 1_000);
      await store.browserSessions.signIn({ previous: undefined, next: session, loginCookies: [], since: 0 });
      await advance(999);
      expect(await store.browserSessions.get(session.key, now())).toEqual(session);
      await advance(1);
      expect(await store.browserSessions.get(session.key, now())).toBeUndefined();
      const other = aBrowserSession("two", now() + 1_000);
      await store.browserSessions.signIn({ previous: undefined, next: other, loginCookies: [], since: 0 });
      await store.browserSessions.remove(other.key);
      await store.browserSessions.remove("none" as BrowserSessionKey);
      expect(await store.browserSessions.get(other.key, now())).toBeUndefined();
    });
  });

  describe(`${name}: login transactions`, () => {
    it("are given once, also when they are asked for at one time (B7, F34)", async () => {
      const { store, now } = await makeStore();
      const transaction = aTransaction("s1", now() + 1_000);
      await store.loginTransactions.insert(transaction);
      const taken = await Promise.all(Array.from({ length: 5 }, () => store.loginTransactions.take("s1", now())));
      expect(taken.filter((each) => each !== undefined)).toEqual([transaction]);
      expect(await store.loginTransactions.take("s1", now())).toBeUndefined();
    });

    it("are not given after their time, and not for another state", async () => {
      const { store, now, advance } = await makeStore();
      await store.loginTransactions.insert(aTransaction("s1", now() + 1_000));
      await store.loginTransactions.insert(aTransaction("s2", now() + 2_000));
      expect(await store.loginTransactions.take("s3", now())).toBeUndefined();
      await advance(1_000);
      expect(await store.loginTransactions.take("s1", now())).toBeUndefined();
      expect(await store.loginTransactions.take("s2", now())).toMatchObject({ state: "s2" });
    });
  });

  describe(`${name}: import intents`, () => {
    const hash = "hash-1" as RefreshTokenHash;

    it("are claimed by one of many at one time, and by the next once they are released (I1)", async () => {
      const { store, now } = await makeStore();
      const owners = ["a", "b", "c", "d", "e"];
      const claims = await Promise.all(owners.map((owner) => store.importIntents.claim({ hash, owner, expiresAt: now() + 1_000 }, now())));
      expect(claims.filter((claimed) => claimed)).toHaveLength(1);
      const winner = owners[claims.indexOf(true)] ?? "none";
      const loser = owners.find((owner) => owner !== winner) ?? "none";
      expect(await store.importIntents.claim({ hash: "hash-2" as RefreshTokenHash, owner: loser, expiresAt: now() + 1_000 }, now())).toBe(
        true,
      );
      await store.importIntents.release({ hash, owner: loser });
      expect(await store.importIntents.claim({ hash, owner: loser, expiresAt: now() + 1_000 }, now())).toBe(false);
      await store.importIntents.release({ hash, owner: winner });
      await store.importIntents.release({ hash, owner: winner });
      expect(await store.importIntents.claim({ hash, owner: loser, expiresAt: now() + 1_000 }, now())).toBe(true);
    });

    it("are held until they expire, and longer if their owner says so", async () => {
      const { store, now, advance } = await makeStore();
      expect(await store.importIntents.claim({ hash, owner: "a", expiresAt: now() + 1_000 }, now())).toBe(true);
      await advance(999);
      expect(await store.importIntents.claim({ hash, owner: "b", expiresAt: now() + 1_000 }, now())).toBe(false);
      expect(await store.importIntents.claim({ hash, owner: "a", expiresAt: now() + 1_000 }, now())).toBe(true);
      await advance(999);
      expect(await store.importIntents.claim({ hash, owner: "b", expiresAt: now() + 1_000 }, now())).toBe(false);
      await advance(1);
      expect(await store.importIntents.claim({ hash, owner: "b", expiresAt: now() + 1_000 }, now())).toBe(true);
      await store.importIntents.release({ hash, owner: "a" });
      expect(await store.importIntents.claim({ hash, owner: "c", expiresAt: now() + 1_000 }, now())).toBe(false);
    });
  });
}
