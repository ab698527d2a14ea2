import { describe, expect, it } from "vitest";
import type { AuthorizationServerRecord } from "../../src/session/authorization-server-record.ts";
import type { SharedStoreMaker } from "./shared-store.contract.ts";

function aRecord(id: string, more: Partial<AuthorizationServerRecord> = {}): AuthorizationServerRecord {
  return { kind: "RefreshToken", id, content: JSON.stringify({ accountId: "alice", id }), ...more };
}

/** What every store of the authorization server's state must do, seen by two processes on the same data (or one process twice). */
export function describeAuthorizationServerRecords(name: string, makeStores: SharedStoreMaker): void {
  async function open() {
    const { stores, now, advance } = await makeStores();
    return { one: stores[0].authorizationServerRecords, two: stores[1].authorizationServerRecords, now, advance };
  }

  describe(`${name}: records of the authorization server`, () => {
    it("are found by id, uid and user code, each within its kind, and whole", async () => {
      const { one, two, now } = await open();
      const record = aRecord("a", { grantId: "g", uid: "u", userCode: "WDJB-MJHT", expiresAt: now() + 10_000 });
      await one.put(record);
      expect(await two.get("RefreshToken", "a", now())).toEqual(record);
      expect(await two.getByUid("RefreshToken", "u", now())).toEqual(record);
      expect(await two.getByUserCode("RefreshToken", "WDJB-MJHT", now())).toEqual(record);
      expect(await two.get("AccessToken", "a", now())).toBeUndefined();
      expect(await two.getByUid("AccessToken", "u", now())).toBeUndefined();
      expect(await two.getByUserCode("RefreshToken", "u", now())).toBeUndefined();
      expect(await two.get("RefreshToken", "u", now())).toBeUndefined();
    });

    it("are replaced whole, old names included", async () => {
      const { one, two, now } = await open();
      await one.put(aRecord("a", { uid: "u1", grantId: "g1", expiresAt: now() + 1_000 }));
      const next = aRecord("a", { uid: "u2", content: "{}" });
      await two.put(next);
      expect(await one.get("RefreshToken", "a", now() + 5_000)).toEqual(next);
      expect(await one.getByUid("RefreshToken", "u1", now())).toBeUndefined();
      expect(await one.getByUid("RefreshToken", "u2", now())).toEqual(next);
      await one.removeByGrant("g1");
      expect(await two.get("RefreshToken", "a", now())).toEqual(next);
    });

    it("are absent once they have expired, by every name", async () => {
      const { one, now } = await open();
      const expiresAt = now() + 1_000;
      await one.put(aRecord("a", { uid: "u", userCode: "c", expiresAt }));
      for (const at of [expiresAt, expiresAt + 1]) {
        expect(await one.get("RefreshToken", "a", at)).toBeUndefined();
        expect(await one.getByUid("RefreshToken", "u", at)).toBeUndefined();
        expect(await one.getByUserCode("RefreshToken", "c", at)).toBeUndefined();
        expect(await one.consume("RefreshToken", "a", at)).toBe(false);
      }
      expect(await one.get("RefreshToken", "a", expiresAt - 1)).toBeDefined();
    });

    it("are used up by one of all that try, at one time and later (I1)", async () => {
      const { one, two, now } = await open();
      await one.put(aRecord("a", { expiresAt: now() + 10_000 }));
      const tries = await Promise.all(
        Array.from({ length: 12 }, (_, index) => (index % 2 ? one : two).consume("RefreshToken", "a", now())),
      );
      expect(tries.filter((won) => won)).toHaveLength(1);
      expect(await two.consume("RefreshToken", "a", now() + 1)).toBe(false);
      expect((await one.get("RefreshToken", "a", now()))?.consumedAt).toBe(now());
      expect(await one.consume("RefreshToken", "unknown", now())).toBe(false);
    });

    it("stay used up when they are put again with that, and are fresh when put without", async () => {
      const { one, two, now } = await open();
      await one.put(aRecord("a", { consumedAt: now() }));
      expect(await two.consume("RefreshToken", "a", now())).toBe(false);
      await one.put(aRecord("a"));
      expect(await two.consume("RefreshToken", "a", now())).toBe(true);
    });

    it("go one by one, or with their grant and nobody else's", async () => {
      const { one, two, now } = await open();
      await one.put(aRecord("a", { grantId: "g" }));
      await one.put({ ...aRecord("b", { grantId: "g" }), kind: "AccessToken" });
      await one.put(aRecord("c", { grantId: "h" }));
      await one.put(aRecord("d"));
      await two.remove("RefreshToken", "d");
      expect(await one.get("RefreshToken", "d", now())).toBeUndefined();
      await two.removeByGrant("g");
      expect(await one.get("RefreshToken", "a", now())).toBeUndefined();
      expect(await one.get("AccessToken", "b", now())).toBeUndefined();
      expect(await one.get("RefreshToken", "c", now())).toBeDefined();
      await two.remove("RefreshToken", "never there");
      await two.removeByGrant("never there");
    });

    it("may hold any text", async () => {
      const { one, two, now } = await open();
      const record = aRecord("ä \u0000'\"%_\\", { content: JSON.stringify("é\u0001😀".repeat(2_000)), uid: "ü:1", grantId: "g:*" });
      await one.put(record);
      expect(await two.get("RefreshToken", record.id, now())).toEqual(record);
      expect(await two.getByUid("RefreshToken", "ü:1", now())).toEqual(record);
    });
  });

  describe(`${name}: ids that may be used once`, () => {
    it("are used by one of all that try, until they are forgotten (F24)", async () => {
      const { stores, now } = await makeStores();
      const id = { kind: "logout_token", id: "jti-1", expiresAt: now() + 1_000 };
      const tries = await Promise.all(Array.from({ length: 10 }, (_, index) => (index % 2 ? stores[0] : stores[1]).usedIds.use(id, now())));
      expect(tries.filter((won) => won)).toHaveLength(1);
      expect(await stores[1].usedIds.use({ ...id, expiresAt: now() + 5_000 }, now() + 999)).toBe(false);
      expect(await stores[1].usedIds.use({ ...id, kind: "assertion" }, now())).toBe(true);
      expect(await stores[0].usedIds.use({ ...id, id: "jti-2" }, now())).toBe(true);
    });
  });
}
