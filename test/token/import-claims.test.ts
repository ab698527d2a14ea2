import { describe, expect, it } from "vitest";
import type { ImportIntent } from "../../src/session/import-intent.ts";
import type { RefreshTokenHash } from "../../src/session/login-session.ts";
import { ImportClaims } from "../../src/token/import-claims.ts";
import { aLoginSession } from "../session/records.ts";
import { settle } from "../support/manual-clock.ts";
import { makeBench } from "../support/token-bench.ts";

const hash = "hash-of-rt-a" as RefreshTokenHash;

/** Claims over a store of intents that says what it was asked, and answers as it is told. */
function makeWorld() {
  const { clock, one, store } = makeBench({}, { concurrencyPerIssuer: 1 });
  const claimed: { intent: ImportIntent; now: number }[] = [];
  const released: Pick<ImportIntent, "hash" | "owner">[] = [];
  const intents = { answer: async (): Promise<boolean> => true, release: async (): Promise<void> => {} };
  const claims = new ImportClaims(one.core, {
    claim: (intent, now) => {
      claimed.push({ intent, now });
      return intents.answer();
    },
    release: (intent) => {
      released.push(intent);
      return intents.release();
    },
  });
  const { gate } = one.core.issuers.mustGet("main");
  return { clock, one, store, claims, claimed, released, intents, gate };
}

describe("the claim of an import (I1, I2)", () => {
  it("is written with the ticket in hand, for the time of one presentation and its settlement", async () => {
    const { clock, claims, claimed, released, gate } = makeWorld();
    await clock.advance(1_000);
    const claim = await claims.claim("main", hash);
    const intent = { hash, owner: expect.any(String), expiresAt: clock.now() + 25_000 };
    expect(claimed).toEqual([{ intent, now: clock.now() }]);
    expect(claim).toMatchObject({ kind: "ours", intent, claimedAt: clock.monotonic() });
    expect(gate.isBusy).toBe(true);
    expect(released).toEqual([]);
  });

  it("goes before the heartbeat: a user is waiting", async () => {
    const { claims, claimed, gate } = makeWorld();
    const ticket = await gate.enter("user", 0).entered;
    void gate.enter("heartbeat", 0);
    void claims.claim("main", hash);
    await settle();
    expect(claimed).toEqual([]);
    ticket.leave({ kind: "neutral" });
    await settle();
    expect(claimed).toHaveLength(1);
  });

  it("that another holds is asked for four times a second, always by the same owner, and the gate is free meanwhile", async () => {
    const { clock, claims, claimed, released, intents, gate } = makeWorld();
    intents.answer = async () => false;
    const claim = claims.claim("main", hash);
    await settle();
    await clock.advance(249);
    expect(claimed).toHaveLength(1);
    expect(gate.isBusy).toBe(false);
    await clock.advance(1);
    expect(claimed).toHaveLength(2);
    expect(new Set(claimed.map(({ intent }) => intent.owner)).size).toBe(1);
    expect(released).toHaveLength(2);
    intents.answer = async () => true;
    await clock.advance(250);
    expect(await claim).toMatchObject({ kind: "ours" });
    expect(released).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  it("is given up after half a minute", async () => {
    const { clock, claims, intents, gate } = makeWorld();
    intents.answer = async () => false;
    const said: unknown[] = [];
    void claims.claim("main", hash).catch((error: unknown) => said.push(error));
    await clock.advance(29_999);
    expect(said).toEqual([]);
    await clock.advance(1);
    expect(said).toMatchObject([{ code: "authorization_server_unavailable", retryable: true, retryAfterSeconds: 5 }]);
    expect(gate.isBusy).toBe(false);
  });

  it("gives way to what another has made of the refresh token meanwhile", async () => {
    const { claims, store, released, gate } = makeWorld();
    const record = aLoginSession("a");
    await store.loginSessions.insert(record);
    expect(await claims.claim("main", hash)).toEqual({ kind: "known", loginSession: record });
    expect(released).toHaveLength(1);
    expect(gate.isBusy).toBe(false);
  });

  it("that fails with the store is let go: it may have been written all the same (F10)", async () => {
    const { claims, claimed, released, intents, gate } = makeWorld();
    intents.answer = () => Promise.reject(new Error("the store fails"));
    intents.release = () => Promise.reject(new Error("and again"));
    await expect(claims.claim("main", hash)).rejects.toThrow("the store fails");
    expect(released).toMatchObject([{ hash, owner: claimed[0]?.intent.owner }]);
    expect(gate.isBusy).toBe(false);
  });

  it.each([
    [2_500, 3],
    [0.4, 1],
  ])("is refused at once while nobody may ask the authorization server, with the seconds until then: %d ms", async (waitMs, seconds) => {
    const { clock, claims, claimed, gate } = makeWorld();
    (await gate.enter("user", 0).entered).leave({ kind: "sick", failure: "server_error", retryAfterSeconds: 10 });
    await clock.advance(10_000 - waitMs);
    await expect(claims.claim("main", hash)).rejects.toMatchObject({
      code: "authorization_server_unavailable",
      retryable: true,
      retryAfterSeconds: seconds,
      message: expect.stringContaining("answered with an error of its own"),
    });
    expect(claimed).toEqual([]);
  });

  it("lives on for a minute from each look at its reply, under the same owner; that this fails stops nobody", async () => {
    const { clock, claims, claimed, intents } = makeWorld();
    const claim = await claims.claim("main", hash);
    if (claim.kind !== "ours") throw new Error("nobody else claims");
    await clock.advance(5_000);
    await claims.hold(claim.intent);
    expect(claimed[1]).toEqual({ intent: { ...claim.intent, expiresAt: clock.now() + 60_000 }, now: clock.now() });
    intents.answer = () => Promise.reject(new Error("the store fails"));
    await claims.hold(claim.intent);
    intents.release = () => Promise.reject(new Error("the store fails"));
    await claims.release(claim.intent);
    expect(claimed).toHaveLength(3);
  });
});
