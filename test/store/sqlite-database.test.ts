import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { SqliteDatabase } from "../../src/store/sqlite/sqlite-database.ts";
import { ManualClock } from "../support/manual-clock.ts";

function open(setUp = ""): SqliteDatabase {
  const raw = new DatabaseSync(":memory:");
  raw.exec(`CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT; ${setUp}`);
  const db = new SqliteDatabase(raw, new ManualClock());
  onTestFinished(() => db.close());
  return db;
}

const add = (db: SqliteDatabase, text: string): number => db.run("INSERT INTO notes (text) VALUES (?)", text);
const texts = (db: SqliteDatabase): Promise<readonly unknown[]> =>
  db.read(() => db.all("SELECT text FROM notes").map((row) => row["text"]));

test("a full disk makes the store unavailable; nothing is lost, and it goes on when there is room", async () => {
  const db = open("PRAGMA max_page_count = 12");
  await db.write(() => add(db, "small"));
  const writes = await Promise.allSettled([db.write(() => add(db, "x".repeat(100_000))), db.write(() => add(db, "beside"))]);
  expect(writes[0]).toMatchObject({
    status: "rejected",
    reason: { code: "store_unavailable", retryable: true, message: expect.stringContaining("disk is full") },
  });
  await db.read(() => db.get("PRAGMA max_page_count = 1000"));
  await db.write(() => add(db, "x".repeat(100_000)));
  const found = await texts(db);
  expect(found).toContain("small");
  expect(found).toHaveLength(writes.filter(({ status }) => status === "fulfilled").length + 2);
});

test("what fails is undone alone, and its own error is passed on", async () => {
  const db = open();
  const results = await Promise.allSettled([
    db.write(() => add(db, "one")),
    db.write(() => {
      add(db, "half");
      throw new LatchkeyError("conflict", "no");
    }),
    db.write(() => add(db, "two")),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(results[1]).toMatchObject({ reason: { code: "conflict" } });
  expect(await texts(db)).toEqual(["one", "two"]);
});

test("writes are told in their order, after all of the same moment are durable and before their promises resolve", async () => {
  const db = open();
  const told: unknown[] = [];
  const writes = ["a", "b", "c"].map((text) =>
    db.write(
      () => add(db, text),
      () => told.push([text, db.all("SELECT id FROM notes").length]),
    ),
  );
  await writes[0];
  expect(told).toEqual([
    ["a", 3],
    ["b", 3],
    ["c", 3],
  ]);
  await Promise.all(writes);
});

test("a mistake of ours is an internal error, and the next write works", async () => {
  const db = open();
  await expect(db.write(() => db.run("INSERT INTO nowhere VALUES (1)"))).rejects.toMatchObject({ code: "store_unavailable" });
  await expect(
    db.write(() => {
      throw new TypeError("no");
    }),
  ).rejects.toMatchObject({ code: "internal_error" });
  await db.write(() => add(db, "one"));
  expect(await texts(db)).toEqual(["one"]);
});
