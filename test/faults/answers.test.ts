import { describe, expect, test } from "vitest";
import { FaultWorld, forgives30Seconds } from "./fault-world.ts";
import { answers, cutOff, spoils } from "./presentation-faults.ts";

describe.concurrent("an answer other than tokens", () => {
  test.for([429, 503])(
    "F12 %i with Retry-After: nothing is presented before, and the login session is kept",
    async (status, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished, { server: [{ kind: "access_token_life", seconds: 300 }] });
      const user = await world.signIn();
      world.server.set(answers(status, "", { "retry-after": "40" }), { next: 1 });
      await world.until("it was refused", () => world.count("presented") === 1, 300);
      const refusedAt = world.clock.now();
      await world.until("it is tried again", () => user.record().generation === 2, 300);
      expect(world.lastPresentedAt - refusedAt).toBeGreaterThanOrEqual(39_000);
      expect(world.count("presented")).toBe(2);
      expect(user.record()).toMatchObject({ state: "live", health: { failures: 0 } });
    },
  );

  test.for([
    { name: "502", fault: answers(502, "<html>bad gateway</html>") },
    { name: "504", fault: answers(504) },
    { name: "HTML with 200", fault: answers(200, "<html>sign in</html>") },
    { name: "HTML with 200 after the rotation", fault: spoils(200, "<html>sign in</html>") },
    { name: "JSON that is cut off", fault: cutOff },
  ])("F13 $name: ambiguous, and saved where the server forgives", async ({ fault }, { onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [forgives30Seconds], policy: { reuseLeewaySeconds: 30 } });
    const user = await world.signIn();
    world.server.set(fault, { next: 1 });
    await world.until("it is uncertain", () => user.record().state === "uncertain");
    expect(world.audit("refresh_failed", user)).toMatchObject([{ kind: "ambiguous" }]);
    await world.until("it is live again", () => user.record().state === "live");
    expect(world.reasons(user)).toEqual(["due", "within_grace"]);
    expect(world.isCurrent(user.record().refreshToken)).toBe(true);
  });

  test("F14 invalid_grant for the stored token: login_required, its connections are told, others are unaffected", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished);
    const [user, other] = [await world.signIn("alice"), await world.signIn("bob")];
    const clients = [await world.connect(user, "http"), await world.connect(user, "sse")];
    await world.revokeBehind(user.record().refreshToken);
    await world.until("it was found out", () => user.record().state === "login_required");
    expect(user.record().reason?.code).toBe("grant_dead");
    for (const client of clients)
      expect(await client.call("me")).toMatchObject({ isError: true, error: { code: "login_required", reason: "grant_dead" } });
    await world.pass(60);
    expect(world.reasons(user)).toEqual(["due"]);
    await world.until("the other one is live", () => other.record().state === "live");
    expect(other.record().generation).toBeGreaterThan(2);
  });

  test("F15 invalid_grant, a peer has rotated: the peer's token is adopted", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished);
    const user = await world.signIn();
    const client = await world.connect(user);
    const { loginSessions } = world.latchkey.core.store;
    let peers: unknown;
    // Another replica on the same store gets its answer in between, and has committed it.
    const peer = async (): Promise<void> => {
      const reply = await world.refreshElsewhere(user.record().refreshToken);
      peers = reply.refresh_token;
      const now = await loginSessions.get(user.login.id);
      if (now === undefined) throw new Error("The record is gone.");
      const [entry] = now.accessTokens;
      if (entry === undefined) throw new Error("There is no access token.");
      await loginSessions.commit({
        ...now,
        version: now.version + 1,
        generation: now.generation + 1,
        state: "live",
        attempts: [],
        refreshToken: reply.refresh_token as typeof now.refreshToken,
        accessTokens: [
          {
            ...entry,
            accessToken: reply.access_token as typeof entry.accessToken,
            obtainedAt: world.clock.now(),
            expiresAt: world.clock.now() + 30_000,
          },
        ],
        nextDueAt: world.clock.now() + 20_000,
      });
    };
    world.server.set({ kind: "held", until: peer, at: "before" }, { next: 1 });
    world.server.set(answers(400, { error: "invalid_grant" }), { next: 1 });
    await world.until("the old token was refused", () => world.audit("refresh_failed", user).length === 1);
    expect(world.audit("refresh_failed", user)).toMatchObject([{ kind: "grant_dead" }]);
    expect(user.record()).toMatchObject({ state: "live", generation: 2, refreshToken: peers });
    expect((await client.call("me")).isError).toBe(false);
    await world.until("it is refreshed on", () => user.record().generation === 3);
    expect(world.count("reuse")).toBe(0);
  });

  test.for([
    { name: "in the body", fault: answers(401, { error: "invalid_client" }) },
    { name: "in a challenge", fault: answers(401, "", { "www-authenticate": 'Basic error="invalid_client"' }) },
    { name: "unauthorized_client", fault: answers(400, { error: "unauthorized_client" }) },
  ])(
    "F16 invalid_client, $name: no login session is lost, the issuer is paused, alarmed and probed",
    async ({ fault }, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished);
      const users = await Promise.all(["alice", "bob", "carol"].map((name) => world.signIn(name)));
      world.server.set(fault);
      await world.until("the issuer is paused", () => world.audit("issuer_paused").length === 1);
      await world.pass(600);
      for (const user of users) expect(["live", "refreshing"]).toContain(user.record().state);
      // Probed, but no storm: ten minutes, a minute at the most between two, some in the beginning.
      expect(world.count("presented")).toBeGreaterThanOrEqual(5);
      expect(world.count("presented")).toBeLessThan(60);
      expect(world.server.mostAtOnce("refresh")).toBeLessThanOrEqual(users.length);
      world.server.clear();
      await world.until("all are refreshed", () => users.every((user) => user.record().generation >= 2), 300);
      expect(world.audit("issuer_resumed")).toHaveLength(1);
      expect(world.audit("login_required")).toEqual([]);
    },
  );

  test("F17 an early refresh refused with 400: the access token is served, and near its expiry it is tried again", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [{ kind: "access_token_life", seconds: 300 }] });
    const user = await world.signIn();
    const client = await world.connect(user);
    const bornAt = world.clock.now();
    world.server.set(answers(400, { error: "invalid_request" }), { next: 1 });
    await world.until("it was refused", () => world.audit("refresh_failed", user).length === 1, 300);
    expect(user.record().state).toBe("live");
    expect((await client.call("me")).isError).toBe(false);
    await world.until("it is refreshed", () => user.record().generation === 2, 300);
    expect(world.lastPresentedAt).toBeGreaterThanOrEqual(bornAt + 215_000);
    expect(world.lastPresentedAt).toBeLessThan(bornAt + 300_000);
    expect(world.count("presented")).toBe(2);
  });

  test("F42 a dead refresh token answered by an empty 400: login_required(refused), others are unaffected", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished);
    const [user, other] = [await world.signIn("alice"), await world.signIn("bob")];
    world.server.set(answers(400), { subject: "alice" });
    await world.until("it was given up", () => user.record().state === "login_required", 1200);
    expect(user.record().reason?.code).toBe("refused");
    // He may be in the middle of a refresh at this moment.
    expect(["live", "refreshing"]).toContain(other.record().state);
    expect(other.record().reason).toBeUndefined();
    expect(other.record().generation).toBeGreaterThan(20);
    expect(world.audit("issuer_paused")).toEqual([]);
    // Over more than ten minutes, and not all the time.
    expect(world.reasons(user).length).toBeGreaterThanOrEqual(3);
    expect(world.reasons(user).length).toBeLessThan(60);
  });

  test("F43 the error code only in a challenge header: taken as its code", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished);
    const user = await world.signIn();
    world.server.set(answers(400, "", { "www-authenticate": 'Bearer error="invalid_grant"' }), { next: 1 });
    await world.until("it is dead", () => user.record().state === "login_required");
    expect(user.record().reason?.code).toBe("grant_dead");
    expect(world.count("presented")).toBe(1);
  });
});
