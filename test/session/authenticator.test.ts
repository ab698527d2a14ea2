import { describe, expect, it } from "vitest";
import { ConnectionKeyAuthenticator } from "../../src/session/authenticator.ts";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { hashConnectionKey, newConnectionKey } from "../../src/session/random.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { storeAway } from "../support/hooked-store.ts";
import { ManualClock } from "../support/manual-clock.ts";

async function make(expiresInSeconds?: number) {
  const clock = new ManualClock();
  const store = new MemoryStore(() => clock.now());
  const key = newConnectionKey();
  const loginSessionId = "id-alice" as LoginSessionId;
  const expiresAt = expiresInSeconds === undefined ? undefined : clock.now() + expiresInSeconds * 1000;
  await store.connectionKeys.insert(
    { id: "k1", hash: hashConnectionKey(key), loginSessionId, name: "laptop", createdAt: clock.now(), expiresAt },
    20,
  );
  return { clock, store, key, loginSessionId, authenticator: new ConnectionKeyAuthenticator(store.connectionKeys, clock) };
}

describe("a connection key (B4)", () => {
  it("proves its one login session, by its hash: the key itself is kept nowhere", async () => {
    const { authenticator, key, loginSessionId, store } = await make();
    for (const scheme of ["Bearer", "bearer", "BEARER", "Bearer  "])
      expect(await authenticator.authenticate(`${scheme} ${key}`)).toEqual({
        kind: "authenticated",
        credential: { kind: "connection_key", keyId: "k1", loginSessionId, expiresAt: undefined },
      });
    expect(JSON.stringify(await store.connectionKeys.listByLoginSession(loginSessionId))).not.toContain(key);
  });

  it.each([undefined, ""])("that is not there is missing: %j", async (header) => {
    const { authenticator } = await make();
    expect(await authenticator.authenticate(header)).toEqual({ kind: "missing" });
  });

  it.each([
    "Basic YWxpY2U6YWxpY2U=",
    "Bearer",
    "Bearer ",
    "Bearer two words",
    "Bearer é",
    "xBearer lk_key",
    "Bearerlk_key",
    `Bearer ${"a".repeat(5_000)}`,
    "lk_key",
  ])("in a header of another form is invalid: %s", async (header) => {
    const { authenticator } = await make();
    expect(await authenticator.authenticate(header)).toMatchObject({ kind: "invalid" });
  });

  it("behind anything else is invalid, though the key is a good one", async () => {
    const { authenticator, key } = await make();
    for (const header of [`xBearer ${key}`, ` Bearer ${key}`, `Basic x, Bearer ${key}`, `Bearer ${key} `])
      expect(await authenticator.authenticate(header)).toMatchObject({ kind: "invalid" });
  });

  it("of the longest form, 4,096 characters, is looked up", async () => {
    const { authenticator } = await make();
    const longest = await authenticator.authenticate(`Bearer ${"a".repeat(4_096)}`);
    expect(longest).toMatchObject({ kind: "invalid", problem: expect.stringContaining("unknown") });
    const longer = await authenticator.authenticate(`Bearer ${"a".repeat(4_097)}`);
    expect(longer).toMatchObject({ kind: "invalid", problem: expect.stringContaining("not a bearer credential") });
  });

  it("that is unknown or was removed is invalid, and the problem does not repeat it (B10)", async () => {
    const { authenticator, key, loginSessionId, store } = await make();
    const unknown = newConnectionKey();
    const answer = await authenticator.authenticate(`Bearer ${unknown}`);
    expect(answer).toMatchObject({ kind: "invalid" });
    expect(JSON.stringify(answer)).not.toContain(unknown);
    await store.connectionKeys.remove(loginSessionId, "k1");
    expect(await authenticator.authenticate(`Bearer ${key}`)).toMatchObject({ kind: "invalid" });
  });

  it("ends at its time, to the millisecond", async () => {
    const { authenticator, key, clock } = await make(60);
    await clock.advance(59_999);
    expect(await authenticator.authenticate(`Bearer ${key}`)).toMatchObject({
      kind: "authenticated",
      credential: { expiresAt: clock.now() + 1 },
    });
    await clock.advance(1);
    expect(await authenticator.authenticate(`Bearer ${key}`)).toMatchObject({
      kind: "invalid",
      problem: expect.stringContaining("expired"),
    });
  });

  it("is neither good nor bad while the store cannot be reached", async () => {
    const { clock } = await make();
    const authenticator = new ConnectionKeyAuthenticator(
      {
        insert: async () => {},
        getByHash: async () => {
          throw storeAway();
        },
        listByLoginSession: async () => [],
        remove: async () => false,
        removeByLoginSession: async () => {},
      },
      clock,
    );
    await expect(authenticator.authenticate("Bearer lk_any")).rejects.toMatchObject({ code: "store_unavailable" });
  });
});
