import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { loggingAudit } from "../../src/audit/audit.ts";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import type { RefreshToken } from "../../src/session/login-session.ts";
import type { KeptDebt } from "../../src/session/reply-journal.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { aLoginSession } from "../session/records.ts";
import { run } from "./fake-io.ts";

interface Place {
  readonly file: string;
  readonly keyIds: () => readonly string[];
  readonly call: (...argv: string[]) => ReturnType<typeof run>;
  readonly open: () => ReturnType<typeof openSqliteStore>;
}

const aDebt: KeptDebt = {
  kind: "debt",
  id: "debt-of-a-dead-process",
  authorizationServer: "main",
  tokens: [{ kind: "refresh_token", token: "rt" as RefreshToken }],
  since: 1,
};

function aPlace(more: Readonly<Record<string, unknown>> = {}): Place {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "data", "latchkey.db");
  const config = { authorizationServers: { main: { issuer: "https://login.example.com", clientId: "c" } }, store: { file }, ...more };
  writeFileSync(join(folder, "latchkey.config.json"), JSON.stringify(config));
  return {
    file,
    keyIds: () => {
      const parsed: { readonly keys: readonly { readonly id: string }[] } = JSON.parse(
        readFileSync(join(folder, "data", "sealing-keys.json"), "utf8"),
      );
      return parsed.keys.map(({ id }) => id);
    },
    call: (...argv) => run(argv, { cwd: folder }),
    open: () => openSqliteStore({ file, keys: [], clock: systemClock, logger: silentLogger, audit: loggingAudit(silentLogger) }),
  };
}

describe("latchkey store", () => {
  test("does not make a store by looking at one, and says what does", async () => {
    const { call } = aPlace();
    for (const part of ["stats", "purge", "restored"])
      await expect(call("store", part)).rejects.toMatchObject({
        code: "configuration_invalid",
        message: expect.stringContaining('"latchkey store migrate" makes it'),
      });
  });

  test("has nothing to do for a store in memory", async () => {
    const { call } = aPlace({ store: { type: "memory" } });
    await expect(call("store", "stats")).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining('store.type is "memory"'),
    });
  });

  test("counts a store that a server has open, for people and as JSON", async () => {
    const { call, open } = aPlace();
    expect(await call("store", "migrate")).toMatchObject({ exitCode: 0, stderr: "" });
    const { store } = await open();
    await store.loginSessions.insert(aLoginSession("a"));
    const text = await call("store", "stats");
    expect(text).toMatchObject({ exitCode: 0, stderr: "" });
    expect(text.stdout).toMatch(/^login sessions, live +1$/m);
    const json = await call("store", "stats", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ loginSessions: { live: 1, ended: 0 }, connectionKeys: 0 });
    await store.close();
  });

  test("removes what has expired, and no login session", async () => {
    const { call, open } = aPlace();
    const { store } = await open();
    await store.loginSessions.insert(aLoginSession("a"));
    await store.usedIds.use({ kind: "k", id: "1", expiresAt: Date.now() - 1 }, Date.now() - 10);
    expect((await call("store", "purge")).stdout).toBe("1 expired entries were removed.\n");
    expect(await store.loginSessions.get(aLoginSession("a").id)).toBeDefined();
    await store.close();
  });

  test("gives a store that was put back another incarnation (F48)", async () => {
    const { call, open } = aPlace();
    const first = await open();
    const before = first.store.incarnation();
    await first.store.close();
    expect(await call("store", "restored")).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("need a sign-in") });
    const second = await open();
    expect(second.store.incarnation()).not.toBe(before);
    await second.store.close();
  });

  test("refuses what it does not know, all at once", async () => {
    const { call } = aPlace();
    const outcome = await call("store", "stat", "--jsn");
    expect(outcome).toMatchObject({ exitCode: 2, stdout: "" });
    expect(outcome.stderr).toContain('"stat" is unknown');
    expect(outcome.stderr).toContain('Did you mean "stats"?');
    expect(outcome.stderr).toContain("--jsn is no known option");
    expect((await call("store")).stderr).toContain("say what to do: migrate, stats, purge or restored.");
    expect((await call("store", "purge", "--json")).stderr).toContain("--json is for stats");
  });
});

describe("latchkey keys rotate", () => {
  test("makes a new key that a running server takes up by itself, and seals everything anew with it", async () => {
    const { call, open, keyIds } = aPlace();
    const { store } = await open();
    const [a, b] = [aLoginSession("a"), aLoginSession("b")];
    await store.loginSessions.insert(a);
    const [old] = keyIds();
    const outcome = await call("keys", "rotate");
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    expect(outcome.stdout).toContain("1 records were sealed anew");
    expect(outcome.stdout).toContain("--forget removes them");
    const [active, kept] = keyIds();
    expect(kept).toBe(old);
    expect(active).not.toBe(old);
    // The server that was there all the time reads and writes on, with the new key.
    expect(await store.loginSessions.get(a.id)).toEqual(a);
    await store.loginSessions.insert(b);
    expect((await store.administration?.stats(0))?.sealedWith).toEqual({ [active ?? ""]: 2 });
    await store.close();
  });

  test("forgets the old keys on demand, and everything can still be read", async () => {
    const { call, open, keyIds } = aPlace();
    const { store } = await open();
    await store.loginSessions.insert(aLoginSession("a"));
    await store.close();
    expect((await call("keys", "rotate", "--forget")).stdout).toContain("The old keys were removed");
    expect(keyIds()).toHaveLength(1);
    const again = await open();
    expect(await again.store.loginSessions.get(aLoginSession("a").id)).toEqual(aLoginSession("a"));
    await again.store.close();
  });

  test("seals anew what a process that died had kept of replies, so that forgetting the old keys loses no login (I4, F8, F38)", async () => {
    const { call, open, keyIds } = aPlace();
    const dead = await open();
    await dead.journal.keep(aDebt);
    await dead.journal.close();
    await dead.store.close();
    expect((await call("keys", "rotate", "--forget")).stdout).toContain("1 kept replies were sealed anew");
    expect(keyIds()).toHaveLength(1);
    const again = await open();
    expect(await again.journal.adopt()).toEqual([aDebt]);
    await again.journal.settle(aDebt.id);
    await again.journal.close();
    await again.store.close();
  });

  test("does not forget the old keys while a server at work keeps a reply sealed with them (I4)", async () => {
    const { call, open, keyIds } = aPlace();
    const server = await open();
    await server.journal.keep(aDebt);
    const refused = await call("keys", "rotate", "--forget");
    expect(refused.stdout).toContain("1 replies are kept by servers that are at work");
    expect(keyIds()).toHaveLength(2);
    await server.journal.settle(aDebt.id);
    await server.journal.close();
    await server.store.close();
    expect((await call("keys", "rotate", "--forget")).stdout).toContain("The old keys were removed");
    expect(keyIds()).toHaveLength(1);
  });

  test("with sealing.keys says which keys are still needed, and does not forget for the operator", async () => {
    const key = (id: string) => ({ id, key: `the secret of ${id}, which has 32 characters and more` });
    const before = aPlace({ sealing: { keys: [key("one")] } });
    await before.call("store", "migrate");
    const { store } = await openSqliteStore({
      file: before.file,
      keys: [{ id: "one", secret: key("one").key }],
      clock: systemClock,
      logger: silentLogger,
      audit: loggingAudit(silentLogger),
    });
    await store.loginSessions.insert(aLoginSession("a"));
    await store.close();
    const after = aPlace({ store: { file: before.file }, sealing: { keys: [key("two"), key("one")] } });
    const outcome = await after.call("keys", "rotate");
    expect(outcome.stdout).toContain("1 records were sealed anew with the key two.");
    expect(outcome.stdout).toContain("No other key is needed");
    expect(await after.call("keys", "rotate", "--forget")).toMatchObject({ exitCode: 2 });
  });

  test("is refused while another one is under way, and leaves the keys as they are (F37)", async () => {
    const { call, open, keyIds, file } = aPlace();
    await (await open()).store.close();
    const before = keyIds();
    writeFileSync(join(file, "..", "sealing-keys.json.lock"), "");
    await expect(call("keys", "rotate")).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining("is being changed by another process"),
    });
    expect(keyIds()).toEqual(before);
  });
});
