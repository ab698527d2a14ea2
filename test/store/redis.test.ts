import { describe } from "vitest";
import { describeAuthorizationServerRecords } from "../contract/authorization-server-records.contract.ts";
import { describeDurableStore } from "../contract/durable-store.contract.ts";
import { describeLoginSessionStore } from "../contract/login-session-store.contract.ts";
import { describeOtherStores } from "../contract/other-stores.contract.ts";
import { describeSharedStore } from "../contract/shared-store.contract.ts";
import { settle } from "../support/manual-clock.ts";
import { noRedis } from "../support/redis-for-tests.ts";
import { RedisBench } from "./redis-bench.ts";

describe.skipIf(noRedis !== undefined)(`with Redis (${noRedis ?? "it is there"})`, () => {
  describeLoginSessionStore("the Redis store", async () => {
    const bench = new RedisBench();
    const store = await bench.open();
    return { store: store.loginSessions, settle, close: () => bench.close() };
  });

  describeOtherStores("the Redis store", async () => {
    const bench = new RedisBench();
    // Nothing here is by Redis's own clock: no need to wait.
    return { store: await bench.open(), now: bench.now, advance: async (ms) => bench.pass(ms) };
  });

  describeAuthorizationServerRecords("the Redis store", async () => {
    const bench = new RedisBench();
    return { stores: [await bench.open(), await bench.open()], now: bench.now, advance: bench.wait };
  });

  describeSharedStore("the Redis store", async () => {
    const bench = new RedisBench();
    return { stores: [await bench.open(), await bench.open()], now: bench.now, advance: bench.wait };
  });

  describeDurableStore("the Redis store", async () => {
    const bench = new RedisBench();
    return { open: (keys) => bench.open(keys), now: bench.now, advance: bench.wait };
  });
});
