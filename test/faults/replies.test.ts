import { describe, expect, test } from "vitest";
import { newSigningKey, sendJson, sendText } from "../support/scripted-authorization-server.ts";
import { FaultWorld } from "./fault-world.ts";
import { answers, tampers } from "./presentation-faults.ts";

const tenYears = 10 * 365 * 86_400;

describe.concurrent("a reply that is not as it should be", () => {
  test.for(["another subject", "another audience", "a bad signature"])(
    "F18 an ID token with %s: nothing of it is ever served, what came is revoked, no second POST",
    async (what, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished);
      const user = await world.signIn();
      const client = await world.connect(user);
      const stranger = await newSigningKey("ES256", world.server.http.key.kid);
      const brought: string[] = [];
      const fault = tampers(async (presented) => {
        const { server } = world;
        brought.push(`at-of-${presented.login}`);
        const id_token =
          what === "another subject"
            ? await server.idToken({ sub: "mallory" })
            : what === "another audience"
              ? await server.idToken({ sub: "alice", aud: "client-2" })
              : await server.idToken({ sub: "alice" }, { key: stranger });
        return { id_token, access_token: brought.at(-1) };
      });
      world.server.faults.push(fault);
      await world.until("it is refused", () => user.record().state === "login_required");
      expect(user.record()).toMatchObject({ reason: { code: "identity" }, generation: 1 });
      expect(world.audit("identity_mismatch", user)).toHaveLength(1);
      expect(await client.call("me")).toMatchObject({ isError: true, error: { code: "login_required", reason: "identity" } });
      await world.until("the debt is paid", () => user.record().debts.length === 0);
      expect(world.server.count("revoked", "alice")).toBe(1);
      expect(world.server.count("presented")).toBe(1);
      expect(JSON.stringify(user.record().accessTokens)).not.toContain("at-of-");
    },
  );

  test.for(["an expired ID token", "keys that cannot be fetched"])(
    "F18 %s: the reply is kept and verified again, with no second POST",
    async (what, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished);
      const user = await world.signIn();
      const client = await world.connect(user);
      const key = await newSigningKey("ES256", "the-next-key");
      const now = (): number => Math.floor(world.clock.now() / 1000);
      let keysAway = what === "keys that cannot be fetched";
      world.server.http.on("/jwks", (_request, response) =>
        keysAway ? sendText(response, 503, "") : sendJson(response, 200, { keys: [world.server.http.key.publicJwk, key.publicJwk] }),
      );
      world.server.faults.push(
        tampers(async () => ({
          id_token: keysAway
            ? await world.server.idToken({ sub: "alice" }, { key })
            : await world.server.idToken({ sub: "alice", iat: now() - 7200, exp: now() - 3600 }),
        })),
      );
      await world.until("the reply is kept", () => user.record().pending !== undefined && world.audit("refresh_failed", user).length > 0);
      expect(user.record().generation).toBe(1);
      // The old access token is served as long as it lasts.
      expect((await client.call("me")).isError).toBe(false);
      await world.until("it was tried again", () => (user.record().pending?.verificationTries ?? 0) >= 2);
      if (keysAway) keysAway = false;
      // The clock of this machine was an hour ahead, and is set right.
      else world.clock.jumpWall(-3_600_000);
      await world.until("the reply is published", () => user.record().generation === 2, 120);
      expect(user.record().state).toBe("live");
      expect(world.server.isCurrent(user.record().refreshToken)).toBe(true);
      expect(world.reasons(user)[0]).toBe("due");
      expect(world.server.ledger.filter(({ kind, generation }) => kind === "presented" && generation === 1)).toHaveLength(1);
    },
  );

  test.for([
    { name: "no refresh token", fields: { refresh_token: undefined }, lifeSeconds: 30, rotates: false },
    { name: "the same refresh token", fields: {}, lifeSeconds: 30, rotates: false },
    { name: "no expires_in", fields: { expires_in: undefined }, lifeSeconds: 300, rotates: true },
    { name: "expires_in as a string", fields: { expires_in: "120" }, lifeSeconds: 120, rotates: true },
    { name: "ten years", fields: { expires_in: tenYears }, lifeSeconds: 30 * 86_400, rotates: true },
  ])("F19 $name in the reply: a sane default, no timer overflow", async ({ fields, lifeSeconds, rotates }, { onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: { rotates } });
    const user = await world.signIn();
    const client = await world.connect(user);
    const first = user.record().refreshToken;
    world.server.faults.push(tampers(() => fields));
    await world.until("it is refreshed", () => user.record().generation === 2);
    const [entry] = user.record().accessTokens;
    expect((entry?.expiresAt ?? 0) - (entry?.obtainedAt ?? 0)).toBe(lifeSeconds * 1000);
    expect(user.record().refreshToken === first).toBe(!rotates);
    await world.pass(10);
    expect((await client.call("me")).isError).toBe(false);
    expect(world.server.count("presented")).toBe(1);
    expect(user.record().nextDueAt).toBeGreaterThan(world.clock.now());
    if (lifeSeconds <= 300) await world.until("it is refreshed again", () => user.record().generation === 3, 300);
    expect(world.server.count("reuse")).toBe(0);
  });

  test.for([
    { name: "never rotates", rotates: false, rotation: "auto" },
    { name: "never rotates, as configured", rotates: false, rotation: "never" },
    { name: "always rotates", rotates: true, rotation: "auto" },
  ] as const)("F41 a server that $name: kept for an hour, one refresh each time", async ({ rotates, rotation }, { onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: { rotates, accessTokenSeconds: 300 }, policy: { rotation } });
    const user = await world.signIn();
    await world.pass(3600);
    expect(user.record()).toMatchObject({ state: "live", health: { failures: 0 } });
    // Every 165 to 225 s.
    expect(world.server.count("presented")).toBeGreaterThanOrEqual(15);
    expect(world.server.count("presented")).toBeLessThanOrEqual(22);
    expect(world.server.count("rotated")).toBe(world.server.count("presented"));
  });

  test("F41 a refresh token with an absolute life: used to its end, then login_required, and no loop", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: { rotates: false, grantSeconds: 100 } });
    const user = await world.signIn();
    await world.until("it has ended", () => user.record().state === "login_required", 200);
    expect(user.record().reason?.code).toBe("grant_dead");
    expect(world.server.count("refused")).toBe(1);
    const presented = world.server.count("presented");
    expect(presented).toBeLessThanOrEqual(8);
    await world.pass(120);
    expect(world.server.count("presented")).toBe(presented);
  });
});

describe.concurrent("a revocation", () => {
  test("F45 a second one that is answered by 400: the logout is done", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: { revocation: "forgets" } });
    const user = await world.signIn();
    await world.latchkey.core.logout.end(user.login.id, "logout");
    await world.until("nothing is owed", () => user.record().revocation === "done");
    expect(user.record().debts).toEqual([]);
    // The refresh token, then the access token that went with it and is not known any more.
    expect(world.server.http.to("/revoke")).toHaveLength(2);
    expect(world.audit("revocation_failed")).toEqual([]);
  });

  test("F45 at a server without the endpoint: the logout is done, and says so", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: { revocation: "none" } });
    const user = await world.signIn();
    const client = await world.connect(user);
    expect(await client.mustCall("sign_out")).toMatchObject({ isError: false });
    await world.until("it is known", () => user.record().revocation === "unsupported");
    expect(user.record()).toMatchObject({ state: "ended", debts: [] });
    expect(world.server.http.to("/revoke")).toEqual([]);
    expect(world.server.count("presented")).toBe(0);
    world.server.always = answers(500);
    await world.pass(60);
    expect(world.server.count("presented")).toBe(0);
  });
});
