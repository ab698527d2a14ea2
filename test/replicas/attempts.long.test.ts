import { describe, expect, test } from "vitest";
import { eventually } from "../support/e2e-wait.ts";
import type { AtEnd } from "../support/e2e-world.ts";
import { presentationProblems } from "./chaos.ts";
import { Fleet, type Replica } from "./fleet.ts";
import { type SharedStoreKind, sharedStoreKinds } from "./shared-stores.ts";

type Skip = (condition: boolean, why?: string) => void;

async function twoReplicas(kind: SharedStoreKind, atEnd: AtEnd, skip: Skip): Promise<Fleet> {
  const missing = await kind.missing();
  skip(missing !== undefined, missing);
  return Fleet.start(atEnd, kind, { replicas: 2, accessTokenSeconds: 20 });
}

/** The replica that presented last. */
function presenterOf(fleet: Fleet, before: ReadonlyMap<Replica, number>): Replica | undefined {
  return fleet.replicas.find((replica) => presentedBy(replica) > (before.get(replica) ?? 0));
}

function presentedBy(replica: Replica): number {
  return replica.program?.stderr.split("refresh_presented").length ?? 0;
}

describe.concurrent.each(sharedStoreKinds)("an attempt whose process is killed or stands still: $name", (kind) => {
  test("F7 kill -9 after the claim, before the request counts: another replica presents the same token, and the login lives (I2, I14)", async ({
    onTestFinished,
    skip,
  }) => {
    const fleet = await twoReplicas(kind, onTestFinished, skip);
    const user = await fleet.signIn("alice");
    const before = new Map(fleet.replicas.map((replica) => [replica, presentedBy(replica)]));
    const never = Promise.withResolvers<void>();
    const rule = fleet.server.set({ kind: "held", until: never.promise, at: "before" }, { target: "refresh", next: 1 });
    const count = fleet.server.ledger.refreshes.length;
    await eventually("it is being presented", () => fleet.server.ledger.refreshes.length > count, 40_000);
    const presenter = await eventually("somebody presented it", () => presenterOf(fleet, before));
    await presenter.kill();
    rule.clear();
    await fleet.sessionWhen(user, "refreshed by the other", () =>
      fleet.server.ledger.refreshes.some((entry) => entry.family === user.family && entry.generation === 1 && entry.outcome === "rotated"),
    );
    await fleet.sessionWhen(user, "live", ({ state }) => state === "live");
    expect(fleet.server.ledger.reuseEvents).toEqual([]);
  });

  test("F8 kill -9 while a reply waits for its verification: it is verified after the restart, without another presentation (I4)", async ({
    onTestFinished,
    skip,
  }) => {
    const fleet = await twoReplicas(kind, onTestFinished, skip);
    const user = await fleet.signIn("alice");
    fleet.server.rotateKeys();
    fleet.server.set({ kind: "unavailable", status: 503 }, { target: "jwks" });
    await fleet.sessionWhen(
      user,
      "waiting to be verified",
      ({ lastFailure }) => JSON.stringify(lastFailure ?? "").includes("unverified"),
      40_000,
    );
    const presented = fleet.server.ledger.refreshes.length;
    for (const replica of fleet.replicas) await replica.kill();
    fleet.server.clear();
    fleet.server.set({ kind: "access_token_life", seconds: 20 });
    for (const replica of fleet.replicas) await replica.start();
    await fleet.sessionWhen(user, "live", ({ state, failures }) => state === "live" && failures === 0);
    for (const replica of fleet.replicas) expect(await replica.me(user)).toMatchObject({ kind: "answer", structured: { sub: "alice" } });
    const after = fleet.server.ledger.refreshes.slice(presented);
    expect(after.filter(({ presentedAs }) => presentedAs !== "current")).toEqual([]);
    expect(presentationProblems(fleet.server.ledger.refreshes)).toEqual([]);
  });

  test("F11 SIGSTOP of the presenter past its time, then SIGCONT: the reply that lay in its socket brings the login back, and no family is killed (I4)", async ({
    onTestFinished,
    skip,
  }) => {
    const fleet = await twoReplicas(kind, onTestFinished, skip);
    const user = await fleet.signIn("alice");
    const before = new Map(fleet.replicas.map((replica) => [replica, presentedBy(replica)]));
    const released = Promise.withResolvers<void>();
    const rule = fleet.server.set({ kind: "held", until: released.promise, at: "after" }, { target: "refresh" });
    const count = fleet.server.ledger.refreshes.length;
    await eventually("it is being presented", () => fleet.server.ledger.refreshes.length > count, 40_000);
    const presenter = await eventually("somebody presented it", () => presenterOf(fleet, before));
    const other = fleet.replicas.find((replica) => replica !== presenter);
    presenter.program?.child.kill("SIGSTOP");
    released.resolve();
    rule.clear();
    await eventually(
      "the other gave it up",
      async () => (await other?.api("GET", `/${user.handle}`))?.json["state"] === "login_required",
      60_000,
    );
    presenter.program?.child.kill("SIGCONT");
    await fleet.sessionWhen(user, "live again", ({ state }) => state === "live");
    for (const replica of fleet.replicas) expect(await replica.me(user)).toMatchObject({ kind: "answer", structured: { sub: "alice" } });
    expect(fleet.server.ledger.reuseEvents).toEqual([]);
    expect(presentationProblems(fleet.server.ledger.refreshes)).toEqual([]);
  });
});
