import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, onTestFinished, test } from "vitest";
import { storeProblems } from "../../src/composition/open-store.ts";
import type { RefreshTokenHash } from "../../src/session/login-session.ts";
import { aLoginSession } from "../session/records.ts";
import { aKey, SqliteBench } from "./sqlite-bench.ts";

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe("opening a SQLite store", () => {
  test("makes folder, file and key for the owner alone, and finds everything again", async () => {
    const bench = new SqliteBench(onTestFinished);
    rmSync(bench.folder, { recursive: true });
    const before = await bench.open([]);
    await before.loginSessions.insert(aLoginSession("a"));
    expect(modeOf(bench.folder)).toBe("700");
    for (const file of ["latchkey.db", "latchkey.db-wal", "sealing-keys.json"]) expect(modeOf(join(bench.folder, file))).toBe("600");
    await before.close();
    const after = await bench.open([]);
    expect(await after.loginSessions.get(aLoginSession("a").id)).toEqual(aLoginSession("a"));
  });

  test("by several processes at one time makes one schema and one key", async () => {
    const bench = new SqliteBench(onTestFinished);
    const opened = await Promise.all(Array.from({ length: 5 }, () => bench.openWithKey([])));
    expect(new Set(opened.map(({ refreshTokenKey }) => refreshTokenKey.toString("hex"))).size).toBe(1);
    await opened[0]?.store.loginSessions.insert(aLoginSession("a"));
    expect(await opened[4]?.store.loginSessions.get(aLoginSession("a").id)).toEqual(aLoginSession("a"));
  });

  test("is refused while others may read the key file, with the command that helps (F37)", async () => {
    const bench = new SqliteBench(onTestFinished);
    await (await bench.open([])).close();
    const keyFile = join(bench.folder, "sealing-keys.json");
    for (const mode of [0o644, 0o640, 0o606]) {
      chmodSync(keyFile, mode);
      await expect(bench.open([])).rejects.toMatchObject({
        code: "configuration_invalid",
        message: expect.stringContaining(
          `has mode 0${mode.toString(8)}, so that others on this machine can get at the key: run "chmod 600 ${keyFile}"`,
        ),
      });
    }
    expect(storeProblems({ store: { type: "sqlite", file: bench.file }, sealing: { keys: [] } })).toEqual([
      expect.stringContaining(`chmod 600 ${keyFile}`),
    ]);
    chmodSync(keyFile, 0o600);
    await bench.open([]);
  });

  test("is refused without the key file that its records were sealed with: no new key is made, and nothing is lost (F37)", async () => {
    const bench = new SqliteBench(onTestFinished);
    const before = await bench.open([]);
    await before.loginSessions.insert(aLoginSession("a"));
    await before.close();
    const keyFile = join(bench.folder, "sealing-keys.json");
    renameSync(keyFile, `${keyFile}.away`);
    await expect(bench.open([])).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining(`The key file ${keyFile} is missing`),
    });
    renameSync(`${keyFile}.away`, keyFile);
    expect(await (await bench.open([])).loginSessions.get(aLoginSession("a").id)).toEqual(aLoginSession("a"));
  });

  test.each([
    ["{}", "is damaged"],
    ["no JSON", "is damaged"],
    ['{"format":"latchkey-sealing-keys","keys":[]}', "is damaged"],
  ])("is refused with the key file %s, which stays as it is", async (text, problem) => {
    const bench = new SqliteBench(onTestFinished);
    const keyFile = join(bench.folder, "sealing-keys.json");
    writeFileSync(keyFile, text, { mode: 0o600 });
    await expect(bench.open([])).rejects.toMatchObject({ code: "configuration_invalid", message: expect.stringContaining(problem) });
    expect(readFileSync(keyFile, "utf8")).toBe(text);
  });

  test("is refused for a file of something else, which stays as it is", async () => {
    const bench = new SqliteBench(onTestFinished);
    writeFileSync(bench.file, "These are my notes, and no database.\n");
    await expect(bench.open()).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining(`store.file ${bench.file} is no database of Latchkey`),
    });
    expect(readFileSync(bench.file, "utf8")).toBe("These are my notes, and no database.\n");
    rmSync(bench.file);
    bench.tamper("CREATE TABLE recipes (name TEXT)");
    await expect(bench.open()).rejects.toMatchObject({ message: expect.stringContaining("is no database of Latchkey") });
  });

  test("is refused for the file of a newer version", async () => {
    const bench = new SqliteBench(onTestFinished);
    await (await bench.open()).close();
    bench.tamper("INSERT INTO schema_migrations (version, applied_at) VALUES (1000, 0)");
    await expect(bench.open()).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringMatching(/written by a newer version of Latchkey \(schema 1000; this one knows \d+\): install that version/),
    });
  });

  test("is refused for a folder, and where the folder should be is a file", async () => {
    const bench = new SqliteBench(onTestFinished);
    mkdirSync(bench.file);
    await expect(bench.open()).rejects.toMatchObject({ message: expect.stringContaining("is a folder: name a file in it") });
    rmSync(bench.file, { recursive: true });
    rmSync(bench.folder, { recursive: true });
    writeFileSync(bench.folder, "");
    await expect(bench.open()).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining("what should be its folder is a file"),
    });
  });

  test("tells all that is wrong with its files at once", () => {
    const bench = new SqliteBench(onTestFinished);
    writeFileSync(bench.file, "These are my notes, and no database.\n");
    writeFileSync(join(bench.folder, "sealing-keys.json"), "{}", { mode: 0o600 });
    expect(storeProblems({ store: { type: "sqlite", file: bench.file }, sealing: { keys: [] } })).toEqual([
      expect.stringContaining("is no database of Latchkey"),
      expect.stringContaining("is damaged"),
    ]);
  });
});

describe("a SQLite store in use", () => {
  test("waits while another process writes, and goes on when that is done", async () => {
    const bench = new SqliteBench(onTestFinished);
    const store = await bench.open();
    const other = new DatabaseSync(bench.file);
    onTestFinished(() => other.close());
    other.exec("BEGIN IMMEDIATE");
    const intent = { hash: "h" as RefreshTokenHash, owner: "one", expiresAt: bench.clock.now() + 60_000 };
    const claimed = store.importIntents.claim(intent, bench.clock.now());
    await bench.clock.advance(1_000);
    // Reading goes on meanwhile.
    expect(await store.loginSessions.get(aLoginSession("a").id)).toBeUndefined();
    other.exec("COMMIT");
    await bench.clock.advance(1_000);
    expect(await claimed).toBe(true);
  });

  test("is unavailable when the other does not end, and says who is in the way", async () => {
    const bench = new SqliteBench(onTestFinished);
    const store = await bench.open();
    const other = new DatabaseSync(bench.file);
    onTestFinished(() => other.close());
    other.exec("BEGIN IMMEDIATE");
    const refused = expect(store.connectionKeys.removeByLoginSession(aLoginSession("a").id)).rejects.toMatchObject({
      code: "store_unavailable",
      retryable: true,
      message: expect.stringContaining("another process holds it"),
    });
    await bench.clock.advance(10_000);
    await refused;
  });

  test("lets one write fail beside others of the same moment", async () => {
    const bench = new SqliteBench(onTestFinished);
    const store = await bench.open();
    const results = await Promise.allSettled(["a", "a", "b"].map((name) => store.loginSessions.insert(aLoginSession(name))));
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "fulfilled", "rejected"]);
    expect(await store.loginSessions.listByUser("https://as.example", "alice")).toHaveLength(2);
  });

  test("writes what was asked for before it is closed, and nothing afterwards", async () => {
    const bench = new SqliteBench(onTestFinished);
    const store = await bench.open([aKey]);
    const key = { id: "1", hash: "h" as Parameters<typeof store.connectionKeys.getByHash>[0], loginSessionId: aLoginSession("a").id };
    const inserted = store.connectionKeys.insert({ ...key, name: "n", createdAt: 1 }, 20);
    await store.close();
    await inserted;
    await expect(store.connectionKeys.removeByLoginSession(key.loginSessionId)).rejects.toMatchObject({ code: "store_unavailable" });
    await expect(store.connectionKeys.getByHash(key.hash)).rejects.toMatchObject({ code: "store_unavailable" });
    expect(await (await bench.open([aKey])).connectionKeys.getByHash(key.hash)).toMatchObject({ id: "1" });
  });

  test("leaves no timer behind (I16)", async () => {
    const bench = new SqliteBench(onTestFinished);
    const store = await bench.open();
    const stop = store.loginSessions.subscribe(() => {});
    expect(bench.clock.pending).toBe(1);
    stop();
    expect(bench.clock.pending).toBe(0);
    store.loginSessions.subscribe(() => {});
    await store.close();
    expect(bench.clock.pending).toBe(0);
  });
});
