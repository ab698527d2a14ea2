import { expect, onTestFinished, test } from "vitest";
import { describeLoginSessionStore } from "../contract/login-session-store.contract.ts";
import { describeOtherStores } from "../contract/other-stores.contract.ts";
import { describeSharedStore } from "../contract/shared-store.contract.ts";
import { aLoginSession } from "../session/records.ts";
import { settle } from "../support/manual-clock.ts";
import { SqliteBench } from "./sqlite-bench.ts";

describeLoginSessionStore("the SQLite store", async () => {
  const bench = new SqliteBench();
  const store = await bench.open();
  return { store: store.loginSessions, settle, close: () => bench.close() };
});

describeOtherStores("the SQLite store", async () => {
  const bench = new SqliteBench(onTestFinished);
  const store = await bench.open();
  return { store, now: () => bench.clock.now(), advance: (ms) => bench.clock.advance(ms) };
});

describeSharedStore("the SQLite store", async () => {
  const bench = new SqliteBench(onTestFinished);
  const stores = [await bench.open(), await bench.open()] as const;
  return { stores, now: () => bench.clock.now(), advance: (ms) => bench.clock.advance(ms) };
});

test("due times move once when several processes notice that the wall clock was set back (F25)", async () => {
  const bench = new SqliteBench(onTestFinished);
  const stores = [await bench.open(), await bench.open()] as const;
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
