import { test } from "vitest";
import { describeWithPostgres } from "../support/postgres-for-tests.ts";
import { assertLikeMemory } from "./like-memory.ts";
import { PostgresBench } from "./postgres-bench.ts";

await describeWithPostgres("two PostgreSQL stores on one schema", () => {
  test("used in turn, do as one store in memory does (property)", { timeout: 60_000 }, async () => {
    await assertLikeMemory(() => new PostgresBench(), 6);
  });
});
