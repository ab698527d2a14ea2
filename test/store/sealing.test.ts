import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { AccessToken, IdToken, LoginSession, RefreshToken, RefreshTokenHash } from "../../src/session/login-session.ts";
import { hashConnectionKey } from "../../src/session/random.ts";
import type { Store } from "../../src/session/store.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { aKey, anotherKey, SqliteBench } from "./sqlite-bench.ts";

const [issuer, subject] = ["https://as.example", "alice"];

/** A record with a secret in every place that can hold one, and claims. */
function fullOfSecrets(): LoginSession {
  const record = aLoginSession("a", {
    principal: { issuer: "https://issuer-canary.example", subject: "subject-canary", clientId: "client-canary", sid: "sid-canary" },
    profile: { name: "Name Canary", email: "email-canary@example.com" },
    refreshToken: "refresh-canary" as RefreshToken,
    idToken: "id-token-canary" as IdToken,
    debts: [{ kind: "access_token", token: "debt-canary" as AccessToken, tries: 0, nextTryAt: 1, expiresAt: 2 }],
  });
  const [entry] = record.accessTokens;
  const [attempt] = inState(record, "refreshing").attempts;
  if (entry === undefined || attempt === undefined) throw new Error("The record is not what it was.");
  return {
    ...record,
    accessTokens: [{ ...entry, accessToken: "access-canary" as AccessToken }],
    pending: {
      attemptId: attempt.id,
      target: { scopes: [] },
      sentAt: 1,
      receivedAt: 2,
      body: "body-canary",
      verificationTries: 0,
      nextVerificationAt: 3,
    },
  };
}

describe("a dump of the store", () => {
  test("shows no token, no key and no claim, in none of its files (B10, F39)", async () => {
    const bench = new SqliteBench(onTestFinished);
    const store = await bench.open([]);
    const record = fullOfSecrets();
    await store.loginSessions.insert(record);
    await store.loginSessions.commit({ ...record, version: 2 });
    const key = { id: "1", hash: hashConnectionKey("lk_key-canary"), loginSessionId: record.id, name: "laptop", createdAt: 1 };
    await store.connectionKeys.insert(key, 20);
    await store.loginTransactions.insert({
      state: "state-canary",
      authorizationServer: "main",
      nonce: "nonce-canary",
      codeVerifier: "verifier-canary",
      redirectUri: "https://redirect-canary.example",
      browserBinding: "b",
      expiresAt: bench.clock.now() + 1_000,
    });
    const files = readdirSync(bench.folder, { recursive: true, encoding: "utf8" }).filter((file) =>
      statSync(join(bench.folder, file)).isFile(),
    );
    expect(files).toEqual(expect.arrayContaining(["latchkey.db", "latchkey.db-wal", "sealing-keys.json"]));
    const read = (file: string): string => readFileSync(join(bench.folder, file), "latin1");
    const secret = /"key": "(.+)"/.exec(read("sealing-keys.json"))?.[1] ?? "none";
    const dump = files
      .filter((file) => file.startsWith("latchkey.db"))
      .map(read)
      .join("");
    // The search works: what is no secret is there.
    expect(dump).toContain(record.handle);
    expect(dump.toLowerCase()).not.toContain("canary");
    expect(dump).not.toContain(secret);
  });
});

describe("a stored login session that was changed from outside is quarantined", () => {
  async function twoOfThree(sql: string): Promise<{ readonly bench: SqliteBench; readonly store: Store }> {
    const bench = new SqliteBench(onTestFinished);
    const before = await bench.open();
    for (const name of ["a", "b", "c"]) await before.loginSessions.insert(aLoginSession(name, { nextDueAt: 1 }));
    await before.close();
    bench.tamper(sql);
    return { bench, store: await bench.open() };
  }

  test("a login session that a version without the look-up by sid wrote is read, and found by it after its next commit", async () => {
    const bench = new SqliteBench(onTestFinished);
    const before = await bench.open();
    const record = aLoginSession("a", { principal: { issuer, subject, clientId: "client", sid: "sid-1" } });
    await before.loginSessions.insert(record);
    await before.close();
    bench.tamper("UPDATE login_sessions SET sid_hash = NULL");
    const { loginSessions } = await bench.open();
    expect(await loginSessions.get(record.id)).toEqual(record);
    expect(await loginSessions.listBySid(issuer, "sid-1")).toEqual([]);
    const next = { ...record, version: record.version + 1 };
    expect(await loginSessions.commit(next)).toEqual({ committed: true });
    expect(await loginSessions.listBySid(issuer, "sid-1")).toEqual([next]);
  });

  test.each([
    ["sealed", "'no sealed text'"],
    ["sealed", "(SELECT sealed FROM login_sessions WHERE id = 'id-b')"],
    ["handle", "'ls_x'"],
    ["user_hash", "'x'"],
    ["refresh_hash", "'x'"],
    ["consumed_hash", "'x'"],
    ["imported_hash", "'x'"],
    ["sid_hash", "'x'"],
    ["version", "7"],
    ["generation", "7"],
    ["state", "'ended'"],
    ["created_at", "7"],
  ])("when its %s is %s (B14, F38)", async (column, value) => {
    const { bench, store } = await twoOfThree(`UPDATE login_sessions SET ${column} = ${value} WHERE id = 'id-a'`);
    const a = aLoginSession("a");
    expect(await store.loginSessions.get(a.id)).toBeUndefined();
    expect(await store.loginSessions.getByHandle(a.handle)).toBeUndefined();
    expect(await store.loginSessions.commit({ ...a, version: 9 })).toEqual({ committed: false, current: undefined });
    // The others are as they were, in each way to them.
    expect((await store.loginSessions.listByUser(issuer, subject)).map(({ id }) => id)).toEqual(["id-c", "id-b"]);
    expect(await store.loginSessions.getByHandle(aLoginSession("b").handle)).toEqual(aLoginSession("b", { nextDueAt: 1 }));
    expect(await store.loginSessions.claimDue(10, 10, 5_000)).toEqual(expect.arrayContaining(["id-b", "id-c"]));
    // Once, however often it is met.
    expect(bench.events).toEqual([expect.objectContaining({ event: "record_quarantined" })]);
    expect(bench.lines.filter((line) => line.includes("cannot be read"))).toHaveLength(1);
  });

  test("when two rows were swapped: both, and nobody gets the other's tokens (B14, F38)", async () => {
    const { bench, store } = await twoOfThree(
      `CREATE TEMP TABLE kept AS SELECT id, sealed FROM login_sessions;
       UPDATE login_sessions SET sealed = (SELECT sealed FROM kept WHERE kept.id = 'id-b') WHERE id = 'id-a';
       UPDATE login_sessions SET sealed = (SELECT sealed FROM kept WHERE kept.id = 'id-a') WHERE id = 'id-b'`,
    );
    expect((await store.loginSessions.listByUser(issuer, subject)).map(({ id }) => id)).toEqual(["id-c"]);
    expect(bench.events.map(({ login }) => login).sort()).toEqual(["ls_a", "ls_b"]);
  });

  test("when what was sealed was rolled back to an older generation (F38)", async () => {
    const bench = new SqliteBench(onTestFinished);
    const before = await bench.open();
    const record = aLoginSession("a");
    await before.loginSessions.insert(record);
    bench.tamper("CREATE TABLE kept AS SELECT sealed, refresh_hash FROM login_sessions");
    const next = { ...record, version: 2, generation: 2, refreshToken: "rt-2" as RefreshToken };
    await before.loginSessions.commit(next);
    expect(await before.loginSessions.get(record.id)).toEqual(next);
    bench.tamper("UPDATE login_sessions SET sealed = (SELECT sealed FROM kept)");
    // In the process that has the good one in its memory, too.
    expect(await before.loginSessions.get(record.id)).toBeUndefined();
    expect(await (await bench.open()).loginSessions.get(record.id)).toBeUndefined();
  });

  test("and is looked at again by the heartbeat once a minute, not with every lease", async () => {
    const { store } = await twoOfThree("UPDATE login_sessions SET sealed = 'x' WHERE id = 'id-a'");
    const { loginSessions } = store;
    await loginSessions.get(aLoginSession("a").id);
    expect(await loginSessions.claimDue(10, 10, 1_000)).toHaveLength(3);
    expect(await loginSessions.claimDue(1_010, 10, 1_000)).toEqual(["id-b", "id-c"]);
    expect(await loginSessions.claimDue(60_010, 10, 1_000)).toContain("id-a");
  });

  test("and its refresh token counts as known, though nobody can say to whom: it is not presented again (I1)", async () => {
    const { store } = await twoOfThree("UPDATE login_sessions SET sealed = 'x' WHERE id = 'id-a'");
    const found = store.loginSessions.getByRefreshTokenHash("hash-of-rt-a" as RefreshTokenHash);
    await expect(found).rejects.toMatchObject({ code: "store_unavailable" });
  });

  test("and comes back when the row is put right, while the process runs", async () => {
    const { bench, store } = await twoOfThree("UPDATE login_sessions SET generation = 7 WHERE id = 'id-a'");
    expect(await store.loginSessions.get(aLoginSession("a").id)).toBeUndefined();
    bench.tamper("UPDATE login_sessions SET generation = 1 WHERE id = 'id-a'");
    expect(await store.loginSessions.get(aLoginSession("a").id)).toEqual(aLoginSession("a", { nextDueAt: 1 }));
  });
});

describe("a row that is not sealed", () => {
  test("does not open another login session when two connection keys were exchanged (B14, R9)", async () => {
    const bench = new SqliteBench(onTestFinished);
    const store = await bench.open();
    const keys = ["a", "b", "c"].map((name) => ({
      id: name,
      hash: hashConnectionKey(`lk_${name}`),
      loginSessionId: aLoginSession(name).id,
      name,
      createdAt: 1,
    }));
    for (const key of keys) await store.connectionKeys.insert(key, 20);
    bench.tamper("UPDATE connection_keys SET login_session_id = 'id-b' WHERE id = 'a'");
    expect(await store.connectionKeys.getByHash(hashConnectionKey("lk_a"))).toBeUndefined();
    expect(await store.connectionKeys.listByLoginSession(aLoginSession("b").id)).toEqual([keys[1]]);
    expect(await store.connectionKeys.getByHash(hashConnectionKey("lk_c"))).toEqual(keys[2]);
    expect(bench.events).toContainEqual({ event: "record_quarantined", table: "connection_keys" });
  });

  test("does not let a profile stand for another login session (B14)", async () => {
    const bench = new SqliteBench(onTestFinished);
    const { profiles } = await bench.open();
    const principal = { issuer: "https://as.example", subject: "alice", clientId: "latchkey" };
    for (const name of ["work", "home"]) await profiles?.replace({ name, loginSessionId: aLoginSession(name).id, principal }, undefined);
    bench.tamper("UPDATE profiles SET login_session_id = 'id-home' WHERE name = 'work'");
    expect(await profiles?.get("work")).toBeUndefined();
    expect((await profiles?.list())?.map(({ name }) => name)).toEqual(["home"]);
    expect(bench.events).toContainEqual({ event: "record_quarantined", table: "profiles" });
    const again = { name: "work", loginSessionId: aLoginSession("again").id, principal };
    expect(await profiles?.replace(again, undefined)).toBe(true);
    expect(await profiles?.get("work")).toEqual(again);
  });

  test("does not give a browser another's login sessions (B14)", async () => {
    const bench = new SqliteBench(onTestFinished);
    const store = await bench.open();
    const next = {
      key: "k" as Parameters<Store["browserSessions"]["remove"]>[0],
      loginSessionIds: [aLoginSession("a").id],
      createdAt: 1,
      expiresAt: bench.clock.now() + 1_000,
      madeBy: "m",
      signedInAt: 1,
    };
    await store.browserSessions.signIn({ previous: undefined, next, loginCookies: [], since: 0 });
    bench.tamper("UPDATE browser_sessions SET login_session_ids = 'id-a id-b'");
    expect(await store.browserSessions.get(next.key, bench.clock.now())).toBeUndefined();
  });
});

describe("sealing keys", () => {
  test("change without a loss: the old one still reads, the new one writes, and refresh tokens are known again", async () => {
    const bench = new SqliteBench(onTestFinished);
    const before = await bench.openWithKey([aKey]);
    const [stays, moves] = [aLoginSession("stays"), aLoginSession("moves")];
    for (const record of [stays, moves]) await before.store.loginSessions.insert(record);

    const between = await bench.openWithKey([anotherKey, aKey]);
    expect(between.refreshTokenKey).toEqual(before.refreshTokenKey);
    expect(await between.store.loginSessions.get(stays.id)).toEqual(stays);
    await between.store.loginSessions.commit({ ...moves, version: 2 });

    // Without the old key: what was written since is there, what was not is quarantined and not lost.
    const after = await bench.openWithKey([anotherKey]);
    expect(after.refreshTokenKey).toEqual(before.refreshTokenKey);
    expect((await after.store.loginSessions.listByUser(issuer, subject)).map(({ id }) => id)).toEqual([moves.id]);
    expect(await after.store.loginSessions.getByRefreshTokenHash("hash-of-rt-moves" as RefreshTokenHash)).toMatchObject({ id: moves.id });
    expect(bench.events).toEqual([expect.objectContaining({ event: "record_quarantined", login: stays.handle })]);
    expect(bench.lines.join("")).toContain("which is not among the sealing keys");

    const again = await bench.openWithKey([anotherKey, aKey]);
    expect(await again.store.loginSessions.get(stays.id)).toEqual(stays);
  });

  test("that read nothing of the store are refused at the start, and nothing is changed", async () => {
    const bench = new SqliteBench(onTestFinished);
    const before = await bench.open([aKey]);
    await before.loginSessions.insert(aLoginSession("a"));
    await expect(bench.open([anotherKey])).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining(`was sealed with the key "one", which is not among the sealing keys`),
    });
    await expect(bench.open([{ ...anotherKey, id: aKey.id }])).rejects.toMatchObject({ code: "configuration_invalid" });
    expect(await (await bench.open([aKey])).loginSessions.get(aLoginSession("a").id)).toEqual(aLoginSession("a"));
  });
});
