import { describe, expect, test } from "vitest";
import { sleep } from "../../src/clock.ts";
import type { WatchedLoginSession } from "../../src/session/login-sessions.ts";
import type { RefreshOutcome } from "../../src/token/ports.ts";
import { makeBench, tryAcquire } from "../support/token-bench.ts";

const concurrency = 16;
const perSecond = 500;
const latencyMs = 40;
/** Sixteen at a time, 40 ms each, are 400 refreshes in a second: 5,000 take 13 s, and some leeway for probes and leases. */
const recoveryMs = 40_000;

/** Five thousand login sessions, ten minutes: the token service, the heartbeat and the store, with an authorization server in memory. */
describe("an outage of ten minutes with 5,000 login sessions", { timeout: 300_000 }, () => {
  test.for([30, 300])("F13 502 without introspection, %i s access tokens: none is dead, all recover", (seconds) =>
    survive({ kind: "ambiguous", cause: new Error("502") }, seconds),
  );

  test.for([30, 300])("F27 connections refused, %i s access tokens: the load is bounded (I13), all recover", (seconds) =>
    survive({ kind: "not_sent", cause: new Error("refused") }, seconds),
  );

  test("F27 429 with Retry-After of two minutes to everybody: hardly anybody asks, all recover", () =>
    survive({ kind: "refused", retryAfterSeconds: 120, cause: new Error("429") }, 300, 10));
});

async function survive(outcome: RefreshOutcome, accessTokenSeconds: number, fewestProbes = 60): Promise<void> {
  const bench = makeBench(
    { accessTokenSeconds, pause: (point) => (point === "request" ? sleep(bench.clock, latencyMs) : Promise.resolve()) },
    {
      concurrencyPerIssuer: concurrency,
      refreshesPerSecondPerIssuer: perSecond,
      heartbeat: { concurrency: 256, leaseMs: 5_000 },
      random: jumble(),
    },
  );
  const { clock, one, server, signIn } = bench;
  const logins: WatchedLoginSession[] = [];
  for (let user = 0; user < 5_000; user += 1) logins.push((await signIn(`user-${user}`)).login);
  one.heartbeat.start();
  await clock.advance(10_000);
  server.outage = outcome;
  await clock.advance(600_000);
  // Sixteen at a time until five have failed; then one probe within half a second to five.
  expect(server.presentations.length).toBeLessThan(concurrency + 5 + 1_200);
  expect(server.presentations.length).toBeGreaterThan(fewestProbes);
  expect(new Set(logins.map((login) => login.current().state))).not.toContain("login_required");

  server.outage = undefined;
  const wasAskedFor = server.presentations.length;
  if (retryAfterOf(outcome) === 0) {
    await clock.advance(6_000);
    // While thousands queue, a user is served within a few refreshes' time.
    const behind = logins.filter(isBehind);
    expect(behind.length).toBeGreaterThan(1_000);
    const call = Promise.all(behind.slice(-1).map((login) => tryAcquire(one, login)));
    await clock.advance(4 * latencyMs);
    expect(await call).toMatchObject([{ accessToken: expect.any(String) }]);
  }
  await clock.advance(recoveryMs + retryAfterOf(outcome));
  expect(logins.filter(isBehind)).toEqual([]);
  const calls = logins.map((login) => tryAcquire(one, login));
  await clock.advance(20_000);
  for (const result of await Promise.all(calls)) expect(result).toMatchObject({ accessToken: expect.any(String) });
  expect(server.mostOpen).toBeLessThanOrEqual(concurrency);
  const starts = server.presentations.slice(wasAskedFor).map(({ startedAt }) => startedAt);
  expect(mostWithin(starts, 1_000)).toBeLessThanOrEqual(2 * perSecond);
  expect(mostWithin(starts, 10_000)).toBeLessThanOrEqual(11 * perSecond);
  expect(server.reuseEvents).toBe(0);
  const stopped = one.heartbeat.stop();
  await clock.advance(10_000);
  await stopped;
}

function isBehind(login: WatchedLoginSession): boolean {
  return login.current().generation < 2;
}

function retryAfterOf(outcome: RefreshOutcome): number {
  return "retryAfterSeconds" in outcome ? (outcome.retryAfterSeconds ?? 0) * 1000 : 0;
}

/** The most of these moments, in their order, that lie within so many milliseconds of each other. */
function mostWithin(moments: readonly number[], spanMs: number): number {
  let most = 0;
  let from = 0;
  for (const [index, moment] of moments.entries()) {
    while ((moments[from] ?? moment) <= moment - spanMs) from += 1;
    most = Math.max(most, index - from + 1);
  }
  return most;
}

/** Numbers in [0, 1), always the same ones, without a pattern that matters here. */
function jumble(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
