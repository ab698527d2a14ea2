import { describe, expect, test } from "vitest";
import type { RefreshOutcome } from "../../src/token/ports.ts";
import { makeBench, tryAcquire } from "../support/token-bench.ts";

/** Five thousand login sessions, ten minutes: the token service, the heartbeat and the store, with an authorization server in memory. */
describe("an outage of ten minutes with 5,000 login sessions", { timeout: 120_000 }, () => {
  test("F13 502 without introspection: none is dead, all recover", () => survive({ kind: "ambiguous", cause: new Error("502") }));

  test("F27 connections refused: the load is bounded, all recover", () => survive({ kind: "not_sent", cause: new Error("refused") }));
});

async function survive(outcome: RefreshOutcome): Promise<void> {
  const { clock, one, server, signIn } = makeBench({ accessTokenSeconds: 300 }, { concurrencyPerIssuer: 16 });
  const logins = [];
  for (let user = 0; user < 5_000; user += 1) logins.push((await signIn(`user-${user}`)).login);
  one.heartbeat.start();
  await clock.advance(10_000);
  server.outage = outcome;
  await clock.advance(600_000);
  // Sixteen at a time until five have failed; then one probe within half a second to five.
  expect(server.presentations.length).toBeLessThan(16 + 5 + 1_200);
  expect(server.presentations.length).toBeGreaterThan(60);
  expect(new Set(logins.map((login) => login.current().state))).not.toContain("login_required");
  server.outage = undefined;
  await clock.advance(120_000);
  expect(logins.filter((login) => login.current().generation < 2)).toEqual([]);
  for (const login of logins) expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.any(String) });
  expect(server.mostOpen).toBeLessThanOrEqual(16);
  expect(server.reuseEvents).toBe(0);
  await one.heartbeat.stop();
}
