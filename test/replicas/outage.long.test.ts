import { describe, expect, test } from "vitest";
import { McpClient } from "../support/e2e-clients.ts";
import { eventually, nothingHappensFor } from "../support/e2e-wait.ts";
import { presentationProblems } from "./chaos.ts";
import { Fleet, type Replica } from "./fleet.ts";
import { sharedStoreKinds } from "./shared-stores.ts";

const cuttable = sharedStoreKinds.filter(({ name }) => name !== "sqlite");

describe.each(cuttable)("the store is away: $name", (kind) => {
  test("F9 valid access tokens are served, readiness says so, a reply that comes meanwhile is kept, and everything catches up (I4, S6)", async ({
    onTestFinished,
    skip,
  }) => {
    const missing = await kind.missing();
    skip(missing !== undefined, missing);
    const fleet = await Fleet.start(onTestFinished, kind, { replicas: 2, accessTokenSeconds: 40 });
    const [one, two] = fleet.replicas;
    if (one === undefined || two === undefined) throw new Error("There are fewer than two replicas.");
    const [alice, bob] = [await fleet.signIn("alice", one), await fleet.signIn("bob", two)];
    const clients = [await McpClient.connectHttp("http", one.url, alice.key), await McpClient.connectHttp("sse", two.url, bob.key)];
    for (const client of clients) onTestFinished(() => client.close().catch(() => {}));
    for (const client of clients) await client.mustCall("me");
    // A refresh of each is under way when the store goes; its reply finds no store.
    const released = Promise.withResolvers<void>();
    const rule = fleet.server.set({ kind: "held", until: released.promise, at: "after" }, { target: "refresh" });
    const before = fleet.server.ledger.refreshes.length;
    await eventually("both are being refreshed", () => fleet.server.ledger.refreshes.length >= before + 2, 40_000);
    fleet.outage?.begin();
    released.resolve();
    rule.clear();
    // First of all: the tokens that are there last a few seconds more.
    for (const answer of await Promise.all(clients.map((client) => client.call("me")))) expect(answer.structured).toHaveProperty("sub");
    for (const replica of [one, two]) await eventually("it is not ready", async () => (await readiness(replica)) === 503, 15_000);
    expect((await one.me(bob)).kind).not.toBe("answer");
    await nothingHappensFor(3);
    await fleet.outage?.end();
    for (const replica of [one, two]) await eventually("it is ready again", async () => (await readiness(replica)) === 200, 20_000);
    for (const user of [alice, bob])
      await fleet.sessionWhen(user, "live after the outage", ({ state, lastRefresh }) => state === "live" && lastRefresh !== undefined);
    for (const replica of [one, two])
      for (const user of [alice, bob]) expect(await replica.me(user)).toMatchObject({ kind: "answer", structured: { sub: user.subject } });
    await fleet.server.settled();
    expect(fleet.server.ledger.reuseEvents).toEqual([]);
    expect(presentationProblems(fleet.server.ledger.refreshes)).toEqual([]);
  });

  test("F9 kill -9 while the store is away and a reply is kept on the local disk: the login is alive after the restart (I4)", async ({
    onTestFinished,
    skip,
  }) => {
    const missing = await kind.missing();
    skip(missing !== undefined, missing);
    const fleet = await Fleet.start(onTestFinished, kind, { replicas: 1, accessTokenSeconds: 30 });
    const [one] = fleet.replicas;
    if (one === undefined) throw new Error("There is no replica.");
    const alice = await fleet.signIn("alice", one);
    const released = Promise.withResolvers<void>();
    const rule = fleet.server.set({ kind: "held", until: released.promise, at: "after" }, { target: "refresh" });
    const before = fleet.server.ledger.refreshes.length;
    await eventually("it is being refreshed", () => fleet.server.ledger.refreshes.length > before, 40_000);
    fleet.outage?.begin();
    released.resolve();
    rule.clear();
    await fleet.server.settled();
    await eventually("the reply is kept", () => one.program?.stderr.includes("The outcome of a refresh could not be stored") === true);
    await one.kill();
    await fleet.outage?.end();
    await one.start();
    await fleet.sessionWhen(alice, "live", ({ state }) => state === "live");
    expect(await one.me(alice)).toMatchObject({ kind: "answer", structured: { sub: "alice" } });
    expect(fleet.server.ledger.reuseEvents).toEqual([]);
    expect(presentationProblems(fleet.server.ledger.refreshes)).toEqual([]);
  });
});

async function readiness(replica: Replica): Promise<number> {
  const response = await fetch(`${replica.url}/health/ready`);
  await response.arrayBuffer();
  return response.status;
}
