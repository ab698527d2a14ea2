import { onTestFinished } from "vitest";
import { describeAuthorizationServerRecords } from "../contract/authorization-server-records.contract.ts";
import { describeDurableStore } from "../contract/durable-store.contract.ts";
import { describeLoginSessionStore } from "../contract/login-session-store.contract.ts";
import { describeOtherStores } from "../contract/other-stores.contract.ts";
import { describeProfiles } from "../contract/profiles.contract.ts";
import { describeSharedStore } from "../contract/shared-store.contract.ts";
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

for (const describeStores of [describeSharedStore, describeAuthorizationServerRecords, describeProfiles])
  describeStores("the SQLite store", async () => {
    const bench = new SqliteBench(onTestFinished);
    const stores = [await bench.open(), await bench.open()] as const;
    return { stores, now: () => bench.clock.now(), advance: (ms) => bench.clock.advance(ms) };
  });

describeDurableStore("the SQLite store", async () => {
  const bench = new SqliteBench(onTestFinished);
  return { open: (keys) => bench.open(keys), now: () => bench.clock.now(), advance: (ms) => bench.clock.advance(ms) };
});
