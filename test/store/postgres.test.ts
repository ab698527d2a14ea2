import { onTestFinished } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { describeAuthorizationServerRecords } from "../contract/authorization-server-records.contract.ts";
import { describeDurableStore } from "../contract/durable-store.contract.ts";
import { describeLoginSessionStore } from "../contract/login-session-store.contract.ts";
import { describeOtherStores } from "../contract/other-stores.contract.ts";
import { describeSharedStore } from "../contract/shared-store.contract.ts";
import { describeWithPostgres } from "../support/postgres-for-tests.ts";
import { PostgresBench } from "./postgres-bench.ts";

await describeWithPostgres("on a real server", () => {
  describeLoginSessionStore("the PostgreSQL store", async () => {
    const bench = new PostgresBench();
    // One connection answers in the order of the questions: whatever was asked before has been answered when this one is.
    const store = (await bench.open(undefined, { maxConnections: 1 })).loginSessions;
    const settle = async (): Promise<void> => void (await store.get("id-nobody" as LoginSessionId));
    return { store, settle, close: () => bench.close() };
  });

  describeOtherStores("the PostgreSQL store", async () => {
    const bench = new PostgresBench(onTestFinished);
    return { store: await bench.open(), now: bench.now, advance: bench.pass };
  });

  for (const describeStores of [describeSharedStore, describeAuthorizationServerRecords])
    describeStores("the PostgreSQL store", async () => {
      const bench = new PostgresBench(onTestFinished);
      return { stores: [await bench.open(), await bench.open()], now: bench.now, advance: bench.advance };
    });

  describeDurableStore("the PostgreSQL store", async () => {
    const bench = new PostgresBench(onTestFinished);
    return { open: (keys) => bench.open(keys), now: bench.now, advance: bench.advance };
  });
});
