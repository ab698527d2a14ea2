import { describe, test } from "vitest";
import { noRedis } from "../support/redis-for-tests.ts";
import { assertLikeMemory } from "./like-memory.ts";
import { RedisBench } from "./redis-bench.ts";

describe.skipIf(noRedis !== undefined)(`with Redis (${noRedis ?? "it is there"})`, () => {
  test("two Redis stores in one place, used in turn, do as one store in memory does (property)", { timeout: 60_000 }, async () => {
    await assertLikeMemory(() => new RedisBench(), 30);
  });
});
