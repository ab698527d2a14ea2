import { describe, expect, test } from "vitest";
import { McpClient } from "../support/e2e-clients.ts";
import { eventually, timed } from "../support/e2e-wait.ts";
import type { AtEnd } from "../support/e2e-world.ts";
import { presentationProblems } from "./chaos.ts";
import { Fleet, type FleetOptions } from "./fleet.ts";
import { sharedStoreKinds } from "./shared-stores.ts";

describe.each(sharedStoreKinds)("three replicas on one store: $name", (kind) => {
  async function start(atEnd: AtEnd, skip: (condition: boolean, why?: string) => void, options: Partial<FleetOptions> = {}) {
    const missing = await kind.missing();
    skip(missing !== undefined, missing);
    const fleet = await Fleet.start(atEnd, kind, { replicas: 3, accessTokenSeconds: 300, ...options });
    const [one, two, three] = fleet.replicas;
    if (one === undefined || two === undefined || three === undefined) throw new Error("There are fewer than three replicas.");
    return { fleet, one, two, three };
  }

  test("F2 one login session, called on all replicas through three lives of its access token: one POST for each generation (I1, I8, R1)", async ({
    onTestFinished,
    skip,
  }) => {
    const { fleet } = await start(onTestFinished, skip, { accessTokenSeconds: 10 });
    const user = await fleet.signIn("alice");
    const endsAt = Date.now() + 30_000;
    let answered = 0;
    const caller = async (index: number): Promise<void> => {
      while (Date.now() < endsAt) {
        const replica = fleet.replicas[index % 3];
        expect(await replica?.me(user)).toMatchObject({ kind: "answer", structured: { sub: "alice" } });
        answered += 1;
      }
    };
    await Promise.all(Array.from({ length: 9 }, (_, index) => caller(index)));
    await fleet.server.settled();
    expect(presentationProblems(fleet.server.ledger.refreshes)).toEqual([]);
    expect(fleet.server.ledger.refreshes.length).toBeGreaterThan(3);
    expect(answered).toBeGreaterThan(100);
  });

  test("a logout on one replica ends the call that runs on another within a second, and nothing is served anywhere after it (B9, I12, R3, S4)", async ({
    onTestFinished,
    skip,
  }) => {
    const { fleet, one, two, three } = await start(onTestFinished, skip);
    const user = await fleet.signIn("alice", one);
    for (const transport of ["http", "sse"] as const) {
      const victim = transport === "http" ? user : await fleet.signIn("bob", three);
      const client = await McpClient.connectHttp(transport, two.url, victim.key);
      onTestFinished(() => client.close().catch(() => {}));
      const released = Promise.withResolvers<void>();
      fleet.server.set({ kind: "held", until: released.promise, at: "before" }, { target: "userinfo" });
      const arrived = fleet.server.nextRequest("userinfo");
      const call = client.call("me").then(
        (answer) => answer.error?.["code"] ?? "answered",
        () => "the connection closed",
      );
      await arrived;
      const { value: logout } = await timed(() => one.api("DELETE", `/${victim.handle}`));
      expect(logout).toMatchObject({ status: 200, json: { state: "ended" } });
      const { value: outcome, milliseconds } = await timed(() => call);
      expect(["login_ended", "the connection closed"]).toContain(outcome);
      // What must be is a promise of the product, not a figure of this machine.
      expect(milliseconds).toBeLessThan(1_000);
      for (const replica of [one, two, three])
        await eventually(
          "the key opens nothing any more",
          async () => {
            const after = await replica.me(victim);
            return after.kind === "http_error" && after.status === 401;
          },
          1_500,
        );
      released.resolve();
      fleet.server.clear();
    }
  });

  test("a login that began on one replica is used and kept alive by the others when that one is gone (I14, S6)", async ({
    onTestFinished,
    skip,
  }) => {
    const { fleet, one, two, three } = await start(onTestFinished, skip, { accessTokenSeconds: 10 });
    const user = await fleet.signIn("alice", one);
    await one.stop();
    const before = fleet.server.ledger.refreshes.length;
    await eventually("it was refreshed by the others", () => fleet.server.ledger.refreshes.length > before + 1, 40_000);
    for (const replica of [two, three]) expect(await replica.me(user)).toMatchObject({ kind: "answer", structured: { sub: "alice" } });
    expect(presentationProblems(fleet.server.ledger.refreshes)).toEqual([]);
  });

  test("foreign credentials reach nobody's connection on any replica (B4, F31)", async ({ onTestFinished, skip }) => {
    const { fleet, one, two } = await start(onTestFinished, skip);
    const [alice, bob] = [await fleet.signIn("alice", one), await fleet.signIn("bob", two)];
    const client = await McpClient.connectHttp("http", one.url, alice.key);
    onTestFinished(() => client.close().catch(() => {}));
    expect((await client.mustCall("me")).structured).toMatchObject({ sub: "alice" });
    expect(await two.me(alice)).toMatchObject({ kind: "answer", structured: { sub: "alice" } });
    expect(await two.me(bob)).toMatchObject({ kind: "answer", structured: { sub: "bob" } });
    expect(await one.me(bob)).toMatchObject({ kind: "answer", structured: { sub: "bob" } });
  });
});
