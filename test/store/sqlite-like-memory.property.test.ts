import { test } from "vitest";
import { assertLikeMemory } from "./like-memory.ts";
import { SqliteBench } from "./sqlite-bench.ts";

test("two SQLite stores on one file, used in turn, do as one store in memory does (property)", { timeout: 60_000 }, async () => {
  await assertLikeMemory(() => new SqliteBench(), 60);
});
