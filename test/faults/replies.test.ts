import { describe, expect, test } from "vitest";
import type { Behaviour } from "../../src/testing/index.ts";
import { FaultWorld, keepsRefreshToken } from "./fault-world.ts";
import { answers } from "./presentation-faults.ts";

const tenYears = 10 * 365 * 86_400;
const strict: Behaviour = { kind: "strict_rotation" };

interface OddReply {
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly lifeSeconds: number;
  readonly rotation: Behaviour;
}

describe.concurrent("a reply that is not as it should be", () => {
  test.for([
    { what: "another subject", flaw: "wrong_subject" },
    { what: "another audience", flaw: "wrong_audience" },
    { what: "a bad signature", flaw: "bad_signature" },
  ] as const)(
    "F18 an ID token with $what: nothing of it is ever served, what came is revoked, no second POST",
    async ({ flaw }, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished);
      const user = await world.signIn();
      const client = await world.connect(user);
      world.server.set({ kind: "id_token", flaw }, { next: 1 });
      world.server.set({ kind: "reply_fields", fields: { access_token: "at-of-nobody" } }, { next: 1 });
      await world.until("it is refused", () => user.record().state === "login_required");
      expect(user.record()).toMatchObject({ reason: { code: "identity" }, generation: 1 });
      expect(world.audit("identity_mismatch", user)).toHaveLength(1);
      expect(await client.call("me")).toMatchObject({ isError: true, error: { code: "login_required", reason: "identity" } });
      await world.until("the debt is paid", () => user.record().debts.length === 0);
      expect(world.count("revoked", "alice")).toBe(1);
      expect(world.count("presented")).toBe(1);
      expect(JSON.stringify(user.record().accessTokens)).not.toContain("at-of-nobody");
    },
  );

  test.for(["an expired ID token", "keys that cannot be fetched"])(
    "F18 %s: the reply is kept and verified again, with no second POST",
    async (what, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished);
      const user = await world.signIn();
      const client = await world.connect(user);
      const areKeysAway = what === "keys that cannot be fetched";
      const fault = areKeysAway
        ? world.server.set({ kind: "unavailable" }, { target: "jwks" })
        : world.server.set({ kind: "id_token", flaw: "expired" }, { next: 1 });
      // Nobody has the key of the next reply yet.
      if (areKeysAway) world.server.rotateKeys();
      await world.until("the reply is kept", () => user.record().pending !== undefined && world.audit("refresh_failed", user).length > 0);
      expect(user.record().generation).toBe(1);
      // The old access token is served as long as it lasts.
      expect((await client.call("me")).isError).toBe(false);
      await world.until("it was tried again", () => (user.record().pending?.verificationTries ?? 0) >= 2);
      if (areKeysAway) fault.clear();
      // The clock of this machine was an hour ahead, and is set right.
      else world.clock.jumpWall(-3_600_000);
      await world.until("the reply is published", () => user.record().generation === 2, 120);
      expect(user.record().state).toBe("live");
      expect(world.isCurrent(user.record().refreshToken)).toBe(true);
      expect(world.reasons(user)[0]).toBe("due");
      expect(world.server.ledger.refreshes.filter(({ generation }) => generation === 0)).toHaveLength(1);
    },
  );

  test.for([
    { name: "no refresh token", fields: {}, lifeSeconds: 30, rotation: { kind: "no_rotation", reply: "no_token" } },
    { name: "the same refresh token", fields: {}, lifeSeconds: 30, rotation: keepsRefreshToken },
    { name: "no expires_in", fields: { expires_in: undefined }, lifeSeconds: 300, rotation: strict },
    { name: "expires_in as a string", fields: { expires_in: "120" }, lifeSeconds: 120, rotation: strict },
    { name: "ten years", fields: { expires_in: tenYears }, lifeSeconds: 30 * 86_400, rotation: strict },
  ] satisfies readonly OddReply[])(
    "F19 $name in the reply: a sane default, no timer overflow",
    async ({ fields, lifeSeconds, rotation }, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished, { server: [rotation] });
      const user = await world.signIn();
      const client = await world.connect(user);
      const first = user.record().refreshToken;
      world.server.set({ kind: "reply_fields", fields }, { next: 1 });
      await world.until("it is refreshed", () => user.record().generation === 2);
      const [entry] = user.record().accessTokens;
      expect((entry?.expiresAt ?? 0) - (entry?.obtainedAt ?? 0)).toBe(lifeSeconds * 1000);
      expect(user.record().refreshToken === first).toBe(rotation.kind === "no_rotation");
      await world.pass(10);
      expect((await client.call("me")).isError).toBe(false);
      expect(world.count("presented")).toBe(1);
      expect(user.record().nextDueAt).toBeGreaterThan(world.clock.now());
      if (lifeSeconds <= 300) await world.until("it is refreshed again", () => user.record().generation === 3, 300);
      expect(world.count("reuse")).toBe(0);
    },
  );

  test.for([
    { name: "never rotates", server: keepsRefreshToken, rotation: "auto" },
    { name: "never rotates, as configured", server: keepsRefreshToken, rotation: "never" },
    { name: "always rotates", server: strict, rotation: "auto" },
  ] as const)("F41 a server that $name: kept for an hour, one refresh each time", async ({ server, rotation }, { onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, {
      server: [server, { kind: "access_token_life", seconds: 300 }],
      policy: { rotation },
    });
    const user = await world.signIn();
    await world.pass(3600);
    expect(user.record()).toMatchObject({ state: "live", health: { failures: 0 } });
    // Every 165 to 225 s.
    expect(world.count("presented")).toBeGreaterThanOrEqual(15);
    expect(world.count("presented")).toBeLessThanOrEqual(22);
    expect(world.count("rotated")).toBe(world.count("presented"));
  });

  test("F41 a refresh token with an absolute life: used to its end, then login_required, and no loop", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, {
      server: [keepsRefreshToken, { kind: "refresh_token_life", seconds: 100, mode: "absolute" }],
    });
    const user = await world.signIn();
    await world.until("it has ended", () => user.record().state === "login_required", 200);
    expect(user.record().reason?.code).toBe("grant_dead");
    expect(world.count("refused")).toBe(1);
    const presented = world.count("presented");
    expect(presented).toBeLessThanOrEqual(8);
    await world.pass(120);
    expect(world.count("presented")).toBe(presented);
  });
});

describe.concurrent("a revocation", () => {
  test("F45 a second one that is answered by 400: the logout is done", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [{ kind: "revocation", says: "refuses_unknown" }] });
    const user = await world.signIn();
    await world.latchkey.core.logout.end(user.login.id, "logout");
    await world.until("nothing is owed", () => user.record().revocation === "done");
    expect(user.record().debts).toEqual([]);
    // The refresh token, then the access token that went with it and is not known any more.
    expect(world.server.requestsTo("revocation")).toBe(2);
    expect(world.audit("revocation_failed")).toEqual([]);
  });

  test("F45 at a server without the endpoint: the logout is done, and says so", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [{ kind: "revocation", says: "absent" }] });
    const user = await world.signIn();
    const client = await world.connect(user);
    expect(await client.mustCall("sign_out")).toMatchObject({ isError: false });
    await world.until("it is known", () => user.record().revocation === "unsupported");
    expect(user.record()).toMatchObject({ state: "ended", debts: [] });
    expect(world.server.requestsTo("revocation")).toBe(0);
    expect(world.count("presented")).toBe(0);
    world.server.set(answers(500));
    await world.pass(60);
    expect(world.count("presented")).toBe(0);
  });
});
