import { describe, expect, test } from "vitest";
import { eventually } from "../support/e2e-wait.ts";
import { Hold } from "../support/token-bench.ts";
import { FaultWorld } from "./fault-world.ts";
import { holds } from "./presentation-faults.ts";

describe.concurrent("callers of a login session that must be refreshed", () => {
  test("F1 50 of them at expiry and the heartbeat: one POST, one access token", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished);
    const user = await world.signIn();
    const clients = await Promise.all(Array.from({ length: 10 }, (_, index) => world.connect(user, index % 2 === 0 ? "http" : "sse")));
    world.server.set(holds(world.hold, "request"));
    await world.until("the heartbeat presents", () => world.hold.size === 1);
    // Now nothing is left that could be handed out.
    await world.clock.advance(2_000);
    world.clock.jumpWall(20_000);
    // Each caller that waits has a timer of its own.
    const timers = world.clock.pending;
    const calls = clients.flatMap((client) => Array.from({ length: 5 }, () => client.call("me")));
    await eventually("the calls wait", () => world.clock.pending >= timers + 50);
    world.hold.open();
    const answers = await Promise.all(calls);
    expect(new Set(answers.map(({ isError, text }) => `${isError} ${text}`)).size).toBe(1);
    expect(answers[0]).toMatchObject({ isError: false });
    expect(world.count("presented")).toBe(1);
    expect(user.record().generation).toBe(2);
  });

  test("F28 a server that takes 15 s: a typed, retryable error after the budget; the POST completes and is used", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished, {
      server: [{ kind: "access_token_life", seconds: 300 }],
      config: { heartbeat: { intervalSeconds: 60 } },
    });
    const user = await world.signIn();
    const client = await world.connect(user);
    world.server.set(holds(world.hold, "request"));
    world.clock.jumpWall(301_000);
    const call = client.call("me");
    await eventually("it is presented", () => world.hold.size === 1);
    await world.clock.advance(8_000);
    expect(await call).toMatchObject({ isError: true, error: { code: "refresh_timeout", retryable: true } });
    await world.clock.advance(7_000);
    world.hold.open();
    await eventually("the refresh is committed", () => user.record().generation === 2);
    expect((await client.call("me")).isError).toBe(false);
    expect(world.count("presented")).toBe(1);
  });

  test("F29 the client disconnects during a refresh: committed all the same", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { config: { heartbeat: { intervalSeconds: 60 } } });
    const user = await world.signIn();
    const client = await world.connect(user);
    world.server.set(holds(world.hold, "reply"));
    world.clock.jumpWall(31_000);
    const call = client.call("me").catch((error: unknown) => error);
    await eventually("it is presented", () => world.hold.size === 1);
    await client.close();
    expect(await call).toBeInstanceOf(Error);
    world.hold.open();
    await eventually("the refresh is committed", () => user.record().generation === 2);
    expect(world.count("presented")).toBe(1);
    expect(world.isCurrent(user.record().refreshToken)).toBe(true);
  });

  test("F44 the old access token dies at the refresh, 20 calls in flight: each is answered with the new one", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [{ kind: "old_access_token_dies" }] });
    const user = await world.signIn();
    const clients = await Promise.all(Array.from({ length: 4 }, () => world.connect(user)));
    // The API looks at the access token only after the refresh.
    const api = new Hold();
    const callsBefore = world.server.requestsTo("userinfo");
    world.server.set({ kind: "held", until: () => api.wait(), at: "before" }, { target: "userinfo" });
    const calls = clients.flatMap((client) => Array.from({ length: 5 }, () => client.call("me")));
    await eventually("the calls are at the API", () => api.size === 20);
    await world.until("it is refreshed", () => user.record().generation === 2);
    api.open();
    const answers = await Promise.all(calls);
    expect(answers.filter(({ isError }) => isError)).toEqual([]);
    // Each was refused once, and then served.
    expect(world.server.requestsTo("userinfo") - callsBefore).toBe(40);
    expect(world.count("presented")).toBe(1);
  });
});
