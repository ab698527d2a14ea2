import { describe, expect, it } from "vitest";
import type { LoginSession, LoginSessionHandle, LoginSessionId, RefreshTokenHash } from "../../src/session/login-session.ts";
import type { LoginSessionChange, LoginSessionStore } from "../../src/session/store.ts";
import { aLoginSession, inState } from "../session/records.ts";

/** Makes an empty store; `close` is called after each test. `settle` waits until changes have been told. */
export type LoginSessionStoreMaker = () => Promise<{
  readonly store: LoginSessionStore;
  readonly settle: () => Promise<void>;
  readonly close: () => Promise<void>;
}>;

/** What every store of login sessions must do. Each adapter runs it. */
export function describeLoginSessionStore(name: string, makeStore: LoginSessionStoreMaker): void {
  async function withStore(test: (store: LoginSessionStore, settle: () => Promise<void>) => Promise<void>): Promise<void> {
    const { store, settle, close } = await makeStore();
    try {
      await test(store, settle);
    } finally {
      await close();
    }
  }

  describe(`${name}: records`, () => {
    it("gives back exactly what was inserted, by id, handle and refresh token", () =>
      withStore(async (store) => {
        const record = aLoginSession("a", {
          pending: {
            attemptId: "attempt" as LoginSession["attempts"][number]["id"],
            target: { resource: "https://api.example", scopes: ["b", "a"] },
            sentAt: 1,
            receivedAt: 2,
            body: '{"access_token":"x"}',
            verificationTries: 1,
            nextVerificationAt: 3,
          },
          consumedRefreshTokenHash: "hash-consumed" as RefreshTokenHash,
          debts: [
            { kind: "refresh_token", token: "rt-old" as NonNullable<LoginSession["refreshToken"]>, tries: 2, nextTryAt: 5, expiresAt: 9 },
          ],
        });
        await store.insert(record);
        expect(await store.get(record.id)).toEqual(record);
        expect(await store.getByHandle(record.handle)).toEqual(record);
        expect(await store.getByRefreshTokenHash("hash-of-rt-a" as RefreshTokenHash)).toEqual(record);
        expect(await store.getByRefreshTokenHash("hash-consumed" as RefreshTokenHash)).toEqual(record);
      }));

    it("knows nothing that it was not given", () =>
      withStore(async (store) => {
        expect(await store.get("id-x" as LoginSessionId)).toBeUndefined();
        expect(await store.getByHandle("ls_x" as LoginSessionHandle)).toBeUndefined();
        expect(await store.getByRefreshTokenHash("x" as RefreshTokenHash)).toBeUndefined();
        expect(await store.listByUser("https://as.example", "alice")).toEqual([]);
        expect(await store.remove("id-x" as LoginSessionId, 1)).toBe(false);
        expect(await store.commit(aLoginSession("x", { version: 2 }))).toEqual({ committed: false, current: undefined });
      }));

    it("refuses a second record of the same id or handle, and keeps the first", () =>
      withStore(async (store) => {
        const record = aLoginSession("a");
        await store.insert(record);
        await expect(store.insert({ ...aLoginSession("b"), id: record.id })).rejects.toMatchObject({ code: "conflict" });
        await expect(store.insert({ ...aLoginSession("b"), handle: record.handle })).rejects.toMatchObject({ code: "conflict" });
        expect(await store.get(record.id)).toEqual(record);
        expect(await store.getByRefreshTokenHash("hash-of-rt-b" as RefreshTokenHash)).toBeUndefined();
      }));

    it("refuses a second record of one imported refresh token until the first is removed, also when that has ended (F47)", () =>
      withStore(async (store) => {
        const importedRefreshTokenHash = "hash-imported" as RefreshTokenHash;
        const first = aLoginSession("a", { importedRefreshTokenHash });
        const second = aLoginSession("b", { importedRefreshTokenHash });
        await store.insert(first);
        await expect(store.insert(second)).rejects.toMatchObject({ code: "conflict" });
        expect(await store.get(second.id)).toBeUndefined();
        expect(await store.getByHandle(second.handle)).toBeUndefined();
        const ended = inState(first, "ended");
        await store.commit(ended);
        await expect(store.insert(second)).rejects.toMatchObject({ code: "conflict" });
        await store.insert(aLoginSession("c", { importedRefreshTokenHash: "hash-other" as RefreshTokenHash }));
        expect(await store.remove(first.id, ended.version)).toBe(true);
        await store.insert(second);
        expect(await store.getByRefreshTokenHash(importedRefreshTokenHash)).toEqual(second);
      }));

    it("takes a record whose imported refresh token another one has as its current or consumed one", () =>
      withStore(async (store) => {
        const consumedRefreshTokenHash = "hash-consumed" as RefreshTokenHash;
        await store.insert(aLoginSession("a", { consumedRefreshTokenHash }));
        await store.insert(aLoginSession("b", { importedRefreshTokenHash: "hash-of-rt-a" as RefreshTokenHash }));
        await store.insert(aLoginSession("c", { importedRefreshTokenHash: consumedRefreshTokenHash }));
        expect((await store.listByUser("https://as.example", "alice")).length).toBe(3);
      }));

    it("adds one of many records of one imported refresh token that come at one time (F47)", () =>
      withStore(async (store) => {
        const importedRefreshTokenHash = "hash-imported" as RefreshTokenHash;
        const results = await Promise.allSettled(
          Array.from({ length: 10 }, (_, index) => store.insert(aLoginSession(`r${index}`, { importedRefreshTokenHash }))),
        );
        expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
        for (const result of results) if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "conflict" });
        expect(await store.listByUser("https://as.example", "alice")).toHaveLength(1);
      }));

    it("lists one user's, the newest first, the ended included, and nobody else's", () =>
      withStore(async (store) => {
        const a = aLoginSession("a", { createdAt: 1 });
        const b = aLoginSession("b", { createdAt: 3 });
        const c = inState(aLoginSession("c", { createdAt: 2, version: 0 }), "ended");
        const sameMoment = aLoginSession("d", { createdAt: 3 });
        const others = [
          aLoginSession("e", { principal: { issuer: "https://as.example", subject: "bob", clientId: "client" } }),
          aLoginSession("f", { principal: { issuer: "https://other.example", subject: "alice", clientId: "client" } }),
        ];
        for (const record of [a, b, c, sameMoment, ...others]) await store.insert(record);
        expect((await store.listByUser("https://as.example", "alice")).map((each) => each.id)).toEqual([sameMoment.id, b.id, c.id, a.id]);
      }));

    it("lists those of one session at the authorization server, the newest first, by the sid of their last sign-in (F24)", () =>
      withStore(async (store) => {
        const of = (sid: string | undefined, issuer = "https://as.example"): Partial<LoginSession> => ({
          principal: { issuer, subject: "alice", clientId: "client", sid },
        });
        const a = aLoginSession("a", { ...of("sid-1"), createdAt: 1 });
        const b = aLoginSession("b", { ...of("sid-1"), createdAt: 2 });
        const others = [of("sid-2"), of(undefined), of("sid-1", "https://other.example")];
        for (const record of [a, b, ...others.map((other, index) => aLoginSession(`o${index}`, other))]) await store.insert(record);
        expect(await store.listBySid("https://as.example", "sid-1")).toEqual([b, a]);
        expect(await store.listBySid("https://as.example sid-1", "")).toEqual([]);
        // A sign-in that repairs brings another session.
        const repaired = { ...a, ...of("sid-3"), version: a.version + 1 };
        expect(await store.commit(repaired)).toEqual({ committed: true });
        expect(await store.listBySid("https://as.example", "sid-1")).toEqual([b]);
        expect(await store.listBySid("https://as.example", "sid-3")).toEqual([repaired]);
        expect(await store.remove(a.id, repaired.version)).toBe(true);
        expect(await store.listBySid("https://as.example", "sid-3")).toEqual([]);
      }));

    it("keeps issuer and subject apart however they are written", () =>
      withStore(async (store) => {
        await store.insert(aLoginSession("a", { principal: { issuer: "https://as.example", subject: "x y", clientId: "c" } }));
        expect(await store.listByUser("https://as.example x", "y")).toEqual([]);
        expect(await store.listByUser("https://as.example", "x y")).toHaveLength(1);
      }));
  });

  describe(`${name}: compare-and-set`, () => {
    it("replaces the record whole when the version is the next one (I3, I5)", () =>
      withStore(async (store) => {
        const record = aLoginSession("a");
        await store.insert(record);
        const next = inState(record, "ended");
        expect(await store.commit(next)).toEqual({ committed: true });
        expect(await store.get(record.id)).toEqual(next);
      }));

    it("refuses every other version and says what is there (I3)", () =>
      withStore(async (store) => {
        const record = aLoginSession("a", { version: 5 });
        await store.insert(record);
        for (const version of [1, 4, 5, 7])
          expect(await store.commit({ ...record, version, generation: 9 })).toEqual({ committed: false, current: record });
        expect(await store.get(record.id)).toEqual(record);
      }));

    it("lets exactly one of many win (I1, I3)", () =>
      withStore(async (store) => {
        const record = aLoginSession("a");
        await store.insert(record);
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, index) => store.commit({ ...record, version: 2, nextDueAt: index })),
        );
        const winners = results.flatMap((result, index) => (result.committed ? [index] : []));
        expect(winners).toHaveLength(1);
        expect((await store.get(record.id))?.nextDueAt).toBe(winners[0]);
      }));

    it("shows a writer whose acknowledgement was lost that the record is its own, and writes it once (F10)", () =>
      withStore(async (store) => {
        const record = aLoginSession("a");
        await store.insert(record);
        const claimed = inState(record, "refreshing");
        await store.commit(claimed);
        // The same again, as after an answer that never came: refused, and what is there carries the writer's attempt.
        const again = await store.commit(claimed);
        expect(again).toEqual({ committed: false, current: claimed });
        expect(again.committed ? [] : again.current?.attempts.map(({ id }) => id)).toEqual(claimed.attempts.map(({ id }) => id));
        expect((await store.get(record.id))?.version).toBe(2);
      }));

    it("knows the refresh token that an import brought for good (F47)", () =>
      withStore(async (store) => {
        const record = aLoginSession("a", { importedRefreshTokenHash: "hash-imported" as RefreshTokenHash });
        await store.insert(record);
        const next: LoginSession = {
          ...record,
          version: 2,
          refreshTokenHash: "hash-2" as RefreshTokenHash,
          consumedRefreshTokenHash: "hash-1" as RefreshTokenHash,
        };
        await store.commit(next);
        expect(await store.getByRefreshTokenHash("hash-imported" as RefreshTokenHash)).toEqual(next);
      }));

    it("forgets the refresh tokens that the record no longer names", () =>
      withStore(async (store) => {
        const record = aLoginSession("a");
        await store.insert(record);
        const second: LoginSession = {
          ...record,
          version: 2,
          refreshTokenHash: "hash-2" as RefreshTokenHash,
          consumedRefreshTokenHash: record.refreshTokenHash,
        };
        await store.commit(second);
        expect(await store.getByRefreshTokenHash("hash-of-rt-a" as RefreshTokenHash)).toEqual(second);
        await store.commit({
          ...second,
          version: 3,
          refreshTokenHash: "hash-3" as RefreshTokenHash,
          consumedRefreshTokenHash: "hash-2" as RefreshTokenHash,
        });
        expect(await store.getByRefreshTokenHash("hash-of-rt-a" as RefreshTokenHash)).toBeUndefined();
        expect((await store.getByRefreshTokenHash("hash-2" as RefreshTokenHash))?.id).toBe(record.id);
        expect((await store.getByRefreshTokenHash("hash-3" as RefreshTokenHash))?.id).toBe(record.id);
      }));

    it("removes at the named version only, and everything of it", () =>
      withStore(async (store) => {
        const record = aLoginSession("a");
        await store.insert(record);
        expect(await store.remove(record.id, 2)).toBe(false);
        expect(await store.remove(record.id, 1)).toBe(true);
        expect(await store.remove(record.id, 1)).toBe(false);
        expect(await store.get(record.id)).toBeUndefined();
        expect(await store.getByHandle(record.handle)).toBeUndefined();
        expect(await store.getByRefreshTokenHash("hash-of-rt-a" as RefreshTokenHash)).toBeUndefined();
        expect(await store.listByUser("https://as.example", "alice")).toEqual([]);
        expect(await store.claimDue(1_000_000, 10, 1)).toEqual([]);
        expect(await store.commit({ ...record, version: 2 })).toEqual({ committed: false, current: undefined });
      }));

    it("does not change what a reader holds when the record changes (I5)", () =>
      withStore(async (store) => {
        const record = aLoginSession("a");
        await store.insert(record);
        const held = await store.get(record.id);
        const copy = structuredClone(held);
        await store.commit(inState(record, "ended"));
        expect(held).toEqual(copy);
      }));
  });

  describe(`${name}: what is due`, () => {
    it("is claimed from its moment on, the soonest first, up to the limit", () =>
      withStore(async (store) => {
        for (const [each, nextDueAt] of [
          ["a", 300],
          ["b", 100],
          ["c", 200],
          ["d", 5_000],
          ["e", undefined],
        ] as const)
          await store.insert(aLoginSession(each, { nextDueAt }));
        expect(await store.claimDue(99, 10, 1_000)).toEqual([]);
        expect(await store.claimDue(400, 2, 10_000)).toEqual(["id-b", "id-c"]);
        expect(await store.claimDue(400, 2, 10_000)).toEqual(["id-a"]);
        expect(await store.claimDue(400, 2, 10_000)).toEqual([]);
      }));

    it("is never claimed twice within its lease, and again after it", () =>
      withStore(async (store) => {
        for (let each = 0; each < 50; each += 1) await store.insert(aLoginSession(`r${each}`, { nextDueAt: each }));
        const claims = await Promise.all(Array.from({ length: 10 }, () => store.claimDue(100, 10, 1_000)));
        const ids = claims.flat();
        expect(ids).toHaveLength(50);
        expect(new Set(ids).size).toBe(50);
        expect(await store.claimDue(1_099, 10, 1_000)).toEqual([]);
        expect(await store.claimDue(1_100, 100, 1_000)).toHaveLength(50);
      }));

    it("follows each commit, a claim's lease included", () =>
      withStore(async (store) => {
        const record = aLoginSession("a", { nextDueAt: 100 });
        await store.insert(record);
        expect(await store.claimDue(100, 10, 60_000)).toEqual([record.id]);
        await store.commit({ ...record, version: 2, nextDueAt: 200 });
        expect(await store.claimDue(199, 10, 60_000)).toEqual([]);
        expect(await store.claimDue(200, 10, 60_000)).toEqual([record.id]);
        await store.commit({ ...record, version: 3, nextDueAt: undefined });
        expect(await store.claimDue(10_000_000, 10, 60_000)).toEqual([]);
      }));

    it("is claimed at once when a commit says so, whatever lease there was", () =>
      withStore(async (store) => {
        const record = aLoginSession("a", { nextDueAt: 100 });
        await store.insert(record);
        await store.claimDue(100, 10, 60_000);
        await store.commit({ ...record, version: 2, nextDueAt: 50 });
        expect(await store.claimDue(100, 10, 60_000)).toEqual([record.id]);
      }));

    it("comes after its lease in the order of the others, to the fraction of a millisecond", () =>
      withStore(async (store) => {
        await store.insert(aLoginSession("a", { nextDueAt: 0.5 }));
        await store.insert(aLoginSession("b", { nextDueAt: 900.25 }));
        await store.insert(aLoginSession("c", { nextDueAt: 900.75 }));
        expect(await store.claimDue(1, 10, 899.5)).toEqual(["id-a"]);
        expect(await store.claimDue(900.4, 10, 1_000)).toEqual(["id-b"]);
        expect(await store.claimDue(1_000, 10, 1_000)).toEqual(["id-a", "id-c"]);
      }));

    it("moves when the wall clock was set back (F25)", () =>
      withStore(async (store) => {
        await store.insert(aLoginSession("a", { nextDueAt: 3_700_000 }));
        await store.insert(aLoginSession("b", { nextDueAt: 3_800_000 }));
        await store.insert(aLoginSession("never", { nextDueAt: undefined }));
        await store.shiftDue(-3_600_000);
        expect(await store.claimDue(99_999, 10, 1)).toEqual([]);
        expect(await store.claimDue(100_000, 10, 1_000_000)).toEqual(["id-a"]);
        expect(await store.claimDue(200_000, 10, 1_000_000)).toEqual(["id-b"]);
      }));

    it("may lie years ahead (F19)", () =>
      withStore(async (store) => {
        const tenYears = 10 * 365 * 86_400_000;
        await store.insert(aLoginSession("a", { nextDueAt: tenYears }));
        expect(await store.claimDue(tenYears - 1, 10, 1)).toEqual([]);
        expect(await store.claimDue(tenYears, 10, 1)).toEqual(["id-a"]);
      }));
  });

  describe(`${name}: changes`, () => {
    it("are told in their order, once each, a removal as version 0, and no longer after stopping", () =>
      withStore(async (store, settle) => {
        const told: LoginSessionChange[] = [];
        const stop = store.subscribe((change) => void told.push(change));
        const record = aLoginSession("a");
        await store.insert(record);
        const next = inState(record, "ended");
        await store.commit(next);
        await store.commit(next);
        await store.remove(record.id, 2);
        await settle();
        expect(told).toEqual([
          { id: record.id, version: 1 },
          { id: record.id, version: 2 },
          { id: record.id, version: 0 },
        ]);
        stop();
        await store.insert(aLoginSession("b"));
        await settle();
        expect(told).toHaveLength(3);
      }));

    it("are told when the record can be read at that version already", () =>
      withStore(async (store, settle) => {
        const reads: Promise<number | undefined>[] = [];
        const stop = store.subscribe(({ id }) => void reads.push(store.get(id).then((record) => record?.version)));
        const record = aLoginSession("a");
        await store.insert(record);
        await settle();
        expect(await Promise.all(reads)).toEqual([1]);
        await store.commit({ ...record, version: 2 });
        await settle();
        expect(await Promise.all(reads)).toEqual([1, 2]);
        stop();
      }));
  });
}
