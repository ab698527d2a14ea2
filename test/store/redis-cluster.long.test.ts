import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeSharedStore } from "../contract/shared-store.contract.ts";
import { noRedis } from "../support/redis-for-tests.ts";
import { OwnRedisServer } from "../support/redis-server.ts";
import { RedisBench } from "./redis-bench.ts";

describe.skipIf(noRedis !== undefined)(`with a Redis cluster (${noRedis ?? "it is there"})`, () => {
  let server: OwnRedisServer;
  beforeAll(async () => {
    server = await OwnRedisServer.startCluster();
  });
  afterAll(() => server.end());

  describeSharedStore("the Redis store in a cluster", async () => {
    const bench = new RedisBench({ url: server.url, cluster: true });
    return { stores: [await bench.open(), await bench.open()], now: bench.now, advance: bench.wait };
  });

  test("a store is refused as a cluster where there is none", async () => {
    await expect(new RedisBench({ cluster: true }).open()).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining("is no node of a cluster: set store.cluster to false"),
    });
  });
});
