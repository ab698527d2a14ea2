import { describe, expect, test } from "vitest";
import { eventually } from "../support/e2e-wait.ts";
import { type FaultUser, FaultWorld } from "./fault-world.ts";
import { holds } from "./presentation-faults.ts";

describe.concurrent("a logout", () => {
  test.for([
    { when: "before it arrives", point: "request" },
    { when: "after it was decided", point: "reply" },
  ] as const)(
    "F20 while the POST of a refresh is under way, $when: served nothing, what comes late is revoked (I12)",
    async ({ point }, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished);
      const user = await world.signIn();
      const [waiting, leaving] = [await world.connect(user), await world.connect(user)];
      world.server.set(holds(world.hold, point));
      const callsBefore = world.server.requestsTo("userinfo");
      world.clock.jumpWall(31_000);
      const call = waiting.call("me").then(
        ({ isError }) => (isError ? "refused" : "served"),
        () => "cut off",
      );
      await eventually("it is presented", () => world.hold.size === 1);
      expect(await leaving.mustCall("sign_out")).toMatchObject({ structured: { state: "ended" } });
      // It waited for no POST, and whoever waited for the access token has heard by now that there is none.
      expect(world.hold.size).toBe(1);
      expect(await call).not.toBe("served");
      await expect(waiting.call("me")).rejects.toThrow();
      world.hold.open();
      await world.until("nothing is owed", () => user.record().revocation === "done");
      await world.pass(60);
      expect(user.record()).toMatchObject({ state: "ended", accessTokens: [], debts: [] });
      expect(world.isCurrent(user.record().refreshToken)).toBe(false);
      // Of the family nothing is left: what was rotated is dead as well.
      expect(
        world.count("rotated") === 0 ||
          world.server.ledger.revocations.some(({ kind, generation }) => kind === "refresh_token" && generation === 1),
      ).toBe(true);
      expect(world.count("presented")).toBe(1);
      expect(world.server.requestsTo("userinfo")).toBe(callsBefore);
    },
  );

  test.for([
    { when: "before any refresh", refreshes: 0 },
    { when: "right after one", refreshes: 1 },
  ])("F20 $when: no refresh is started any more, and no reuse alarm is raised (I12)", async ({ refreshes }, { onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished);
    const user = await world.signIn();
    if (refreshes > 0) await world.until("it is refreshed", () => user.record().generation === 2);
    const { refreshToken } = user.record();
    expect(await signOut(world, user)).toBe("done");
    expect(world.isCurrent(refreshToken)).toBe(false);
    await world.pass(120);
    expect(world.count("presented")).toBe(refreshes);
    expect(world.count("reuse")).toBe(0);
  });

  test("F21 at a server whose revocation answers 503, then 200: answered at once, shown as pending, retried until it is done", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished);
    const user = await world.signIn();
    const { refreshToken } = user.record();
    const unavailable = world.server.set({ kind: "revocation", says: "unavailable" });
    expect(await signOut(world, user)).toBe("pending");
    const tries = (): number => world.server.requestsTo("revocation");
    await world.until("it was tried again", () => tries() >= 5);
    expect(user.record()).toMatchObject({ state: "ended", revocation: "pending" });
    expect(world.isCurrent(refreshToken)).toBe(true);
    unavailable.clear();
    await world.until("it is paid", () => user.record().revocation === "done", 120);
    expect(user.record().debts).toEqual([]);
    expect(world.isCurrent(refreshToken)).toBe(false);
    const before = tries();
    await world.pass(60);
    expect(tries()).toBe(before);
  });

  test("F21 at a server without revocation: answered at once, and the answer says that nothing could be revoked", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [{ kind: "revocation", says: "absent" }] });
    expect(await signOut(world, await world.signIn())).toBe("unsupported");
  });

  test("F22 and a new login within the second, the old one's refresh still under way: the new one is not touched, no reuse alarm", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished);
    const old = await world.signIn();
    const client = await world.connect(old);
    world.server.set(holds(world.hold, "request"), { next: 1 });
    await world.until("its refresh is under way", () => world.hold.size === 1);
    await client.mustCall("sign_out");
    await world.clock.advance(500);
    const again = await world.signIn();
    world.hold.open();
    await world.until("the old one is revoked", () => old.record().revocation === "done");
    expect(again.record()).toMatchObject({ state: "live", generation: 1 });
    await world.until("the new one is refreshed in its turn", () => again.record().generation === 3, 90);
    expect(await (await world.connect(again)).mustCall("me")).toMatchObject({ text: expect.stringContaining("alice") });
    expect(old.record()).toMatchObject({ state: "ended", accessTokens: [] });
    expect(world.count("reuse")).toBe(0);
    expect(world.isCurrent(again.record().refreshToken)).toBe(true);
  });

  test("F23 of one of two logins that share a grant: the other lives on, and the revocation waits for it", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [{ kind: "shared_grant" }] });
    const [first, second] = [await world.signIn(), await world.signIn()];
    const client = await world.connect(second);
    expect(await signOut(world, first)).toBe("shared");
    await world.until("the other one is refreshed", () => second.record().generation === 3, 90);
    expect(await client.mustCall("me")).toMatchObject({ text: expect.stringContaining("alice") });
    expect(world.server.requestsTo("revocation")).toBe(0);
    expect(await signOut(world, second)).toBe("done");
    await world.until("the first one is revoked as well", () => first.record().revocation === "done");
    expect([first, second].map((user) => user.record().debts)).toEqual([[], []]);
  });

  test("F23 of one of two logins that share a grant, where revoking at once is configured: both end", async ({ onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, { server: [{ kind: "shared_grant" }], policy: { sharedGrant: "revoke" } });
    const [first, second] = [await world.signIn(), await world.signIn()];
    expect(await signOut(world, first)).toBe("done");
    await world.until("the other one finds out", () => second.record().state === "login_required");
    expect(second.record().reason?.code).toBe("grant_dead");
  });
});

/** Ends the login session as the API does, and gives what it answers about the revocation. */
async function signOut({ latchkey }: FaultWorld, { login }: FaultUser): Promise<string> {
  return (await latchkey.core.logout.end(login.id, "logout", { waitForRevocationMs: 2_000 })).revocation;
}
