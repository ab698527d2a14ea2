import { generateKeyPairSync } from "node:crypto";
import { type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { beforeEach, describe, expect, test } from "vitest";
import { AccessTokenAuthenticator } from "../../src/authorization-server/access-token-authenticator.ts";
import { Resources } from "../../src/authorization-server/resources.ts";
import { SigningKeys } from "../../src/authorization-server/signing-keys.ts";
import { BearerAuthenticator } from "../../src/session/authenticator.ts";
import type { LoginSession } from "../../src/session/login-session.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { ModelAuthorizationServer } from "../support/model-authorization-server.ts";
import { makeReplica, type Replica } from "../support/token-bench.ts";

const origin = "https://latchkey.example";
let clock: ManualClock;
let store: MemoryStore;
let replica: Replica;
let keys: SigningKeys;
let authenticator: AccessTokenAuthenticator;
let alice: LoginSession;

beforeEach(async () => {
  clock = new ManualClock();
  store = new MemoryStore(() => clock.now());
  const server = new ModelAuthorizationServer({ now: () => clock.now() });
  replica = makeReplica({ clock, server, store });
  keys = newKeys();
  authenticator = newAuthenticator(keys);
  alice = await replica.logins.start(server.signIn("alice"), { kind: "mcp_client", clientId: "c1" });
});

function newKeys(): SigningKeys {
  return new SigningKeys({ records: store.authorizationServerRecords, usedIds: store.usedIds, clock });
}

function newAuthenticator(own: SigningKeys): AccessTokenAuthenticator {
  return new AccessTokenAuthenticator({ keys: own, resources: new Resources(origin), sessions: replica.core.sessions, clock });
}

function claims(more: JWTPayload = {}): JWTPayload {
  const now = Math.floor(clock.now() / 1000);
  return {
    iss: origin,
    aud: `${origin}/mcp`,
    sub: alice.handle,
    client_id: "c1",
    scope: "mcp",
    jti: "j",
    iat: now,
    exp: now + 300,
    ...more,
  };
}

async function sign(payload: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
  const key = await keys.mustGet();
  return new SignJWT(payload).setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: key.kid, ...header }).sign(key);
}

const problemOf = async (token: string) => authenticator.authenticate(`Bearer ${token}`);
const notValid = { kind: "invalid", problem: "This access token is not valid here." };

describe("an access token", () => {
  test("speaks for the one login session that it was given for, at each of this server's addresses", async () => {
    const credential = { kind: "access_token", clientId: "c1", loginSessionId: alice.id, expiresAt: expect.any(Number) };
    for (const aud of [origin, `${origin}/mcp`, `${origin}/sse`])
      expect(await problemOf(await sign(claims({ aud })))).toEqual({ kind: "authenticated", credential });
  });

  test.each<[string, JWTPayload, string]>([
    [
      "for another resource (RFC 8707)",
      { aud: "https://other.example/mcp" },
      "This access token is for another resource than this server.",
    ],
    ["of another issuer", { iss: "https://other.example" }, notValid.problem],
    ["without the scope", { scope: "other" }, "This access token lacks the scope mcp."],
    ["that has expired", { exp: 1 }, "This access token has expired."],
    ["of nobody", { sub: undefined }, notValid.problem],
    ["without an end", { exp: undefined }, notValid.problem],
    ["of an unknown login session", { sub: "ls_unknown" }, "The login session of this access token has ended. Sign in again."],
  ])("%s is refused", async (_name, more, problem) => {
    expect(await problemOf(await sign(claims(more)))).toEqual({ kind: "invalid", problem });
  });

  test("that is not signed, or by another key, or with the public key as a secret, is refused", async () => {
    const [publicKey] = await keys.publicKeys();
    const kid = publicKey?.kid ?? "";
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const forged = await new SignJWT(claims()).setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid }).sign(privateKey);
    const secret = new TextEncoder().encode(JSON.stringify(publicKey));
    const confused = await new SignJWT(claims()).setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid }).sign(secret);
    const unknown = await new SignJWT(claims()).setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: "other" }).sign(privateKey);
    expect(await problemOf(new UnsecuredJWT(claims()).encode())).toEqual(notValid);
    expect(await problemOf(forged)).toEqual(notValid);
    expect(await problemOf(confused)).toEqual(notValid);
    expect(await problemOf(unknown)).toEqual({ kind: "invalid", problem: "This access token was not signed by this server." });
    expect(await problemOf(await sign(claims(), { typ: "JWT" }))).toEqual(notValid);
    expect(authenticator.size).toBe(0);
  });

  test("that was changed by one character is refused, though it was seen before", async () => {
    const token = await sign(claims());
    expect((await problemOf(token)).kind).toBe("authenticated");
    const [head = "", , signature = ""] = token.split(".");
    const body = Buffer.from(JSON.stringify(claims({ sub: "ls_somebody" }))).toString("base64url");
    expect(await problemOf(`${head}.${body}.${signature}`)).toEqual(notValid);
  });

  test("expires also when it is remembered, and is forgotten then", async () => {
    const token = await sign(claims());
    expect((await problemOf(token)).kind).toBe("authenticated");
    expect(authenticator.size).toBe(1);
    await clock.advance(300_000);
    expect(await problemOf(token)).toEqual({ kind: "invalid", problem: "This access token has expired." });
    expect(authenticator.size).toBe(0);
  });

  test("is looked at by what signs connection keys only if it looks like none", async () => {
    const asked: string[] = [];
    const as = (name: string) => ({
      authenticate: async () => {
        asked.push(name);
        return { kind: "missing" as const };
      },
    });
    const both = new BearerAuthenticator(as("access tokens"), as("keys"));
    await both.authenticate("Bearer lk_abc");
    await both.authenticate("Bearer a.b.c");
    expect(await both.authenticate("Basic abc")).toMatchObject({ kind: "invalid" });
    expect(await both.authenticate(undefined)).toEqual({ kind: "missing" });
    expect(asked).toEqual(["keys", "access tokens"]);
  });
});

describe("the key that signs", () => {
  test("is one for all processes, however many need it first at one time, and stays", async () => {
    const all = Array.from({ length: 6 }, newKeys);
    const wanted = Promise.all(all.map((each) => each.mustGet()));
    let made: Awaited<typeof wanted> | undefined;
    void wanted.then((got) => {
      made = got;
    });
    while (made === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
      await clock.advance(50);
    }
    expect(new Set(made.map(({ kid }) => kid)).size).toBe(1);
    expect((await newKeys().mustGet()).kid).toBe(made[0]?.kid);
  });

  test("is made by another when the one that was to make it is gone", async () => {
    await store.usedIds.use({ kind: "signing_key_maker", id: "current", expiresAt: clock.now() + 10_000 }, clock.now());
    const wanted = newKeys().mustGet();
    await clock.advance(9_900);
    expect(await store.authorizationServerRecords.get("SigningKey", "current", clock.now())).toBeUndefined();
    await clock.advance(1_000);
    expect((await wanted).alg).toBe("ES256");
  });

  test("is asked for again when a token names another, but not each time", async () => {
    const token = await sign(claims());
    expect((await problemOf(token)).kind).toBe("authenticated");
    // The store was emptied, and another process has made a new one.
    await store.authorizationServerRecords.remove("SigningKey", "current");
    await clock.advance(10_000);
    keys = newKeys();
    const next = await sign(claims({ jti: "k" }));
    expect((await problemOf(next)).kind).toBe("authenticated");
    let reads = 0;
    const { get } = store.authorizationServerRecords;
    store.authorizationServerRecords.get = (...args) => {
      reads += 1;
      return get.apply(store.authorizationServerRecords, args);
    };
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    for (const kid of ["a", "b", "c"])
      await problemOf(await new SignJWT(claims()).setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid }).sign(privateKey));
    expect(reads).toBe(0);
  });
});
