import { describe, expect, test } from "vitest";
import { FaultWorld, forgives30Seconds, introspects } from "./fault-world.ts";
import { dropReply, dropRequest } from "./presentation-faults.ts";

describe.concurrent("a lost reply", () => {
  test("F3 within the grace period: the same token once more, live, and the next generation follows", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [forgives30Seconds], policy: { reuseLeewaySeconds: 30 } });
    const user = await world.signIn();
    const client = await world.connect(user);
    world.server.set(dropReply, { next: 1 });
    await world.until("the reply is lost", () => world.audit("refresh_failed", user).length > 0);
    expect(world.audit("refresh_failed", user)[0]).toMatchObject({ kind: "ambiguous" });
    await world.until("it is live again", () => user.record().state === "live");
    expect(world.reasons(user)).toEqual(["due", "within_grace"]);
    expect(world.server.ledger.refreshes).toMatchObject([
      { generation: 0, presentedAs: "current", outcome: "rotated", reply: "none" },
      { generation: 0, presentedAs: "consumed", outcome: "replayed", reply: "whole" },
    ]);
    expect(world.isCurrent(user.record().refreshToken)).toBe(true);
    expect(await client.mustCall("me")).toMatchObject({ text: expect.stringContaining("alice") });
  });

  test("F4 no grace, introspection trusted: served to the token's end, then login_required(lost_reply), no reuse alarm", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [introspects] });
    const user = await world.signIn();
    const client = await world.connect(user);
    await world.until("introspection has proved right", () => world.count("introspected") > 0);
    world.server.set(dropReply, { next: 1 });
    await world.until("the reply is lost", () => user.record().state === "uncertain");
    expect((await client.call("me")).isError).toBe(false);
    await world.until("it is given up", () => user.record().state === "login_required");
    expect(user.record()).toMatchObject({ reason: { code: "lost_reply", at: expect.any(Number) } });
    expect(user.record().reason?.at).toBeGreaterThanOrEqual(user.record().createdAt + 30_000 - 1_000);
    expect(await client.call("me")).toMatchObject({ isError: true, error: { code: "login_required", reason: "lost_reply" } });
    expect(world.count("presented")).toBe(1);
    expect(world.count("reuse")).toBe(0);
  });

  test("F4 no grace, no introspection: served to the end, with one last presentation shortly before it", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished);
    const user = await world.signIn();
    const client = await world.connect(user);
    world.server.set(dropReply, { next: 1 });
    await world.until("the reply is lost", () => user.record().state === "uncertain");
    expect((await client.call("me")).isError).toBe(false);
    await world.until("the last presentation was made", () => user.record().state === "login_required");
    expect(user.record().reason?.code).toBe("lost_reply");
    expect(world.reasons(user)).toEqual(["due", "last_presentation"]);
    expect(await client.call("me")).toMatchObject({ isError: true, error: { code: "login_required", reason: "lost_reply" } });
    await world.pass(60);
    expect(world.count("presented")).toBe(2);
  });

  test.for([
    { name: "introspection", server: [introspects], policy: {}, reason: "introspected_active" },
    { name: "a grace period", server: [forgives30Seconds], policy: { reuseLeewaySeconds: 30 }, reason: "within_grace" },
    { name: "neither", server: [], policy: {}, reason: "last_presentation" },
  ] as const)("F5 a request dropped before it arrived: saved, with $name", async ({ server, policy, reason }, { onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server, policy });
    const user = await world.signIn();
    const client = await world.connect(user);
    await world.pass(1);
    world.server.set(dropRequest, { next: 1 });
    await world.until("the request is lost", () => user.record().state === "uncertain");
    await world.until("it is live again", () => user.record().state === "live");
    expect(world.reasons(user)).toEqual(["due", reason]);
    expect(world.count("rotated")).toBe(1);
    expect(world.count("reuse")).toBe(0);
    expect(user.record().generation).toBe(2);
    expect(await client.mustCall("me")).toMatchObject({ text: expect.stringContaining("alice") });
  });

  test("F46 introspection that denies this client: not trusted, no login is given up because of it", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [introspects, { kind: "introspection", says: "always_inactive" }] });
    const user = await world.signIn();
    await world.until("introspection was tried", () => world.count("introspected") === 1);
    await world.until("it was refreshed", () => user.record().generation === 2);
    world.server.set(dropRequest, { next: 1 });
    await world.until("the request is lost", () => user.record().state === "uncertain");
    await world.until("it is live again", () => user.record().state === "live");
    expect(world.reasons(user)).toEqual(["due", "due", "last_presentation"]);
    expect(world.audit("login_required")).toEqual([]);
    expect(world.count("reuse")).toBe(0);
  });
});
