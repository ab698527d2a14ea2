import { describe, expect, onTestFinished, test } from "vitest";
import { sleep, systemClock } from "../../src/clock.ts";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { hashConnectionKey } from "../../src/session/random.ts";
import type { LoginSessionChange } from "../../src/session/store.ts";
import { startChaosProxy } from "../../src/testing/chaos-proxy.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { anotherHand, noRedis, redisUrl } from "../support/redis-for-tests.ts";
import { OwnRedisServer } from "../support/redis-server.ts";
import { RedisBench } from "./redis-bench.ts";

const alice = aLoginSession("a");
const away = { code: "store_unavailable", retryable: true };

/** Waits until it holds; the test's own limit ends it. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(systemClock, 20);
}

describe.skipIf(noRedis !== undefined)(`a Redis store in trouble (${noRedis ?? "Redis is there"})`, () => {
  test("is unavailable in bounded time while the server is gone, and has everything when it is back (F9)", async () => {
    const server = await OwnRedisServer.start("--appendonly", "yes", "--appendfsync", "always");
    const bench = new RedisBench({ url: server.url, keyPrefix: "p" });
    const store = await bench.open();
    await store.loginSessions.insert(alice);
    const before = store.incarnation();
    store.loginSessions.subscribe(() => {});
    await server.kill();
    await expect(store.loginSessions.get(alice.id)).rejects.toMatchObject(away);
    await expect(store.loginSessions.commit(inState(alice, "ended"))).rejects.toMatchObject(away);
    await server.startAgain();
    await until(() =>
      store.loginSessions.get(alice.id).then(
        (found) => found?.version === 1,
        () => false,
      ),
    );
    // Another life of the server: it may lack what was written last.
    await until(() => store.incarnation() !== before);
    expect(bench.events).toEqual([]);
  });

  test("closes at once although the server is gone", async () => {
    const server = await OwnRedisServer.start();
    const bench = new RedisBench({ url: server.url, keyPrefix: "p" });
    const store = await bench.open();
    await server.kill();
    const refused = expect(store.loginSessions.get(alice.id)).rejects.toMatchObject(away);
    await store.close();
    await store.close();
    await refused;
    await expect(store.loginSessions.get(alice.id)).rejects.toMatchObject({ message: "The store is closed." });
  });

  test("says loudly that the server came back empty, and goes on with the same key (F48)", async () => {
    const server = await OwnRedisServer.start("--appendonly", "no");
    const bench = new RedisBench({ url: server.url, keyPrefix: "p" });
    const { store, refreshTokenKey } = await bench.openShared();
    const told: LoginSessionChange[] = [];
    store.loginSessions.subscribe((change) => void told.push(change));
    await store.loginSessions.insert(alice);
    const before = store.incarnation();
    await server.kill();
    await server.startAgain();
    await until(() => bench.events.length > 0);
    expect(bench.events).toEqual([{ event: "store_went_back", lost: "all" }]);
    expect(bench.logged("Redis has lost all of Latchkey's data")).toBe(1);
    expect(store.incarnation()).not.toBe(before);
    await until(() => told.some(({ version }) => version === 0));
    expect(told.at(-1)).toEqual({ id: alice.id, version: 0 });
    expect(await store.loginSessions.get(alice.id)).toBeUndefined();
    await store.loginSessions.insert(alice);
    const other = await bench.openShared();
    expect(other.refreshTokenKey).toEqual(refreshTokenKey);
    expect(await other.store.loginSessions.get(alice.id)).toEqual(alice);
  });

  test("writes nothing into a store that another process has begun in its place", async () => {
    const bench = new RedisBench();
    const store = await bench.open();
    await store.loginSessions.insert(alice);
    const hand = anotherHand();
    await hand.del(...["mark", "meta", "counters", "login-sessions"].map((name) => bench.key(name)));
    const fresh = await bench.open();
    await expect(store.loginSessions.insert(aLoginSession("b"))).rejects.toMatchObject({
      code: "store_unavailable",
      message: expect.stringContaining("has to be restarted"),
    });
    expect(await fresh.loginSessions.get("id-b" as LoginSessionId)).toBeUndefined();
    expect(bench.logged("another process has begun a new store")).toBeGreaterThan(0);
  });

  test("refuses a write whose connection is lost under way, and writes it once at most (F10)", async () => {
    const proxy = await startChaosProxy({ target: Number(new URL(redisUrl).port || 6379) });
    onTestFinished(() => proxy.close());
    const bench = new RedisBench();
    const direct = await bench.open();
    await direct.loginSessions.insert(alice);
    const url = new URL(redisUrl);
    url.port = String(proxy.port);
    const { store } = await bench.openShared(undefined, url.href);
    const next = inState(alice, "refreshing");
    const results: string[] = [];
    for (let tries = 0; tries < 20 && !results.includes("done"); tries += 1) {
      const committing = store.loginSessions.commit(next).then(
        (result) => (result.committed || result.current?.version === 2 ? "done" : "strange"),
        (error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : "strange"),
      );
      if (tries % 2 === 0) proxy.closeConnections();
      results.push(await committing);
    }
    expect(new Set(results)).not.toContain("strange");
    expect(results.at(-1)).toBe("done");
    expect((await direct.loginSessions.get(alice.id))?.version).toBe(2);
  });

  test("tells of changes within a second although nobody says that there are any, and after a gap of everything", async () => {
    const server = await OwnRedisServer.start();
    // May neither say anything on a channel nor listen to one: only the regular look is left.
    await server.ask((redis) => redis.call("ACL", "SETUSER", "quiet", "on", ">secret", "~*", "+@all", "resetchannels"));
    const bench = new RedisBench({ url: server.url.replace("//", "//quiet:secret@"), keyPrefix: "p" });
    const [one, two] = [await bench.open(), await bench.open()];
    const told: LoginSessionChange[] = [];
    two.loginSessions.subscribe((change) => void told.push(change));
    const hand = anotherHand(server.url);
    await one.loginSessions.insert(alice);
    await sleep(systemClock, 1_000);
    expect(told).toEqual([{ id: alice.id, version: 1 }]);
    await two.loginSessions.insert(aLoginSession("b"));
    told.length = 0;
    // In one step, so that no look comes in between: b is gone and a has changed, and the log says nothing of either.
    await hand
      .multi()
      .hdel(bench.key("login-sessions"), "id-b")
      .hincrby(bench.key("counters"), "change", 5)
      .del(bench.key("changes"))
      .exec();
    await sleep(systemClock, 1_000);
    expect(told).toEqual([
      { id: "id-b", version: 0 },
      { id: alice.id, version: 1 },
    ]);
  });

  test("gives 2,000 due login sessions to eight claimers, each once", async () => {
    const bench = new RedisBench();
    const stores = await Promise.all(Array.from({ length: 8 }, () => bench.open()));
    const [first] = stores;
    await Promise.all(
      Array.from({ length: 2_000 }, (_, index) => first?.loginSessions.insert(aLoginSession(`r${index}`, { nextDueAt: index }))),
    );
    const claimed = await Promise.all(
      stores.map(async ({ loginSessions }) => {
        const mine: LoginSessionId[] = [];
        for (;;) {
          const ids = await loginSessions.claimDue(10_000, 50, 60_000);
          if (ids.length === 0) return mine;
          mine.push(...ids);
        }
      }),
    );
    expect(claimed.flat()).toHaveLength(2_000);
    expect(new Set(claimed.flat()).size).toBe(2_000);
  });

  test("uses neither of two records that somebody has exchanged, reports both, and serves the others (F38, B14)", async () => {
    const bench = new RedisBench();
    await (await bench.open()).loginSessions.insert(alice);
    const store = await bench.open();
    for (const name of ["b", "c"]) await store.loginSessions.insert(aLoginSession(name));
    const hand = anotherHand();
    const rows = bench.key("login-sessions");
    const [a, b] = await hand.hmget(rows, "id-a", "id-b");
    await hand.hset(rows, "id-a", b ?? "", "id-b", a ?? "");
    const later = await bench.open();
    for (const name of ["a", "b"]) expect(await later.loginSessions.get(aLoginSession(name).id)).toBeUndefined();
    expect(await later.loginSessions.get(aLoginSession("c").id)).toEqual(aLoginSession("c"));
    expect(bench.events.map(({ event }) => event)).toEqual(["record_quarantined", "record_quarantined"]);
    // An index that leads elsewhere gives nobody another's login session.
    await hand.hset(bench.key("handles"), "ls_x", "id-c");
    expect(await later.loginSessions.getByHandle("ls_x" as typeof alice.handle)).toBeUndefined();
  });

  test("shows nothing of a user to whoever reads the server (B10)", async () => {
    const bench = new RedisBench();
    const store = await bench.open();
    await store.loginSessions.insert(alice);
    await store.connectionKeys.insert({ id: "1", hash: hashConnectionKey("lk_1"), loginSessionId: alice.id, name: "k", createdAt: 1 }, 20);
    await store.authorizationServerRecords.put({
      kind: "Client",
      id: "the-id",
      content: "the-content",
      uid: "the-uid",
      grantId: "the-grant",
    });
    const hand = anotherHand();
    const dumps: string[] = [];
    for await (const keys of hand.scanStream({ match: bench.key("*") }))
      for (const key of keys) dumps.push(key, ((await hand.dumpBuffer(key)) ?? Buffer.alloc(0)).toString("latin1"));
    const dump = dumps.join("\n");
    expect(dump).toContain("id-a");
    for (const secret of [
      "rt-a",
      "at-a",
      "Alice",
      "alice",
      "as.example",
      "lk_1",
      "the-id",
      "the-content",
      "the-uid",
      "the-grant",
      "first secret",
    ])
      expect(dump.replaceAll("hash-of-rt-a", "")).not.toContain(secret);
  });
});
