import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { silentAudit } from "../../src/audit/audit.ts";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { mustString } from "../support/e2e-json.ts";
import { eventually } from "../support/e2e-wait.ts";
import { ClientRig } from "./client-rig.ts";

let rig: ClientRig;
beforeEach(async () => {
  rig = await ClientRig.start({ replicas: 2 });
});
afterEach(() => rig.stop());

const graceMs = 30_000;
const invalidGrant = { status: 400, json: { error: "invalid_grant" } };

/** Lets waiting requests look again until all have their answer. */
async function answered<T>(all: readonly Promise<T>[], { clock } = rig): Promise<readonly T[]> {
  let isDone = false;
  const result = Promise.all(all).finally(() => {
    isDone = true;
  });
  while (!isDone) await clock.advance(25);
  return result;
}

describe("a code", () => {
  test("is good once, with its verifier alone, and its answer says who gave it (RFC 9207)", async () => {
    const clientId = await rig.clientId();
    const code = await rig.code(clientId, "alice");
    expect(code.answer.searchParams.get("iss")).toBe(rig.url);
    expect(code.answer.searchParams.get("state")).toBe("s");
    expect(await rig.exchange(clientId, { ...code, verifier: "x".repeat(43) })).toMatchObject(invalidGrant);
    expect(await rig.exchange(await rig.clientId(), code)).toMatchObject(invalidGrant);
    expect(await rig.exchange(clientId, code, { redirect_uri: "http://127.0.0.1:1/other" })).toMatchObject(invalidGrant);
    const { status, json } = await rig.exchange(clientId, code);
    expect(status).toBe(200);
    expect(json).toMatchObject({ token_type: "Bearer", scope: "mcp", expires_in: 300 });
    expect(json).not.toHaveProperty("id_token");
  });

  test("that two replicas are given at one time is changed once, and a second use ends the login session (R3)", async () => {
    const clientId = await rig.clientId();
    const code = await rig.code(clientId, "alice");
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => rig.exchange(clientId, code, {}, index % 2)));
    const good = answers.filter(({ status }) => status === 200);
    expect(good).toHaveLength(1);
    expect(answers.filter(({ json }) => json.error === "invalid_grant")).toHaveLength(7);
    expect((await rig.loginOf(mustString(good[0]?.json ?? {}, "access_token")))?.state).toBe("ended");
  });

  test("is given without PKCE, with the plain method, or to another address to nobody", async () => {
    const clientId = await rig.clientId();
    const plain = await rig.authorize(clientId, { code_challenge_method: "plain" });
    expect(new URL(plain.answer.headers.get("location") ?? "").searchParams.get("error")).toBe("invalid_request");
    const without = await rig.authorize(clientId, { code_challenge: "", code_challenge_method: "" });
    expect(new URL(without.answer.headers.get("location") ?? "").searchParams.get("error")).toBe("invalid_request");
    const elsewhere = await rig.authorize(clientId, { redirect_uri: "https://evil.example/callback" });
    expect(elsewhere.answer.status).toBe(400);
    expect(elsewhere.answer.text).toContain("invalid_redirect_uri");
    const foreign = await rig.authorize(clientId, { resource: "https://other.example/mcp" });
    expect(new URL(foreign.answer.headers.get("location") ?? "").searchParams.get("error")).toBe("invalid_target");
  });
});

describe("a refresh token", () => {
  test("is used once by two replicas, and both presentations get the same answer, without an alarm (F2)", async () => {
    const { clientId, accessToken, refreshToken } = await rig.grant("alice");
    const answers = await answered(Array.from({ length: 8 }, (_, index) => rig.refresh(clientId, refreshToken, {}, index % 2)));
    expect(new Set(answers.map(({ json }) => JSON.stringify(json))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 200, json: { refresh_token: expect.any(String) } });
    expect(rig.events("client_grant_ended")).toEqual([]);
    expect((await rig.loginOf(accessToken))?.state).toBe("live");
  });

  test("whose answer was lost gets the same answer again within 30 s, from any replica", async () => {
    const { clientId, refreshToken } = await rig.grant("alice");
    const first = await rig.refresh(clientId, refreshToken);
    await rig.clock.advance(graceMs - 1);
    expect(await rig.refresh(clientId, refreshToken, {}, 1)).toEqual(first);
    expect(rig.events("client_reply_repeated")).toHaveLength(1);
    // And the new one works, whichever of the two answers arrived.
    expect((await rig.refresh(clientId, mustString(first.json, "refresh_token"))).status).toBe(200);
  });

  test("that is used again later is reuse: refused, and grant and login session are gone", async () => {
    const { clientId, accessToken, refreshToken } = await rig.grant("alice");
    const first = await rig.refresh(clientId, refreshToken);
    await rig.clock.advance(graceMs + 1);
    expect(await rig.refresh(clientId, refreshToken)).toMatchObject(invalidGrant);
    expect(await rig.refresh(clientId, mustString(first.json, "refresh_token"))).toMatchObject(invalidGrant);
    expect((await rig.loginOf(accessToken))?.reason?.code).toBe("grant_ended");
    expect(rig.events("client_grant_ended")).toHaveLength(1);
  });

  test("is of its client alone, and its answer is repeated to nobody else and for no other question", async () => {
    const { clientId, refreshToken } = await rig.grant("alice");
    const other = await rig.clientId();
    expect(await rig.refresh(other, refreshToken)).toMatchObject(invalidGrant);
    await rig.refresh(clientId, refreshToken);
    expect(await rig.refresh(other, refreshToken)).toMatchObject(invalidGrant);
    expect(await rig.refresh(clientId, refreshToken, { resource: `${rig.url}/sse` })).toMatchObject(invalidGrant);
    expect((await rig.refresh(clientId, refreshToken)).status).toBe(200);
  });

  test("of a client with a secret is refused without it, also within the grace", async () => {
    const { json } = await rig.register({ token_endpoint_auth_method: "client_secret_post" });
    const [clientId, secret] = [mustString(json, "client_id"), mustString(json, "client_secret")];
    const code = await rig.code(clientId, "alice");
    const refreshToken = mustString((await rig.exchange(clientId, code, { client_secret: secret })).json, "refresh_token");
    const first = await rig.refresh(clientId, refreshToken, { client_secret: secret });
    expect(first.status).toBe(200);
    expect(await rig.refresh(clientId, refreshToken)).toMatchObject({ json: { error: "invalid_client" } });
    expect(await rig.refresh(clientId, refreshToken, { client_secret: "wrong" })).toMatchObject({ json: { error: "invalid_client" } });
    expect(await rig.refresh(clientId, refreshToken, { client_secret: secret })).toEqual(first);
  });

  test("goes on working as long as it is used, and its grant with it", async () => {
    const granted = await rig.grant("alice");
    let { refreshToken } = granted;
    for (let round = 0; round < 3; round += 1) {
      await rig.clock.advance(3_000_000);
      const { status, json } = await rig.refresh(granted.clientId, refreshToken);
      expect(status).toBe(200);
      refreshToken = mustString(json, "refresh_token");
    }
    await rig.clock.advance(3_601_000);
    expect(await rig.refresh(granted.clientId, refreshToken)).toMatchObject(invalidGrant);
  });
});

describe("grant and login session", () => {
  test("each grant has a login session of its own, and one ends without the other (B8)", async () => {
    const [one, two] = [await rig.grant("alice"), await rig.grant("alice")];
    const [first, second] = [await rig.loginOf(one.accessToken), await rig.loginOf(two.accessToken)];
    expect(first?.id).not.toBe(second?.id);
    if (first === undefined) throw new Error("no login session");
    await rig.replica.logout.end(first.id, "logout");
    expect(await rig.refresh(one.clientId, one.refreshToken)).toMatchObject(invalidGrant);
    expect((await rig.refresh(two.clientId, two.refreshToken)).status).toBe(200);
  });

  test("whose code is never fetched is given up after a while; one whose code was fetched is not", async () => {
    const clientId = await rig.clientId();
    await rig.code(clientId, "alice");
    const { accessToken } = await rig.grant("bob");
    const { issuer } = rig.company;
    await rig.clock.advance(299_000);
    expect((await rig.store.loginSessions.listByUser(issuer, "alice")).map(({ state }) => state)).toEqual(["live"]);
    await rig.clock.advance(1_000);
    await eventually("it has ended", async () => (await rig.store.loginSessions.listByUser(issuer, "alice"))[0]?.state === "ended");
    expect((await rig.loginOf(accessToken))?.state).toBe("live");
  });

  test("a client that gives its refresh token back ends the login session and its tokens at the company's server (R7)", async () => {
    const { clientId, accessToken, refreshToken } = await rig.grant("alice");
    expect(await rig.revoke({ client_id: await rig.clientId(), token: refreshToken })).toMatchObject({ status: 200 });
    expect((await rig.loginOf(accessToken))?.state).toBe("live");
    expect(await rig.revoke({ client_id: clientId, token: refreshToken })).toMatchObject({ status: 200 });
    expect(await rig.loginOf(accessToken)).toMatchObject({ state: "ended", reason: { code: "grant_ended" } });
    expect(await rig.refresh(clientId, refreshToken)).toMatchObject(invalidGrant);
    expect(await rig.revoke({ client_id: clientId, token: refreshToken })).toMatchObject({ status: 200 });
  });

  test("a login session that needs a sign-in refuses its refresh token, and the next authorization of the same user and client repairs it", async () => {
    const { clientId, accessToken, refreshToken } = await rig.grant("alice");
    const before = await rig.loginOf(accessToken);
    if (before === undefined) throw new Error("no login session");
    const dead = {
      ...before,
      state: "login_required",
      reason: { code: "grant_dead", at: 0 },
      accessTokens: [],
      refreshToken: undefined,
    } as const;
    await rig.replica.core.sessions.commit(before, { ...dead, version: before.version + 1 });
    expect(await rig.refresh(clientId, refreshToken)).toMatchObject(invalidGrant);

    const bobs = await rig.exchange(clientId, await rig.code(clientId, "bob"));
    expect((await rig.loginOf(mustString(bobs.json, "access_token")))?.id).not.toBe(before.id);
    const { json } = await rig.exchange(clientId, await rig.code(clientId, "alice"));
    const after = await rig.loginOf(mustString(json, "access_token"));
    expect(after).toMatchObject({ id: before.id, state: "live", epoch: before.epoch + 1 });
    // One grant for one login session: what was held for it before is void.
    expect(await rig.refresh(clientId, refreshToken)).toMatchObject(invalidGrant);
    expect((await rig.refresh(clientId, mustString(json, "refresh_token"))).status).toBe(200);
  });

  test("everything is forgotten again (I16)", async () => {
    const { accessToken } = await rig.grant("alice");
    const record = await rig.loginOf(accessToken);
    if (record === undefined) throw new Error("no login session");
    await rig.replica.logout.end(record.id, "logout");
    await rig.clock.advance(400 * 24 * 3600_000);
    const { authorizationServerRecords } = rig.store;
    // What has expired is dropped while others are written.
    for (let index = 0; index < 50; index += 1) await authorizationServerRecords.put({ kind: "x", id: "x", content: "" });
    // The signing key and the record just written.
    expect(authorizationServerRecords.size).toBe(2);
  });
});

test("whatever the order in which two replicas get at the store, all presentations within the grace get one answer (I1)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(fc.constantFrom(0, 1), { minLength: 2, maxLength: 4 }), async (scheduler, replicas) => {
      let isRacing = false;
      const one = await ClientRig.start({ replicas: 2, pause: async () => (isRacing ? scheduler.schedule(Promise.resolve()) : undefined) });
      try {
        const { clientId, accessToken, refreshToken } = await one.grant("alice");
        isRacing = true;
        const all = replicas.map((index) => one.refresh(clientId, refreshToken, {}, index));
        const answers = await scheduler.waitFor(answered(all, one));
        isRacing = false;
        expect(new Set(answers.map(({ json }) => JSON.stringify(json))).size).toBe(1);
        expect(answers[0]?.status).toBe(200);
        expect((await one.loginOf(accessToken))?.state).toBe("live");
        expect((await one.refresh(clientId, mustString(answers[0]?.json ?? {}, "refresh_token"))).status).toBe(200);
      } finally {
        await one.stop();
      }
    }),
    { numRuns: 15 },
  );
});

test("behind a proxy, addresses are those of the public origin, and cookies are for https alone", async () => {
  const one = await ClientRig.start({ publicUrl: "https://latchkey.example" });
  onTestFinished(() => one.stop());
  const { answer } = await one.authorize(await one.clientId());
  expect(answer.headers.get("location")).toMatch(/^\/oauth\/consent\//);
  const cookies = answer.headers.getSetCookie();
  expect(cookies).toHaveLength(2);
  for (const cookie of cookies)
    expect(cookie).toMatch(/^__Secure-latchkey_oauth_\w+=[\w-]+; path=\/oauth\/.*; samesite=lax; secure; httponly$/i);
  const metadata: unknown = await (await fetch(`${one.url}/.well-known/oauth-authorization-server`)).json();
  expect(metadata).toMatchObject({ issuer: "https://latchkey.example", token_endpoint: "https://latchkey.example/oauth/token" });
});

test("in a SQLite file nothing of it stands in clear, and it works there", async () => {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-clients-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const options = { file: join(folder, "latchkey.db"), keys: [], clock: systemClock, logger: silentLogger, audit: silentAudit };
  const { store } = await openSqliteStore(options);
  const one = await ClientRig.start({ replicas: 2, records: store.authorizationServerRecords });
  const { clientId, accessToken, refreshToken } = await one.grant("alice", { client_name: "a name to look for" });
  const answers = await answered([one.refresh(clientId, refreshToken), one.refresh(clientId, refreshToken, {}, 1)], one);
  expect(answers[0]).toEqual(answers[1]);
  expect(answers[0]?.status).toBe(200);
  await one.stop();
  await store.close();
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => readFileSync(join(folder, name)).toString("latin1"));
  const given = answers.flatMap(({ json }) => [json.access_token, json.refresh_token]);
  for (const secret of [accessToken, refreshToken, clientId, "a name to look for", ...given.map(String)])
    for (const text of files) expect(text).not.toContain(secret);
});
