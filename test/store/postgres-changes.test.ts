import { expect, onTestFinished, test, vi } from "vitest";
import type { LoginSessionChange, Store } from "../../src/session/store.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { describeWithPostgres } from "../support/postgres-for-tests.ts";
import { PostgresBench } from "./postgres-bench.ts";

function listen(store: Store): readonly LoginSessionChange[] {
  const told: LoginSessionChange[] = [];
  onTestFinished(store.loginSessions.subscribe((change) => void told.push(change)));
  return told;
}

const within = (run: () => void): Promise<void> => vi.waitFor(run, { timeout: 5_000, interval: 10 });

await describeWithPostgres("changes in a PostgreSQL store", () => {
  test("are told though a transaction with a lower number ends later, each once, and are not read again meanwhile (I12)", async () => {
    const bench = new PostgresBench(onTestFinished);
    const [writer, reader] = [await bench.open(), await bench.open()];
    for (const name of ["slow", "a", "b", "c"]) await writer.loginSessions.insert(aLoginSession(name));
    const told = listen(reader);
    const slow = await bench.connect(onTestFinished);
    await slow.query("BEGIN");
    await slow.query("UPDATE login_sessions SET txid = pg_current_xact_id(), writer = 'slow' WHERE id = 'id-slow'");
    for (const [index, name] of ["a", "b", "c"].entries()) {
      await writer.loginSessions.commit(inState(aLoginSession(name), "ended"));
      await within(() => expect(told.filter(({ version }) => version === 2)).toHaveLength(index + 1));
    }
    await slow.query("COMMIT");
    await within(() => expect(told.filter(({ id }) => id === "id-slow")).toHaveLength(1));
    await writer.loginSessions.insert(aLoginSession("last"));
    await within(() => expect(told.at(-1)).toEqual({ id: "id-last", version: 1 }));
    expect(told.filter(({ version }) => version === 2).map(({ id }) => id)).toEqual(["id-a", "id-b", "id-c"]);
  });

  test("are told when nobody is woken (B9)", async () => {
    const bench = new PostgresBench(onTestFinished);
    const [writer, reader] = [await bench.open(undefined, { notify: false }), await bench.open(undefined, { notify: false })];
    const told = listen(reader);
    await writer.loginSessions.insert(aLoginSession("a"));
    await within(() => expect(told).toEqual([{ id: "id-a", version: 1 }]));
  });

  test("go on being told after the server has ended every connection", async () => {
    const bench = new PostgresBench(onTestFinished);
    const [writer, reader] = [await bench.open(), await bench.open()];
    const told = listen(reader);
    await bench.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'latchkey' AND query LIKE '%Latchkey test%'",
    );
    await within(async () => {
      await writer.loginSessions.get(aLoginSession("a").id);
    });
    await vi.waitFor(() => writer.loginSessions.insert(aLoginSession("a")), { timeout: 5_000, interval: 50 });
    await within(() => expect(told).toEqual([{ id: "id-a", version: 1 }]));
  });

  test("of everything are told when the data was put back from a backup under a running process (F48)", async () => {
    const bench = new PostgresBench(onTestFinished);
    const [one, two] = [await bench.open(), await bench.open()];
    for (const name of ["a", "b"]) await one.loginSessions.insert(aLoginSession(name));
    const told = listen(two);
    await one.loginSessions.remove(aLoginSession("b").id, 1);
    await within(() => expect(told.at(-1)).toEqual({ id: "id-b", version: 0 }));
    const before = two.incarnation();
    await one.administration?.renewIncarnation();
    await within(() => expect(two.incarnation()).not.toBe(before));
    expect(told.slice(-2)).toEqual([
      { id: "id-b", version: 0 },
      { id: "id-a", version: 1 },
    ]);
  });

  test("are all told when there are more at once than one look takes", async () => {
    const bench = new PostgresBench(onTestFinished);
    const told = listen(await bench.open());
    await bench.sql(
      `INSERT INTO login_sessions (id, handle, user_hash, version, generation, state, created_at, sealed, writer)
       SELECT 'n' || n, 'h' || n, 'u', 1, 1, 'live', 1, 'x', 'w' FROM generate_series(1, 20500) AS n`,
    );
    await within(() => expect(told).toHaveLength(20_500));
    expect(new Set(told.map(({ id }) => id)).size).toBe(20_500);
  });

  test("that are due are claimed once by eight workers (2,000 of them)", async () => {
    const bench = new PostgresBench(onTestFinished);
    const stores = [await bench.open(), await bench.open()];
    await stores[0]?.loginSessions.insert(aLoginSession("a", { nextDueAt: 1 }));
    await bench.sql(
      `INSERT INTO login_sessions (id, handle, user_hash, version, generation, state, created_at, due_at, sealed, writer)
       SELECT 'n' || n, 'h' || n, 'u', 1, 1, 'live', 1, n % 100, 'x', 'w' FROM generate_series(1, 1999) AS n`,
    );
    const worker = async (index: number): Promise<readonly string[]> => {
      const claimed: string[] = [];
      for (;;) {
        const ids = (await stores[index % 2]?.loginSessions.claimDue(1_000, 25, 600_000)) ?? [];
        if (ids.length === 0) return claimed;
        claimed.push(...ids);
      }
    };
    const claimed = (await Promise.all(Array.from({ length: 8 }, (_, index) => worker(index)))).flat();
    expect(claimed).toHaveLength(2_000);
    expect(new Set(claimed).size).toBe(2_000);
  });

  test("of rows that another hand exchanged serve nothing and are reported; the others work (F38, B14)", async () => {
    const bench = new PostgresBench(onTestFinished);
    const store = await bench.open();
    for (const name of ["a", "b", "c"]) await store.loginSessions.insert(aLoginSession(name));
    await bench.sql(
      "UPDATE login_sessions AS one SET sealed = other.sealed FROM login_sessions AS other WHERE one.id IN ('id-a', 'id-b') AND other.id IN ('id-a', 'id-b') AND one.id <> other.id",
    );
    for (const name of ["a", "b"]) expect(await store.loginSessions.get(aLoginSession(name).id)).toBeUndefined();
    expect(await store.loginSessions.get(aLoginSession("c").id)).toEqual(aLoginSession("c"));
    expect((await store.loginSessions.listByUser("https://as.example", "alice")).map(({ id }) => id)).toEqual(["id-c"]);
    expect(
      bench.events
        .filter(({ event }) => event === "record_quarantined")
        .map(({ login }) => login)
        .sort(),
    ).toEqual(["ls_a", "ls_b"]);
    // The heartbeat looks at them again after a minute, not after each lease.
    expect(await store.loginSessions.claimDue(30_000, 10, 1_000)).toHaveLength(3);
    expect(await store.loginSessions.claimDue(31_000, 10, 1_000)).toEqual(["id-c"]);
  });

  test("show nothing in a dump that is not public", async () => {
    const bench = new PostgresBench(onTestFinished);
    const store = await bench.open();
    await store.loginSessions.insert(aLoginSession("a", { profile: { name: "Alice Canary", email: "canary@example.com" } }));
    await store.authorizationServerRecords.put({ kind: "Code", id: "canary-code", content: '{"sub":"canary"}', grantId: "canary-grant" });
    await store.usedIds.use({ kind: "jti", id: "canary-jti", expiresAt: Date.now() + 60_000 }, Date.now());
    const dump = JSON.stringify(
      await bench.sql(`SELECT l::text FROM login_sessions l UNION ALL SELECT r::text FROM authorization_server_records r
        UNION ALL SELECT u::text FROM used_ids u UNION ALL SELECT m::text FROM meta m`),
    );
    for (const secret of ["anary", "rt-a", "at-a", "as.example", "alice", "first secret"])
      expect(dump.replaceAll("hash-of-rt-a", "")).not.toContain(secret);
  });
});
