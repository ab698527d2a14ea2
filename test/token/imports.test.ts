import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LatchkeyError } from "../../src/errors.ts";
import type { RefreshToken } from "../../src/session/login-session.ts";
import type { ImportIntentStore } from "../../src/session/store.ts";
import type { RefreshOutcome } from "../../src/token/ports.ts";
import { hookedStore, type StoreHooks, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, makeReplica } from "../support/token-bench.ts";

const cause = new Error("as the server was");

function bench(...options: Parameters<typeof makeBench>) {
  const made = makeBench(...options);
  return {
    ...made,
    request: (user: string, suffix = "") => ({
      idToken: `id-${user}-1${suffix}`,
      refreshToken: String(made.server.signIn(user).tokens.refreshToken),
    }),
  };
}

describe("an import", () => {
  it("refreshes at once and makes a login session of the new tokens", async () => {
    const { one, server, request, store } = bench();
    const handed = request("alice");
    const { created, loginSession } = await one.imports.importLogin(handed);
    expect(created).toBe(true);
    expect(loginSession).toMatchObject({ state: "live", origin: { kind: "import" }, principal: { subject: "alice" } });
    expect(loginSession.refreshToken).not.toBe(handed.refreshToken);
    expect(server.isActive(loginSession.refreshToken)).toBe(true);
    expect(server.presentations).toHaveLength(1);
    expect(store.sizes().records).toBe(1);
    expect(one.events.map((each) => each.event)).toEqual(expect.arrayContaining(["refresh_presented", "login_imported"]));
    expect(JSON.stringify(one.events)).not.toContain(handed.refreshToken);
  });

  it("that is retried after its 201 was lost finds the one record and presents nothing again (F47)", async () => {
    const { one, server, request, store } = bench();
    const handed = request("alice");
    const { loginSession } = await one.imports.importLogin(handed);
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({
      code: "conflict",
      details: { login: loginSession.handle, state: "live" },
    });
    expect(store.sizes().records).toBe(1);
    expect(server.presentations).toHaveLength(1);
    expect(server.reuseEvents).toBe(0);
  });

  it("that is retried after later refreshes presents nothing either, so no reuse alarm kills what it became (F47, I1)", async () => {
    const { one, server, request, clock } = bench();
    const handed = request("alice");
    const { loginSession } = await one.imports.importLogin(handed);
    const login = await one.watch(loginSession);
    for (let generation = 2; generation <= 4; generation += 1) {
      await clock.advance(31_000);
      await one.tokens.acquire(login, { scopes: [] });
    }
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({ code: "conflict", details: { login: loginSession.handle } });
    expect(server.reuseEvents).toBe(0);
    expect(login.current().state).toBe("live");
  });

  it("of a token that stayed current gives the same handle again (F47)", async () => {
    const { one, server, request, store } = bench({ rotates: false });
    const handed = request("alice");
    const { loginSession } = await one.imports.importLogin(handed);
    const again = await one.imports.importLogin(handed);
    expect(again).toMatchObject({ created: false, loginSession: { handle: loginSession.handle } });
    expect(store.sizes().records).toBe(1);
    expect(server.presentations).toHaveLength(1);
  });

  it("accepts an ID token that has expired within a day, if the refresh works (F47)", async () => {
    const { one, request } = bench();
    await expect(one.imports.importLogin(request("alice", "-expired"))).resolves.toMatchObject({ created: true });
  });

  it("with another user's refresh token is refused, makes nothing, and revokes what it got (F47, I7)", async () => {
    const { one, server, store } = bench();
    const bob = server.signIn("bob");
    await expect(one.imports.importLogin({ idToken: "id-alice-1", refreshToken: String(bob.tokens.refreshToken) })).rejects.toMatchObject({
      code: "invalid_request",
      details: { problems: [expect.stringContaining("another user")] },
    });
    expect(store.sizes().records).toBe(0);
    expect(server.revoked.map((each) => each.kind)).toEqual(["refresh_token", "access_token"]);
  });

  it("with the refresh token of somebody's login session here tells nothing of that (B10)", async () => {
    const { one, server, signIn } = bench();
    const { record } = await signIn("bob");
    const error = await one.imports
      .importLogin({ idToken: "id-alice-1", refreshToken: String(record.refreshToken) })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "invalid_request" });
    expect(JSON.stringify(error)).not.toContain(record.handle);
    expect(server.presentations).toHaveLength(0);
  });

  it("of a consumed refresh token is a conflict, or refused by the authorization server (F47)", async () => {
    const { one, server, request } = bench();
    const handed = request("alice");
    server.faults.push({ kind: "answer", outcome: { kind: "grant_dead", cause } });
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({
      code: "invalid_request",
      details: { problems: [expect.stringContaining("refresh_token")] },
    });
  });

  it.each(["not an id token", "id-alice-1-bad"])(
    "with a bad ID token (%s) is refused before anything is presented (R17)",
    async (idToken) => {
      const { one, server, store, request } = bench();
      await expect(one.imports.importLogin({ ...request("alice"), idToken })).rejects.toMatchObject({
        code: "invalid_request",
        details: { problems: [expect.any(String)] },
      });
      expect(server.presentations).toHaveLength(0);
      expect(store.sizes().records).toBe(0);
    },
  );

  it("of a login session that is over is a conflict", async () => {
    const { one, request, server } = bench({ rotates: false });
    const handed = request("alice");
    const { loginSession } = await one.imports.importLogin(handed);
    await one.logout.end(loginSession.id, "import_owner");
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({
      code: "conflict",
      details: { login: loginSession.handle, state: "ended" },
    });
    expect(server.presentations).toHaveLength(1);
  });

  it.each([
    { kind: "not_sent", cause },
    { kind: "server_error", cause },
    { kind: "client_broken", cause },
    { kind: "ambiguous", cause },
  ] as const)("that meets $kind can be tried again", async (outcome: RefreshOutcome) => {
    const { clock, one, server, request, store } = bench();
    const handed = request("alice");
    server.faults.push({ kind: "answer", outcome });
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    expect(store.sizes().records).toBe(0);
    await clock.advance(60_000);
    await expect(one.imports.importLogin(handed)).resolves.toMatchObject({ created: true });
  });

  it("cannot be checked while the keys are away", async () => {
    const { one, server, request } = bench();
    await expect(one.imports.importLogin(request("alice", "-unreachable"))).rejects.toMatchObject({
      code: "authorization_server_unavailable",
      retryable: true,
    });
    expect(server.presentations).toHaveLength(0);
  });
});

describe("the same import several times at one time", () => {
  it("is one presentation and one login session (I8)", async () => {
    const requests = new Hold();
    const { one, server, request, store } = bench({ pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()) });
    const handed = request("alice");
    const all = Promise.all(Array.from({ length: 5 }, () => one.imports.importLogin(handed)));
    await settle();
    expect(server.presentations).toHaveLength(1);
    requests.open();
    const results = await all;
    expect(new Set(results.map((each) => each.loginSession.handle)).size).toBe(1);
    expect(results.filter((each) => each.created)).toHaveLength(1);
    expect(store.sizes().records).toBe(1);
  });

  it("is no way around the ID token for the second who asks", async () => {
    const requests = new Hold();
    const { one, server, request } = bench({ pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()) });
    const handed = request("alice");
    const first = one.imports.importLogin(handed);
    await settle();
    const others = ["id-bob-1", "id-alice-1-bad"].map((idToken) =>
      one.imports.importLogin({ ...handed, idToken }).catch((error: unknown) => error),
    );
    await settle();
    requests.open();
    await first;
    for (const other of await Promise.all(others)) expect(other).toMatchObject({ code: "invalid_request" });
    expect(server.presentations).toHaveLength(1);
  });
});

describe("the same import in two processes at one time", () => {
  it("is one presentation and one login session, at every interleaving of their steps with the store (I1, I2)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        const held = (label: string) => scheduler.schedule(Promise.resolve(), label);
        const { clock, server, store, request } = bench({ pause: (point) => held(point) });
        const slow = hookedStore(store.loginSessions, { before: (operation) => held(operation), after: (operation) => held(operation) });
        const importIntents: ImportIntentStore = {
          claim: async (intent, now) => {
            await held("claim");
            const claimed = await store.importIntents.claim(intent, now);
            await held("claimed");
            return claimed;
          },
          release: async (intent) => {
            await held("release");
            return store.importIntents.release(intent);
          },
        };
        const replicas = ["a", "b", "c"].map((owner) => makeReplica({ clock, server, store, loginSessions: slow, importIntents, owner }));
        const handed = request("alice");
        // Whoever comes to look only after the winner has stored it is told of the conflict, with the handle (F47).
        const imports = replicas.map((replica) =>
          replica.imports.importLogin(handed).then(
            ({ created, loginSession }) => ({ created, handle: String(loginSession.handle) }),
            (error: LatchkeyError) => ({ created: false, handle: String(error.details.login) }),
          ),
        );
        let results: readonly { readonly created: boolean; readonly handle: string }[] = [];
        void Promise.all(imports).then((all) => {
          results = all;
        });
        for (let turn = 0; results.length === 0 && turn < 50; turn += 1) {
          await scheduler.waitIdle();
          await clock.advance(250);
        }
        expect(results).toHaveLength(3);
        expect(new Set(results.map((each) => each.handle)).size).toBe(1);
        expect(results.filter((each) => each.created)).toHaveLength(1);
        expect(server.presentations).toHaveLength(1);
        expect(server.reuseEvents).toBe(0);
        expect(store.sizes()).toMatchObject({ records: 1, importIntents: 0 });
      }),
      { numRuns: 40 },
    );
  });

  it("waits for the time of an import whose process died, and presents then: a token that never arrived is saved", async () => {
    const { clock, one, store, server, request } = bench();
    const handed = request("alice");
    const hash = one.core.hash(handed.refreshToken as RefreshToken);
    await store.importIntents.claim({ hash, owner: "dead", expiresAt: clock.now() + 25_000 }, clock.now());
    const result = one.imports.importLogin(handed);
    await clock.advance(24_000);
    expect(server.presentations).toHaveLength(0);
    await clock.advance(2_000);
    expect(await result).toMatchObject({ created: true });
  });

  it("presents nothing beside a request that may still be on its way after an ambiguous answer (I1)", async () => {
    const { clock, one, another, server, request } = bench();
    const handed = request("alice");
    server.faults.push({ kind: "delay_request" });
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({ retryable: true });
    const again = another("two")
      .imports.importLogin(handed)
      .catch((error: unknown) => error);
    await clock.advance(20_000);
    expect(server.presentations).toHaveLength(1);
    await clock.advance(6_000);
    expect(await again).toMatchObject({ created: true });
  });

  it("presents nothing once the time of its own claim is over", async () => {
    const { clock, server, store, request } = bench();
    const stalled = new Hold();
    const slow: ImportIntentStore = {
      claim: async (intent, now) => {
        const claimed = await store.importIntents.claim(intent, now);
        await stalled.wait();
        return claimed;
      },
      release: (intent) => store.importIntents.release(intent),
    };
    const one = makeReplica({ clock, server, store, importIntents: slow });
    const handed = request("alice");
    const result = one.imports.importLogin(handed).catch((error: unknown) => error);
    await clock.advance(60_000);
    stalled.open();
    expect(await result).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    expect(server.presentations).toHaveLength(0);
  });
});

describe("an import whose reply is in hand", () => {
  it("waits until it can be verified, without a second POST (F18)", async () => {
    const { clock, one, server, request, store } = bench();
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    const result = one.imports.importLogin(request("alice"));
    await clock.advance(3_000);
    expect(store.sizes().records).toBe(0);
    server.verificationAnswer = undefined;
    await clock.advance(10_000);
    await expect(result).resolves.toMatchObject({ created: true });
    expect(server.presentations).toHaveLength(1);
  });

  it("revokes its tokens when that never happens (I4)", async () => {
    const { clock, one, server, request } = bench();
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    const handed = request("alice");
    const result = one.imports.importLogin(handed).catch((error: unknown) => error);
    await clock.advance(10 * 60_000);
    expect(await result).toMatchObject({ code: "authorization_server_unavailable" });
    expect(server.isFamilyAlive(handed.refreshToken)).toBe(false);
  });

  it.each(["before", "after"] as const)(
    "keeps it although the store fails %s it is written: one record, nothing lost (I4, F10)",
    async (when) => {
      const { clock, server, store, request } = bench();
      let failures = 3;
      const hooks: StoreHooks = {
        [when]: (operation: string) => {
          if (operation !== "insert" || failures === 0) return;
          failures -= 1;
          throw storeAway();
        },
      };
      const one = makeReplica({ clock, server, store, loginSessions: hookedStore(store.loginSessions, hooks) });
      const handed = request("alice");
      const result = one.imports.importLogin(handed);
      await clock.advance(10_000);
      const { loginSession } = await result;
      expect(server.isActive(loginSession.refreshToken)).toBe(true);
      expect(store.sizes().records).toBe(1);
      expect(server.presentations).toHaveLength(1);
    },
  );

  it("revokes its tokens when the store stays away (I4)", async () => {
    const { clock, server, store, request } = bench();
    const hooks: StoreHooks = {
      before: (operation) => {
        if (operation === "insert") throw storeAway();
      },
    };
    const one = makeReplica({ clock, server, store, loginSessions: hookedStore(store.loginSessions, hooks) });
    const handed = request("alice");
    const result = one.imports.importLogin(handed).catch((error: unknown) => error);
    await clock.advance(10 * 60_000);
    expect(await result).toMatchObject({ code: "store_unavailable" });
    expect(server.isFamilyAlive(handed.refreshToken)).toBe(false);
  });
});

describe("imports and the load on the authorization server (I13)", () => {
  it("keep to its concurrency limit", async () => {
    const requests = new Hold();
    const { one, server, request } = bench(
      { pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()) },
      { concurrencyPerIssuer: 4 },
    );
    const all = Promise.all(Array.from({ length: 20 }, () => one.imports.importLogin(request("alice"))));
    await settle();
    expect(server.presentations).toHaveLength(4);
    requests.open();
    expect(await all).toHaveLength(20);
    expect(server.mostOpen).toBeLessThanOrEqual(4);
  });

  it("are refused at once while it is known to be down", async () => {
    const { one, server, request } = bench();
    server.outage = { kind: "not_sent", cause };
    for (let each = 0; each < 10; each += 1)
      await expect(one.imports.importLogin(request("alice"))).rejects.toMatchObject({
        code: "authorization_server_unavailable",
        retryable: true,
      });
    expect(server.presentations).toHaveLength(5);
  });
});
