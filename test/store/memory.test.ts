import { describe, expect, it } from "vitest";
import { hashBrowserCookie } from "../../src/session/random.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { describeAuthorizationServerRecords } from "../contract/authorization-server-records.contract.ts";
import { describeLoginSessionStore } from "../contract/login-session-store.contract.ts";
import { describeOtherStores } from "../contract/other-stores.contract.ts";
import { describeProfiles } from "../contract/profiles.contract.ts";
import { aLoginSession } from "../session/records.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

describeLoginSessionStore("the memory store", async () => {
  const store = new MemoryStore(() => 0);
  return { store: store.loginSessions, settle, close: () => store.close() };
});

describeOtherStores("the memory store", async () => {
  const clock = new ManualClock();
  return { store: new MemoryStore(() => clock.now()), now: () => clock.now(), advance: (ms) => clock.advance(ms) };
});

for (const describeStores of [describeAuthorizationServerRecords, describeProfiles])
  describeStores("the memory store", async () => {
    const clock = new ManualClock();
    const store = new MemoryStore(() => clock.now());
    return { stores: [store, store], now: () => clock.now(), advance: (ms) => clock.advance(ms) };
  });

describe("the memory store", () => {
  it("drops what has expired while it is used (I16)", async () => {
    const clock = new ManualClock();
    const store = new MemoryStore(() => clock.now());
    for (let each = 0; each < 1_000; each += 1) {
      const expiresAt = clock.now() + 10_000;
      await store.loginTransactions.insert({
        state: `s${each}`,
        authorizationServer: "main",
        nonce: "n",
        codeVerifier: "v",
        redirectUri: "r",
        browserBinding: "b",
        expiresAt,
      });
      const next = {
        key: hashBrowserCookie(`c${each}`),
        loginSessionIds: [],
        createdAt: 0,
        expiresAt,
        madeBy: `l${each}`,
        signedInAt: clock.now(),
      };
      await store.browserSessions.signIn({ previous: undefined, next, loginCookies: [], since: 0 });
      clock.jumpWall(1_000);
    }
    expect(store.sizes()).toMatchObject({ loginTransactions: 10, browserSessions: 10 });
  });

  it("hands out records that cannot be changed (I5)", async () => {
    const store = new MemoryStore(() => 0);
    await store.loginSessions.insert(aLoginSession("a"));
    const record = await store.loginSessions.get(aLoginSession("a").id);
    expect(() => Object.assign(record ?? {}, { state: "ended" })).toThrow(TypeError);
  });
});
