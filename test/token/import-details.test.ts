import { describe, expect, it } from "vitest";
import type { LoginSession, RefreshToken, RefreshTokenHash } from "../../src/session/login-session.ts";
import { Imports } from "../../src/token/imports.ts";
import type { RefreshOutcome, RefreshRequest } from "../../src/token/ports.ts";
import { aLoginSession } from "../session/records.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, makeReplica } from "../support/token-bench.ts";

const cause = new Error("as the server was");

function bench(...options: Parameters<typeof makeBench>) {
  const made = makeBench(...options);
  const requests: RefreshRequest[] = [];
  const refresh = made.server.refresh.bind(made.server);
  made.server.refresh = (request) => {
    requests.push(request);
    return refresh(request);
  };
  const handed = { idToken: "id-alice-1", refreshToken: String(made.server.signIn("alice").tokens.refreshToken) };
  return { ...made, requests, handed };
}

describe("what an import makes", () => {
  it("is of the reply, as old as its request, and said in the audit", async () => {
    const { clock, one, server, requests, handed } = bench();
    const sentAt = clock.now();
    const verify = server.verify.bind(server);
    server.verify = async (...args) => {
      const verification = await verify(...args);
      await clock.advance(3_000);
      return verification.kind === "verified"
        ? { ...verification, tokens: { ...verification.tokens, sid: "sid-of-reply", profile: { name: "Alice of the reply" } } }
        : verification;
    };
    const { loginSession } = await one.imports.importLogin(handed);
    expect(loginSession).toMatchObject({
      authorizationServer: "main",
      principal: { issuer: server.issuer, subject: "alice", clientId: server.clientId, sid: "sid-of-reply" },
      profile: { name: "Alice of the reply" },
      importedRefreshTokenHash: one.core.hash(handed.refreshToken as RefreshToken),
      accessTokens: [{ obtainedAt: sentAt }],
    });
    expect(requests).toEqual([
      { authorizationServer: "main", refreshToken: handed.refreshToken, target: { scopes: [] }, timeoutMs: 20_000 },
    ]);
    expect(one.events).toEqual([
      { event: "refresh_presented", issuer: server.issuer, generation: 0, reason: "import" },
      { event: "login_completed", login: loginSession.handle, issuer: server.issuer, origin: "import" },
      { event: "login_imported", login: loginSession.handle, issuer: server.issuer },
    ]);
    expect(one.core.issuers.mustGet("main").gate.lastHealthyAt).toBe(sentAt);
  });

  it("is of the ID token, and keeps the refresh token that was handed in, where the reply says nothing", async () => {
    const { one, server, handed } = bench();
    server.faults.push({ kind: "reply", fields: { refresh_token: undefined } });
    const { loginSession } = await one.imports.importLogin(handed);
    expect(loginSession).toMatchObject({
      profile: { name: "alice" },
      refreshToken: handed.refreshToken,
      consumedRefreshTokenHash: undefined,
    });
  });

  it("is checked with the access token that was handed in, if there was one", async () => {
    const { one, server, store, handed } = bench();
    const port = server.importPort();
    const checked: unknown[] = [];
    const imports = new Imports(
      one.core,
      {
        ...port,
        checkImport: (request) => {
          checked.push(request);
          return port.checkImport(request);
        },
      },
      one.logins,
      store.importIntents,
    );
    await imports.importLogin({ ...handed, accessToken: "at-handed" });
    expect(checked).toEqual([{ idToken: handed.idToken, accessToken: "at-handed" }]);
  });

  it("is counted while it is under way", async () => {
    const requests = new Hold();
    const { one, handed } = bench({ pause: () => requests.wait() });
    const result = one.imports.importLogin(handed);
    expect(one.imports.size).toBe(1);
    const again = one.imports.importLogin(handed);
    await settle();
    expect(one.imports.size).toBe(1);
    requests.open();
    const { loginSession } = await result;
    expect(await again).toEqual({ created: false, loginSession });
    expect(one.imports.size).toBe(0);
  });
});

describe("an import that fails", () => {
  const nothingLost = /Nothing was used up/;

  it.each<[RefreshOutcome["kind"], RefreshOutcome, string, string | undefined, RegExp]>([
    ["not_sent", { kind: "not_sent", cause }, "authorization_server_unavailable", "not_sent", nothingLost],
    ["server_error", { kind: "server_error", cause }, "authorization_server_unavailable", "server_error", nothingLost],
    ["ambiguous", { kind: "ambiguous", cause }, "authorization_server_unavailable", "ambiguous", /did not answer properly/],
    ["client_broken", { kind: "client_broken", cause }, "authorization_server_unavailable", "client_broken", nothingLost],
    ["grant_dead", { kind: "grant_dead", cause }, "invalid_request", undefined, /has expired, was revoked or was used before/],
    ["refused", { kind: "refused", cause }, "invalid_request", undefined, /was refused by the authorization server/],
  ])("is in the audit with what was answered, and its gate knows: %s", async (kind, outcome, code, lastFailure, words) => {
    const { one, server, handed } = bench();
    server.faults.push({ kind: "answer", outcome });
    const message = expect.stringMatching(words);
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject(
      code === "invalid_request" ? { code, retryable: false, message } : { code, retryable: true, retryAfterSeconds: 5, cause, message },
    );

    expect(one.events.filter(({ event }) => event === "import_refused")).toEqual([
      { event: "import_refused", issuer: server.issuer, kind, cause },
      ...(code === "invalid_request" ? [{ event: "import_refused", problems: 1 }] : []),
    ]);
    const { gate } = one.core.issuers.mustGet("main");
    expect(gate).toMatchObject({ lastFailure, isBusy: kind === "client_broken" });
  });

  it("may be tried again at once, unless its request may still be on its way (I1)", async () => {
    for (const outcome of [
      { kind: "not_sent", cause },
      { kind: "refused", cause },
      { kind: "grant_dead", cause },
    ] as const) {
      const { one, server, handed } = bench();
      server.faults.push({ kind: "answer", outcome });
      await expect(one.imports.importLogin(handed)).rejects.toBeDefined();
      await expect(one.imports.importLogin(handed)).resolves.toMatchObject({ created: true });
    }
    const { one, server, handed, clock } = bench();
    server.refresh = () => Promise.reject(new Error("a mistake of the adapter"));
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    let presented = 0;
    server.refresh = async () => {
      presented += 1;
      return { kind: "grant_dead", cause };
    };
    const again = one.imports.importLogin(handed).catch((error: unknown) => error);
    await clock.advance(24_000);
    expect(presented).toBe(0);
    await clock.advance(2_000);
    expect(presented).toBe(1);
    expect(await again).toMatchObject({ code: "invalid_request" });
  });

  it("names the error code that the authorization server gave, where it gave one", async () => {
    for (const [errorCode, words] of [
      ["invalid_scope", "refresh_token was refused by the authorization server (invalid_scope)"],
      [undefined, "refresh_token was refused by the authorization server"],
    ] as const) {
      const { one, server, handed } = bench();
      server.faults.push({ kind: "answer", outcome: { kind: "refused", errorCode, cause } });
      await expect(one.imports.importLogin(handed)).rejects.toMatchObject({ details: { problems: [words] } });
    }
  });

  it("names all problems of the ID token at once", async () => {
    const { one, server, store, handed } = bench();
    const port = server.importPort();
    const problems = ["the first problem", "the second problem"];
    const imports = new Imports(
      one.core,
      { ...port, checkImport: async () => ({ kind: "rejected", problems }) },
      one.logins,
      store.importIntents,
    );
    await expect(imports.importLogin(handed)).rejects.toMatchObject({
      message: expect.stringContaining("the first problem; the second problem"),
      details: { problems },
    });
    expect(one.events).toEqual([{ event: "import_refused", problems: 2 }]);
  });

  it("since the reply is another user's revokes all that it brought, with an alarm (I7)", async () => {
    const { one, server, handed } = bench();
    server.faults.push({ kind: "subject", subject: "mallory" });
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({
      code: "invalid_request",
      details: { problems: [expect.stringContaining("another subject")] },
    });
    expect(server.revoked.map(({ kind }) => kind)).toEqual(["refresh_token", "access_token"]);
    expect(one.events).toContainEqual({ event: "identity_mismatch", issuer: server.issuer, problem: "another subject" });
  });

  it("since the reply is none can be tried again at once", async () => {
    const { one, server, handed } = bench({ rotates: false });
    server.verificationAnswer = { kind: "unreadable", problem: "HTML" };
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    server.verificationAnswer = undefined;
    await expect(one.imports.importLogin(handed)).resolves.toMatchObject({ created: true });
  });

  it("since its time was over before it could ask lets the next one ask", async () => {
    for (const [stalledMs, presentations] of [
      [20_000, 0],
      [19_999, 1],
    ] as const) {
      const { clock, server, store, handed, requests } = bench();
      const stalled = new Hold();
      const one = makeReplica({
        clock,
        server,
        store,
        concurrencyPerIssuer: 1,
        importIntents: {
          claim: async (intent, now) => {
            const claimed = await store.importIntents.claim(intent, now);
            await stalled.wait();
            return claimed;
          },
          release: (intent) => store.importIntents.release(intent),
        },
      });
      const result = one.imports.importLogin(handed).catch((error: unknown) => error);
      await clock.advance(stalledMs);
      stalled.open();
      await result;
      expect(requests.map(({ timeoutMs }) => timeoutMs)).toEqual(presentations === 0 ? [] : [1]);
      expect(one.core.issuers.mustGet("main").gate.isBusy).toBe(false);
      if (presentations === 0) expect(await one.imports.importLogin(handed)).toMatchObject({ created: true });
    }
  });
});

describe("an import whose reply waits", () => {
  it("for its verification is looked at thirteen times in all, while nobody else may present; then its tokens are revoked (I4)", async () => {
    const { clock, one, another, server, handed, requests } = bench();
    server.verificationAnswer = { kind: "unavailable", problem: "no keys", cause };
    const result = one.imports.importLogin(handed).catch((error: unknown) => error);
    await clock.advance(61_000);
    const other = another("replica-2")
      .imports.importLogin(handed)
      .catch((error: unknown) => error);
    await clock.advance(29_000);
    expect(requests).toHaveLength(1);
    await clock.advance(10 * 60_000);
    // The caller was told after a minute already; the import went on without it.
    expect(await result).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    expect(await other).toMatchObject({ code: "authorization_server_unavailable", retryAfterSeconds: 5 });
    expect(server.verifications).toBe(13);
    expect(server.revoked.map(({ kind }) => kind)).toEqual(["refresh_token", "access_token"]);
  });

  it("for the store is tried nine times in all; then its tokens are revoked, and the next import may present (I4)", async () => {
    const { clock, server, store, handed, requests } = bench();
    let inserts = 0;
    const loginSessions = hookedStore(store.loginSessions, {
      before: (operation) => {
        if (operation !== "insert") return;
        inserts += 1;
        throw storeAway();
      },
    });
    const one = makeReplica({ clock, server, store, loginSessions });
    const result = one.imports.importLogin(handed).catch((error: unknown) => error);
    await clock.advance(10 * 60_000);
    expect(await result).toMatchObject({ code: "store_unavailable" });
    expect(inserts).toBe(9);
    expect(server.revoked.map(({ kind }) => kind)).toEqual(["refresh_token", "access_token"]);
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({ code: "invalid_request" });
    expect(requests).toHaveLength(2);
  });
});

describe("a refresh token that is known here", () => {
  it("tells nothing to who shows another user's ID token, of this issuer or another (B10)", async () => {
    const { one, server, store, handed } = bench({ rotates: false });
    await one.imports.importLogin(handed);
    await expect(one.imports.importLogin({ ...handed, idToken: "id-bob-1" })).rejects.toMatchObject({
      code: "invalid_request",
      details: { problems: [expect.any(String)] },
    });
    const port = server.importPort();
    const imports = new Imports(
      one.core,
      {
        ...port,
        checkImport: async (request) => {
          const check = await port.checkImport(request);
          return check.kind === "ok" ? { ...check, principal: { ...check.principal, issuer: "https://other.example" } } : check;
        },
      },
      one.logins,
      store.importIntents,
    );
    await expect(imports.importLogin(handed)).rejects.toMatchObject({ code: "invalid_request" });
  });

  it.each(["login_required", "spent"] as const)("is a conflict that names the login session, and its state: %s", async (how) => {
    const { clock, one, server, handed } = bench({ rotates: how === "spent" });
    const { loginSession } = await one.imports.importLogin(handed);
    if (how === "login_required") {
      await clock.advance(31_000);
      server.faults.push({ kind: "answer", outcome: { kind: "grant_dead", cause } });
      await one.maintenance.maintain(loginSession.id);
    }
    await expect(one.imports.importLogin(handed)).rejects.toMatchObject({
      code: "conflict",
      details: { login: loginSession.handle, state: how === "spent" ? "live" : how },
    });
  });

  it("because another process has imported it meanwhile is the login session that this made; for another reason it is spent (F47)", async () => {
    const made = (change: (hash: RefreshTokenHash) => Partial<LoginSession>) => {
      const { clock, server, store, handed, requests } = bench();
      const one = makeReplica({
        clock,
        server,
        store,
        importIntents: {
          claim: async (intent) => {
            const principal = { issuer: server.issuer, subject: "alice", clientId: server.clientId };
            await store.loginSessions.insert(aLoginSession("a", { principal, ...change(intent.hash) }));
            return false;
          },
          release: async () => {},
        },
      });
      return { result: one.imports.importLogin(handed), requests };
    };
    const imported = made((hash) => ({ consumedRefreshTokenHash: hash, importedRefreshTokenHash: hash }));
    expect(await imported.result).toMatchObject({ created: false, loginSession: { handle: "ls_a" } });
    const spent = made((hash) => ({ consumedRefreshTokenHash: hash }));
    await expect(spent.result).rejects.toMatchObject({ code: "conflict", details: { login: "ls_a", state: "live" } });
    const current = made((hash) => ({ refreshTokenHash: hash }));
    expect(await current.result).toMatchObject({ created: false });
    expect([imported, spent, current].flatMap(({ requests }) => requests)).toEqual([]);
  });

  it("is looked for three times, before the claim, after it and before it is stored, when all goes well", async () => {
    const { clock, server, store, handed } = bench();
    let finds = 0;
    const loginSessions = hookedStore(store.loginSessions, {
      before: (operation) => {
        if (operation === "find") finds += 1;
      },
    });
    const one = makeReplica({ clock, server, store, loginSessions });
    await one.imports.importLogin(handed);
    expect(finds).toBe(3);
  });
});
