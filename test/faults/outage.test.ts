import { describe, expect, test } from "vitest";
import { eventually } from "../support/e2e-wait.ts";
import { FaultWorld } from "./fault-world.ts";
import { holds } from "./presentation-faults.ts";

const hourMs = 3_600_000;

describe.concurrent("an authorization server that is away", () => {
  test.for(["refuses connections", "has a name that nobody knows"])(
    "F6 and %s: backs off, the attempt is settled, the access token is served to its end",
    async (what, { onTestFinished }) => {
      const known = what === "refuses connections";
      const endpoints = known ? {} : { token: "https://authorization-server.invalid/token" };
      const world = await FaultWorld.start(onTestFinished, { policy: { endpoints } });
      const user = known ? await world.signIn() : await world.signInElsewhere();
      const client = await world.connect(user);
      if (known) await world.server.suspend();
      await world.until("it has failed", () => world.audit("refresh_failed", user).length > 0);
      expect(world.audit("refresh_failed", user)[0]).toMatchObject({ kind: "not_sent" });
      expect(user.record()).toMatchObject({ state: "live", attempts: [], generation: 1 });
      const [entry] = user.record().accessTokens;
      expect(await world.latchkey.core.tokens.acquire(user.login, { scopes: [] })).toEqual(entry);
      await world.pass(600);
      expect(["live", "refreshing"]).toContain(user.record().state);
      expect(world.audit("login_required")).toEqual([]);
      // At least every 30 s or so, at most a few in each backoff of seconds.
      expect(world.reasons(user).length).toBeGreaterThan(15);
      expect(world.reasons(user).length).toBeLessThan(300);
      expect(await client.call("me")).toMatchObject({
        isError: true,
        error: { code: "authorization_server_unavailable", retryable: true },
      });
    },
  );

  test("F25 a wall clock that is set an hour forward and back: no storm, and the access token goes on being refreshed", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished);
    const users = await Promise.all(Array.from({ length: 10 }, (_, index) => world.signIn(`user-${index}`)));
    await world.pass(5);
    world.clock.jumpWall(hourMs);
    await world.pass(10);
    expect(world.count("presented")).toBe(users.length);
    world.clock.jumpWall(-hourMs);
    await world.pass(60);
    // Refreshed every 16.5 to 22.5 s for a minute.
    expect(world.count("presented")).toBeLessThanOrEqual(users.length * 6);
    await eventually("all are live", () => users.every((user) => user.record().state === "live"));
    expect(world.count("reuse")).toBe(0);
  });

  test("F25 eight hours of sleep: one refresh on demand, no storm", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished);
    const users = await Promise.all(Array.from({ length: 10 }, (_, index) => world.signIn(`user-${index}`)));
    const clients = await Promise.all(users.map((user) => world.connect(user)));
    await world.pass(1);
    world.clock.jumpWall(8 * hourMs);
    const results = await Promise.all(clients.flatMap((client) => [client.call("me"), client.call("me")]));
    expect(results.filter(({ isError }) => isError)).toEqual([]);
    await world.pass(5);
    expect(world.count("presented")).toBe(users.length);
  });
});

describe.concurrent("a slow authorization server", () => {
  test.for([10, 30])(
    "F26 with 2 s of delay and %i s tokens: each is refreshed before it ends, at most 4 times in its life",
    async (seconds, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished, { server: [{ kind: "access_token_life", seconds: seconds }] });
      const user = await world.signIn();
      world.server.set(holds(world.hold, "request"));
      const lives = 6;
      for (let passed = 0; passed < lives * seconds; passed += 0.5) {
        const waits = world.hold.size > 0;
        await world.pass(0.5);
        if (waits) {
          await world.pass(1.5);
          passed += 1.5;
          world.hold.letGo();
          await eventually("it is committed", () => user.record().state === "live");
        }
        expect(user.record().accessTokens[0]?.expiresAt).toBeGreaterThan(world.clock.now());
      }
      expect(world.count("presented")).toBeGreaterThanOrEqual(lives);
      expect(world.count("presented")).toBeLessThanOrEqual(lives * 4);
      expect(world.audit("refresh_failed")).toEqual([]);
    },
  );
});
