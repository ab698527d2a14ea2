import { expect, onTestFinished, test, vi } from "vitest";
import type { LoginSessionChange } from "../../src/session/store.ts";
import { startChaosProxy } from "../../src/testing/chaos-proxy.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { describeWithPostgres, postgresUrl } from "../support/postgres-for-tests.ts";
import { PostgresBench } from "./postgres-bench.ts";

async function proxied() {
  const bench = new PostgresBench(onTestFinished);
  const proxy = await startChaosProxy({ target: Number(new URL(postgresUrl).port || 5432) });
  onTestFinished(() => proxy.close());
  const url = new URL(postgresUrl);
  url.port = String(proxy.port);
  return { bench, proxy, url: url.toString() };
}

await describeWithPostgres("a PostgreSQL store whose server goes away", () => {
  test("is unavailable at once, says no secret, and goes on when the server is back, with what was changed meanwhile (F9)", async () => {
    const { bench, proxy, url } = await proxied();
    const [store, other] = [await bench.open(undefined, { url }), await bench.open()];
    const told: LoginSessionChange[] = [];
    onTestFinished(store.loginSessions.subscribe((change) => void told.push(change)));
    const record = aLoginSession("a");
    await store.loginSessions.insert(record);
    proxy.refuse();
    proxy.closeConnections();
    await expect(store.loginSessions.get(record.id)).rejects.toMatchObject({ code: "store_unavailable", retryable: true });
    await expect(store.loginSessions.commit(inState(record, "ended"))).rejects.toMatchObject({
      code: "store_unavailable",
      retryable: true,
    });
    await other.loginSessions.commit(inState(record, "ended"));
    await proxy.accept();
    await vi.waitFor(() => expect(told.at(-1)).toEqual({ id: record.id, version: 2 }), { timeout: 5_000, interval: 10 });
    expect(await store.loginSessions.get(record.id)).toEqual(inState(record, "ended"));
  });

  test("shows by its record what became of a commit whose answer was lost, and tells of it (F10)", async () => {
    const { bench, proxy, url } = await proxied();
    const store = await bench.open(undefined, { url, notify: false, maxConnections: 1 });
    const record = aLoginSession("a");
    await store.loginSessions.insert(record);
    const told: LoginSessionChange[] = [];
    onTestFinished(store.loginSessions.subscribe((change) => void told.push(change)));
    // Another's transaction holds the row: the commit waits in the server when its connection breaks.
    const holder = await bench.connect(onTestFinished);
    await holder.query("BEGIN");
    await holder.query("SELECT 1 FROM login_sessions WHERE id = 'id-a' FOR UPDATE");
    const committed = store.loginSessions.commit(inState(record, "refreshing"));
    const lost = expect(committed).rejects.toMatchObject({ code: "store_unavailable", retryable: true });
    await vi.waitFor(
      async () => {
        const waiting = await bench.sql(
          `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${bench.schema}%'`,
        );
        expect(waiting.length).toBeGreaterThan(0);
      },
      { timeout: 3_000, interval: 10 },
    );
    proxy.closeConnections();
    await lost;
    await holder.query("COMMIT");
    await vi.waitFor(() => expect(told).toEqual([{ id: record.id, version: 2 }]), { timeout: 5_000, interval: 10 });
    expect(await store.loginSessions.get(record.id)).toEqual(inState(record, "refreshing"));
  });

  test("rejects within seconds when nothing answers any more, and closes within two", async () => {
    const { bench, proxy, url } = await proxied();
    const store = await bench.open(undefined, { url, maxConnections: 2 });
    proxy.always({ kind: "black_hole" });
    proxy.closeConnections();
    await expect(store.loginSessions.get(aLoginSession("a").id)).rejects.toMatchObject({ code: "store_unavailable" });
    const hanging = store.loginSessions.get(aLoginSession("a").id).catch(() => "rejected");
    const begun = performance.now();
    await store.close();
    // A bound of the promise, not of the machine: the driver alone would wait for ever.
    expect(performance.now() - begun).toBeLessThan(2_500);
    await expect(store.loginSessions.get(aLoginSession("a").id)).rejects.toMatchObject({ code: "store_unavailable" });
    expect(await hanging).toBe("rejected");
  });

  test("cannot be opened while it is away, and can afterwards", async () => {
    const { bench, proxy, url } = await proxied();
    proxy.refuse();
    await expect(bench.open(undefined, { url })).rejects.toMatchObject({ code: "store_unavailable", retryable: true });
    await proxy.accept();
    expect(await (await bench.open(undefined, { url })).loginSessions.get(aLoginSession("a").id)).toBeUndefined();
  });

  test("writes what was asked for before it is closed, and nothing afterwards", async () => {
    const bench = new PostgresBench(onTestFinished);
    const store = await bench.open(undefined, { maxConnections: 1 });
    const inserted = ["a", "b", "c"].map((name) => store.loginSessions.insert(aLoginSession(name)));
    // They are sealed first, and asked for only then.
    await inserted[0];
    await store.close();
    await Promise.allSettled(inserted);
    await store.close();
    await expect(store.loginSessions.insert(aLoginSession("d"))).rejects.toMatchObject({ code: "store_unavailable" });
    expect(await (await bench.open()).loginSessions.get(aLoginSession("a").id)).toEqual(aLoginSession("a"));
  });
});
