import { describe, expect, test } from "vitest";
import type { AnswerBehaviour } from "../../src/testing/index.ts";
import { FaultWorld, type FaultWorldOptions, forgives30Seconds, introspects } from "./fault-world.ts";
import { answers, cutOff, dropReply, dropRequest, spoils } from "./presentation-faults.ts";

const users = 60;
const seed = 20_261_124;

/** Replies that are produced and reach no process, and requests that never arrive. */
const losses: readonly AnswerBehaviour[] = [dropReply, cutOff, spoils(200, "<html>sign in</html>"), spoils(502, "")];
const noArrivals: readonly AnswerBehaviour[] = [dropRequest, answers(502)];

/**
 * 60 logins of which every third refresh token, by chance, meets a fault at its first presentation, for two minutes; then
 * three minutes without. Gives the logins whose reply was produced and reached nobody.
 */
async function run(world: FaultWorld): Promise<ReadonlySet<string>> {
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  for (let user = 0; user < users; user += 1) {
    await world.signIn(`user-${user}`);
    await world.pass(0.25);
  }
  const seen = new Set<string>();
  const lost = new Set<string>();
  world.server.choose(({ subject = "", family, generation }) => {
    const refreshToken = `${family} ${generation}`;
    const isFirst = !seen.has(refreshToken);
    seen.add(refreshToken);
    if (!isFirst || random() >= 1 / 3) return undefined;
    const isLost = random() < 0.5;
    if (isLost) lost.add(subject);
    return pick(isLost ? losses : noArrivals);
  });
  await world.pass(120);
  world.server.clear();
  await world.pass(180);
  expect(lost.size).toBeGreaterThan(10);
  return lost;
}

function statesOf(world: FaultWorld, lost: ReadonlySet<string>): readonly string[] {
  return world.users.map((user) => {
    const { state, reason } = user.record();
    return `${lost.has(user.subject) ? "lost" : "kept"}: ${reason === undefined ? "alive" : `${state}(${reason.code})`}`;
  });
}

describe.concurrent("60 logins with random faults", { timeout: 60_000 }, () => {
  const start = (atEnd: Parameters<typeof FaultWorld.start>[0], options: FaultWorldOptions): Promise<FaultWorld> =>
    FaultWorld.start(atEnd, options);

  test("trusted introspection: no reuse, and lost are exactly those whose reply reached nobody (I1, I4)", async ({ onTestFinished }) => {
    const world = await start(onTestFinished, { server: [introspects] });
    const lost = await run(world);
    expect(new Set(statesOf(world, lost))).toEqual(new Set(["lost: login_required(lost_reply)", "kept: alive"]));
    expect(world.count("reuse")).toBe(0);
  });

  test("a grace period of 30 s: none is lost (I10)", async ({ onTestFinished }) => {
    const world = await start(onTestFinished, { server: [forgives30Seconds], policy: { reuseLeewaySeconds: 30 } });
    const lost = await run(world);
    expect(new Set(statesOf(world, lost))).toEqual(new Set(["lost: alive", "kept: alive"]));
    expect(world.count("reuse")).toBe(0);
  });

  test("neither: every one whose request had not arrived is saved (I10)", async ({ onTestFinished }) => {
    const world = await start(onTestFinished, {});
    const lost = await run(world);
    expect(new Set(statesOf(world, lost))).toEqual(new Set(["lost: login_required(lost_reply)", "kept: alive"]));
  });
});

/** Mulberry32: small, good enough, and the same everywhere. */
function seededRandom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
