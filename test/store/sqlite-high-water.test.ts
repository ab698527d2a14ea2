import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { aLoginSession } from "../session/records.ts";
import { SqliteBench } from "./sqlite-bench.ts";

test("a file that was put back from a backup is noticed, and gets another incarnation once (F48)", async () => {
  const bench = new SqliteBench(onTestFinished);
  const first = await bench.open();
  const record = aLoginSession("a");
  await first.loginSessions.insert(record);
  const incarnation = first.incarnation();
  await first.close();
  const backup = join(bench.folder, "backup.db");
  copyFileSync(bench.file, backup);

  const second = await bench.open();
  const stop = second.loginSessions.subscribe(() => {});
  expect(second.incarnation()).toBe(incarnation);
  await second.loginSessions.commit({ ...record, version: 2 });
  await second.loginSessions.commit({ ...record, version: 3 });
  await bench.clock.advance(1_000);
  stop();
  await second.close();
  for (const suffix of ["-wal", "-shm"]) rmSync(`${bench.file}${suffix}`, { force: true });
  copyFileSync(backup, bench.file);

  const third = await bench.open();
  expect(await third.loginSessions.get(record.id)).toEqual(record);
  const renewed = third.incarnation();
  expect(renewed).not.toBe(incarnation);
  expect(bench.lines.join("")).toContain("put back from a backup");
  const stopThird = third.loginSessions.subscribe(() => {});
  await bench.clock.advance(1_000);
  stopThird();
  await third.close();
  const fourth = await bench.open();
  expect(fourth.incarnation()).toBe(renewed);
});

test("a file that is opened again as it was left keeps its incarnation, also without its note or with a strange one", async () => {
  const bench = new SqliteBench(onTestFinished);
  const note = join(`${bench.file}.replies`, "newest-change");
  const first = await bench.open();
  const stop = first.loginSessions.subscribe(() => {});
  await first.loginSessions.insert(aLoginSession("a"));
  await bench.clock.advance(1_000);
  stop();
  const incarnation = first.incarnation();
  await first.close();
  expect(readFileSync(note, "utf8")).toBe("1\n");
  for (const change of [() => {}, () => rmSync(note), () => writeFileSync(note, "what?")]) {
    change();
    const again = await bench.open();
    expect(again.incarnation()).toBe(incarnation);
    await again.close();
  }
});
