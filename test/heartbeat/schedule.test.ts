import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AccessToken, AccessTokenEntry } from "../../src/session/login-session.ts";
import { attemptLimitMs, backoffMs, callerBudgetMs, marginMs, refreshDueAt } from "../../src/token/times.ts";
import { makeBench } from "../support/token-bench.ts";

const target = { scopes: [] };

function holding(lifetimeMs: number, refreshLifetimeMs?: number, obtainedAt = 0) {
  const entry: AccessTokenEntry = {
    target,
    accessToken: "at" as AccessToken,
    grantedScopes: [],
    obtainedAt,
    expiresAt: obtainedAt + lifetimeMs,
  };
  return { accessTokens: [entry], refreshTokenExpiresAt: refreshLifetimeMs === undefined ? undefined : obtainedAt + refreshLifetimeMs };
}

describe("when a login session is due (R5)", () => {
  it("is 16.5 s to 22.5 s after a 30 s access token was obtained", () => {
    expect(refreshDueAt(holding(30_000), target, 0, () => 0)).toBe(16_500);
    expect(refreshDueAt(holding(30_000), target, 0, () => 0.999_999)).toBeCloseTo(22_500, 0);
  });

  it("is 15 s at the latest after a 30 s refresh token was obtained", () => {
    expect(refreshDueAt(holding(30_000, 30_000), target, 0, () => 0.999_999)).toBe(15_000);
    expect(refreshDueAt(holding(3_600_000, 30_000), target, 0, () => 0)).toBe(15_000);
  });

  it("lies between the formula's bounds for every lifetime, and never in the past (property)", () => {
    const seconds = fc.integer({ min: 10, max: 10 * 365 * 86_400 });
    fc.assert(
      fc.property(
        seconds,
        fc.option(seconds, { nil: undefined }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (access, refresh, random) => {
          const due = refreshDueAt(holding(access * 1000, refresh === undefined ? undefined : refresh * 1000), target, 0, () => random);
          expect(due).toBeLessThanOrEqual(access * 750 + 1);
          if (refresh !== undefined) expect(due).toBeLessThanOrEqual(refresh * 500);
          expect(due).toBeGreaterThanOrEqual(Math.min(access * 550, (refresh ?? Number.POSITIVE_INFINITY) * 500) - 1);
        },
      ),
    );
  });

  it("is not halved again and again towards the end of a refresh token that no refresh puts off (F41, I14)", async () => {
    const { clock, one, server, signIn } = makeBench({
      accessTokenSeconds: 300,
      refreshExpiresInSeconds: 3_600,
      refreshTokenSeconds: 3_600,
    });
    const end = clock.now() + 3_600_000;
    const refresh = server.refresh.bind(server);
    server.refresh = (request) => {
      const left = Math.max(1, Math.floor((end - clock.now()) / 1000));
      server.faults.push({ kind: "reply", fields: { refresh_expires_in: left } });
      return refresh(request);
    };
    await signIn();
    one.heartbeat.start();
    await clock.advance(3_599_000);
    // Every 0.65 x 300 s, as the bench's random number has it.
    expect(server.presentations.length).toBeLessThanOrEqual(3_600 / 195 + 1);
    await one.heartbeat.stop();
  });

  it("counts from the moment that the tokens were asked for, and is never sooner than a second (I13)", () => {
    expect(refreshDueAt(holding(30_000), target, 5_000, () => 0)).toBe(16_500);
    expect(refreshDueAt(holding(30_000), target, 60_000, () => 0)).toBe(61_000);
    for (const lifetime of [0, 1, 500]) expect(refreshDueAt(holding(lifetime), target, 0, () => 0)).toBe(1_000);
  });

  it("does not lie an hour ahead when the wall clock was set back by an hour in the meantime (F25)", () => {
    expect(refreshDueAt(holding(30_000, 60_000, 3_600_000), target, 0, () => 0.5)).toBeLessThanOrEqual(22_500);
  });

  it("is that of the target that is kept fresh, not of a token for another target that came later (I14)", () => {
    const other: AccessTokenEntry = {
      ...holding(30_000, undefined, 10_000).accessTokens[0],
      target: { resource: "https://x", scopes: [] },
    } as AccessTokenEntry;
    const record = { ...holding(30_000), accessTokens: [other, ...holding(30_000).accessTokens] };
    expect(refreshDueAt(record, target, 10_000, () => 0.5)).toBe(19_500);
  });
});

describe("the other times of core section 2", () => {
  it.each([
    [10, 2_000, 3_000, 3_000],
    [30, 6_000, 7_500, 7_500],
    [60, 12_000, 15_000, 8_000],
    [300, 60_000, 20_000, 8_000],
    [3600, 60_000, 20_000, 8_000],
  ])("for tokens of %i s", (seconds, margin, attempt, budget) => {
    expect(marginMs(seconds * 1000)).toBe(margin);
    expect(attemptLimitMs(seconds * 1000, {})).toBe(attempt);
    expect(callerBudgetMs(attempt)).toBe(budget);
    expect(attemptLimitMs(seconds * 1000, { timeoutSeconds: 5 })).toBe(5_000);
  });

  it("backs off exponentially with full jitter, bounded, and never without any wait", () => {
    expect(backoffMs(0, () => 1, 1_000, 60_000)).toBe(1_000);
    expect(backoffMs(3, () => 1, 1_000, 60_000)).toBe(8_000);
    expect(backoffMs(10_000, () => 1, 1_000, 60_000)).toBe(60_000);
    expect(backoffMs(3, () => 0, 1_000, 60_000)).toBe(800);
  });
});

describe("a healthy server (I14)", () => {
  it.each([
    { access: 10, refresh: undefined, latency: 2, interval: 250 },
    { access: 10, refresh: 30, latency: 2, interval: 250 },
    { access: 30, refresh: 30, latency: 2, interval: 1_000 },
    { access: 30, refresh: 600, latency: 2, interval: 1_000 },
    { access: 300, refresh: 60, latency: 2, interval: 1_000 },
  ])(
    "tokens of $access s and $refresh s, $latency s latency, an hour long: never expired, at most four refreshes in a life (F26)",
    async ({ access, refresh, latency, interval }) => {
      let seed = 1;
      const random = (): number => {
        seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
        return seed / 2 ** 31;
      };
      const clockRef: { advanceLater?: (run: () => void) => void } = {};
      const { clock, one, server, signIn, history } = makeBench(
        {
          accessTokenSeconds: access,
          ...(refresh === undefined ? {} : { refreshExpiresInSeconds: refresh, refreshTokenSeconds: refresh }),
          pause: (point) => (point === "request" ? new Promise((resolve) => clockRef.advanceLater?.(resolve)) : Promise.resolve()),
        },
        { random, heartbeat: { intervalMs: interval } },
      );
      clockRef.advanceLater = (run) => void clock.schedule(latency * 1000, run);
      const { login, record } = await signIn();
      one.heartbeat.start();
      const hourMs = (access >= 300 ? 1 : 0.5) * 3_600_000;
      let expired = 0;
      for (let elapsed = 0; elapsed < hourMs; elapsed += 500) {
        await clock.advance(500);
        const newest = login.current().accessTokens[0];
        if (newest === undefined || newest.expiresAt <= clock.now()) expired += 1;
      }
      expect(expired).toBe(0);
      expect(login.current().state).not.toBe("login_required");
      const perLife = (server.presentations.length * access * 1000) / hourMs;
      expect(perLife).toBeLessThanOrEqual(Math.max(4, refresh === undefined ? 0 : (2.5 * access) / refresh));
      expect(perLife).toBeGreaterThan(1);
      expect(history.check({ healthy: true })).toEqual([]);
      expect(record.generation).toBe(1);
      const stopped = one.heartbeat.stop();
      await clock.advance(latency * 1000);
      await stopped;
    },
  );

  it("keeps the login's own token fresh while tokens for other targets are asked for (I14)", async () => {
    const { clock, one, signIn } = makeBench({}, { random: () => 0.999 });
    const { login } = await signIn();
    one.heartbeat.start();
    for (let second = 0; second < 300; second += 1) {
      if (second % 10 === 5) await one.tokens.acquire(login, { resource: `https://api-${second % 30}.example`, scopes: [] });
      await clock.advance(1_000);
      const own = login.current().accessTokens.find((each) => each.target.resource === undefined);
      expect(own?.expiresAt).toBeGreaterThan(clock.now());
    }
    await one.heartbeat.stop();
  });

  it("refreshes 2,000 login sessions of 30 s tokens in time, however few are worked on at one time (I14)", async () => {
    const { clock, one, server, store, history } = makeBench({}, { heartbeat: { intervalMs: 1_000, concurrency: 16 }, random: () => 0.5 });
    for (let each = 0; each < 2_000; each += 1) await one.logins.start(server.signIn("alice"), { kind: "demo" });
    one.heartbeat.start();
    await clock.advance(29_000);
    expect(server.presentations).toHaveLength(2_000);
    expect(store.sizes().records).toBe(2_000);
    expect(history.check({ healthy: true })).toEqual([]);
    await one.heartbeat.stop();
  });
});

describe("lifetimes that no timer can hold (F19)", () => {
  it.each([30 * 86_400, 10 * 365 * 86_400])("%i s: no storm, and no timer longer than the next look", async (seconds) => {
    const { clock, one, server, signIn } = makeBench({ accessTokenSeconds: seconds });
    const { login } = await signIn();
    one.heartbeat.start();
    await clock.advance(120_000);
    expect(server.presentations).toHaveLength(0);
    expect(login.current().nextDueAt).toBeGreaterThan(clock.now() + 86_400_000);
    expect(clock.pending).toBe(1);
    await one.heartbeat.stop();
    expect(clock.pending).toBe(0);
  });
});
