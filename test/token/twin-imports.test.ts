import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LatchkeyError } from "../../src/errors.ts";
import type { LoginSession, RefreshToken } from "../../src/session/login-session.ts";
import type { ImportIntentStore } from "../../src/session/store.ts";
import type { ImportResult } from "../../src/token/import-answers.ts";
import { Imports } from "../../src/token/imports.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, makeReplica, type Replica } from "../support/token-bench.ts";

/** As for replicas whose clocks are an hour apart: each finds that the other's intent has expired. */
const bothClaim: ImportIntentStore = { claim: async () => true, release: async () => {} };

/** What the authorization server makes of the second presentation. */
const servers = { "answers the same successor within its grace": { graceMs: 60_000 }, "does not rotate": { rotates: false } } as const;

/** Two replicas that both present one refresh token; the second has its reply in hand, and has looked, when the first stores. */
async function twins(model: (typeof servers)[keyof typeof servers] = { graceMs: 60_000 }, idTokens = ["id-alice-1", "id-alice-1"]) {
  const { clock, server, store } = makeBench(model);
  const inserts = new Hold();
  const [first, second] = ["one", "two"].map((owner) =>
    makeReplica({
      ...{ clock, server, store, owner, importIntents: bothClaim },
      loginSessions: hookedStore(store.loginSessions, {
        before: (operation) => (operation === "insert" ? inserts.wait() : undefined),
      }),
    }),
  ) as [Replica, Replica];
  const refreshToken = String(server.signIn("alice").tokens.refreshToken);
  const results = [first, second].map((replica, index) =>
    replica.imports.importLogin({ idToken: idTokens[index] ?? "", refreshToken }).catch((error: LatchkeyError) => error),
  ) as [Promise<ImportResult>, Promise<ImportResult | LatchkeyError>];
  await settle();
  expect(server.presentations).toHaveLength(2);
  expect(inserts.size).toBe(2);
  /** Lets the one store. */
  const storeNext = async (): Promise<void> => {
    inserts.letOne();
    await settle();
    await clock.advance(1_000);
  };
  return { clock, server, store, first, second, results, storeNext };
}

describe("one refresh token that two replicas have presented, since their clocks are apart", () => {
  it.each(Object.entries(servers))(
    "is one login session, and nothing of its family is revoked: the server %s (F47, I3)",
    async (_, model) => {
      const { server, store, first, second, results, storeNext } = await twins(model);
      await storeNext();
      const made = await results[0];
      expect(made).toMatchObject({ created: true });
      await storeNext();
      expect(await results[1]).toMatchObject({ created: false, loginSession: { handle: made.loginSession.handle } });
      expect(store.sizes()).toMatchObject({ records: 1 });
      expect(server.revoked).toEqual([]);
      expect(server.isActive(made.loginSession.refreshToken)).toBe(true);
      expect(first.events.map(({ event }) => event)).toContain("login_imported");
      expect(second.events).toContainEqual(expect.objectContaining({ event: "late_reply_dropped", login: made.loginSession.handle }));
      expect(second.events.map(({ event }) => event)).not.toContain("login_imported");
    },
  );

  it("is revoked by the second as well if the login session has ended meanwhile, and said to be over (I4)", async () => {
    const { store, first, second, results, storeNext } = await twins();
    await storeNext();
    const { loginSession } = await results[0];
    await first.logout.end(loginSession.id, "logout");
    await storeNext();
    expect(await results[1]).toMatchObject({ code: "conflict", details: { login: loginSession.handle, state: "ended" } });
    expect(second.events.filter(({ event }) => event === "late_reply_revoked" || event === "revocation_done")).toMatchObject([
      { event: "late_reply_revoked", tokens: 2 },
      { event: "revocation_done", token: "refresh_token" },
      { event: "revocation_done", token: "access_token" },
    ]);
    expect(store.sizes()).toMatchObject({ records: 1 });
  });

  it("is not revoked by the second when the store goes away before it can look whose the record is", async () => {
    const { clock, server, store } = makeBench({ graceMs: 60_000 });
    let isAway = false;
    const inserts = new Hold();
    const second = makeReplica({
      ...{ clock, server, store, owner: "two", importIntents: bothClaim },
      loginSessions: hookedStore(store.loginSessions, {
        before: async (operation) => {
          if (isAway) throw storeAway();
          if (operation === "insert") await inserts.wait();
        },
      }),
    });
    const first = makeReplica({ clock, server, store, owner: "one", importIntents: bothClaim });
    const handed = { idToken: "id-alice-1", refreshToken: String(server.signIn("alice").tokens.refreshToken) };
    const late = second.imports.importLogin(handed).catch((error: unknown) => error);
    await settle();
    // The first began when the second had looked, and found nothing either.
    const { loginSession } = await first.imports.importLogin(handed);
    inserts.letOne();
    isAway = true;
    await clock.advance(120_000);
    expect(await late).toMatchObject({ code: "store_unavailable" });
    expect(server.revoked).toEqual([]);
    expect(server.isActive(loginSession.refreshToken)).toBe(true);
  });

  it("tells nothing of the login session to who shows another user's ID token (B10)", async () => {
    const { clock, server, store, one } = makeBench({ rotates: false });
    const port = server.importPort();
    const refreshToken = String(server.signIn("alice").tokens.refreshToken) as RefreshToken;
    const { loginSession } = await one.imports.importLogin({ idToken: "id-alice-1", refreshToken });
    const other = makeReplica({ clock, server, store, owner: "two" });
    // A reply without an ID token, from a server without userinfo: nothing in it says whose it is.
    const intent = { hash: one.core.hash(refreshToken), owner: "kept", expiresAt: clock.now() };
    const { principal } = server.signIn("bob");
    const body = JSON.stringify({ access_token: "at-of-nobody", expires_in: 30 });
    const kept = { kind: "import", id: "kept", intent, refreshToken, authorizationServer: "main", principal } as const;
    const tokens = { accessToken: "at-of-nobody" as LoginSession["accessTokens"][number]["accessToken"], expiresInSeconds: 30 };
    const imports = new Imports(
      other.core,
      { ...port, identify: async () => ({ kind: "verified", tokens }) as never },
      other.logins,
      store.importIntents,
    );
    const result = imports.resume({ ...kept, profile: {}, sentAt: clock.now(), receivedAt: clock.now(), body });
    await expect(result).rejects.toMatchObject({ code: "invalid_request" });
    expect(server.isActive(loginSession.refreshToken)).toBe(true);
  });

  it("is one login session, alive, at every interleaving of both with the store (property; F47, I3)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.constantFrom(...Object.values(servers)), async (scheduler, model) => {
        const held = (label: string) => scheduler.schedule(Promise.resolve(), label);
        const { clock, server, store } = makeBench(model);
        const replicas = ["one", "two", "three"].map((owner) =>
          makeReplica({
            ...{ clock, server, store, owner, importIntents: bothClaim },
            loginSessions: hookedStore(store.loginSessions, {
              before: (operation) => held(operation),
              after: (operation) => held(operation),
            }),
          }),
        );
        const handed = { idToken: "id-alice-1", refreshToken: String(server.signIn("alice").tokens.refreshToken) };
        const handles: string[] = [];
        const created: boolean[] = [];
        for (const replica of replicas)
          void replica.imports.importLogin(handed).then(
            (result) => {
              handles.push(String(result.loginSession.handle));
              created.push(result.created);
            },
            (error: LatchkeyError) => handles.push(String(error.details.login)),
          );
        for (let turn = 0; handles.length < 3 && turn < 50; turn += 1) {
          await scheduler.waitIdle();
          await clock.advance(250);
        }
        expect(handles).toHaveLength(3);
        expect(new Set(handles).size).toBe(1);
        expect(created.filter((each) => each)).toHaveLength(1);
        expect(store.sizes()).toMatchObject({ records: 1 });
        expect(server.revoked).toEqual([]);
        const record = await store.loginSessions.getByRefreshTokenHash(
          replicas[0]?.core.hash(handed.refreshToken as RefreshToken) ?? ("" as never),
        );
        expect(server.isActive(record?.refreshToken)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});
