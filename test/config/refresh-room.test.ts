import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findRefreshRoomProblem, type RefreshTimes } from "../../src/config/refresh-room.ts";
import { load, problemsOf, withServer } from "./loading.ts";

const names = {
  refreshTokenLifetime: "authorizationServers.main.refreshTokenLifetimeSeconds",
  timeout: "refresh.timeoutSeconds",
  interval: "heartbeat.intervalSeconds",
};

describe("a refresh must be over before the refresh token ends (R5)", () => {
  test("30 s refresh tokens with 30 s access tokens leave room: refreshed after 15 s at the latest, within 7.5 s", () => {
    expect(problemsOf(withServer({ accessTokenLifetimeSeconds: 30, refreshTokenLifetimeSeconds: 30 }))).toEqual([]);
  });

  test("30 s refresh tokens alone leave room: access tokens are taken to live no longer", () => {
    expect(problemsOf(withServer({ refreshTokenLifetimeSeconds: 30 }))).toEqual([]);
  });

  test("a heartbeat every 25 s against a 30 s refresh token is refused, with both values", () => {
    expect(problemsOf(withServer({ refreshTokenLifetimeSeconds: 30 }, { heartbeat: { intervalSeconds: 25 } }))).toEqual([
      "refresh after 15 s plus heartbeat.intervalSeconds (25) plus up to 7.5 s for the refresh itself must come before authorizationServers.main.refreshTokenLifetimeSeconds (30): set heartbeat.intervalSeconds to 0.25",
    ]);
  });

  test("a refresh that may take 20 s against a 30 s refresh token is refused, with both values", () => {
    expect(problemsOf(withServer({ refreshTokenLifetimeSeconds: 30 }, { refresh: { timeoutSeconds: 20 } }))).toEqual([
      "refresh after 15 s plus refresh.timeoutSeconds (20) must come before authorizationServers.main.refreshTokenLifetimeSeconds (30): set refresh.timeoutSeconds to less than 14.75",
    ]);
  });

  test("long access tokens against a short refresh token are refused with the way out", () => {
    const lifetimes = { accessTokenLifetimeSeconds: 300, refreshTokenLifetimeSeconds: 30 };
    expect(problemsOf(withServer(lifetimes))).toEqual([
      "refresh after 15 s plus up to 20 s for the refresh itself must come before authorizationServers.main.refreshTokenLifetimeSeconds (30): set refresh.timeoutSeconds to less than 14.75",
    ]);
    expect(problemsOf(withServer(lifetimes, { refresh: { timeoutSeconds: 14 } }))).toEqual([]);
  });

  test("refresh tokens so short that no setting helps are refused as such", () => {
    expect(problemsOf(withServer({ refreshTokenLifetimeSeconds: 2 }))).toEqual([
      "refresh after 1 s plus up to 3 s for the refresh itself must come before authorizationServers.main.refreshTokenLifetimeSeconds (2): let refresh tokens live longer",
    ]);
  });

  test("each authorization server is checked by itself", () => {
    const server = { issuer: "https://login.example.com", clientId: "latchkey" };
    const problems = problemsOf({
      authorizationServers: {
        slow: { ...server, refreshTokenLifetimeSeconds: 86_400 },
        fast: { ...server, refreshTokenLifetimeSeconds: 30 },
        faster: { ...server, refreshTokenLifetimeSeconds: 20 },
      },
      refresh: { timeoutSeconds: 20 },
    });
    expect(problems).toEqual([
      expect.stringContaining("authorizationServers.fast.refreshTokenLifetimeSeconds (30)"),
      expect.stringContaining("authorizationServers.faster.refreshTokenLifetimeSeconds (20)"),
    ]);
  });

  test("an unknown lifetime is not guessed at", () => {
    expect(load(withServer({}, { refresh: { timeoutSeconds: 120 } })).ok).toBe(true);
  });
});

const times: fc.Arbitrary<RefreshTimes> = fc.record({
  accessTokenLifetimeSeconds: fc.option(fc.integer({ min: 1, max: 4000 }), { nil: undefined }),
  refreshTokenLifetimeSeconds: fc.integer({ min: 1, max: 4000 }),
  timeoutSeconds: fc.option(fc.integer({ min: 1, max: 120 }), { nil: undefined }),
  intervalSeconds: fc.constantFrom(0.25, 1, 5, 25, 60),
});

test("accepts exactly what leaves room, and its advice is good", () => {
  fc.assert(
    fc.property(times, (given) => {
      const refreshToken = given.refreshTokenLifetimeSeconds ?? 0;
      const accessToken = given.accessTokenLifetimeSeconds ?? refreshToken;
      const due = Math.min(0.75 * accessToken, refreshToken / 2);
      const attempt = given.timeoutSeconds ?? Math.min(20, Math.max(3, accessToken / 4));
      const problem = findRefreshRoomProblem(given, names);
      expect(problem === undefined).toBe(due + given.intervalSeconds + attempt < refreshToken);
      if (problem === undefined) return;
      const shorter = /timeoutSeconds to less than ([\d.]+)/.exec(problem)?.[1];
      if (shorter !== undefined) {
        const advised = { ...given, intervalSeconds: 0.25, timeoutSeconds: Number(shorter) - 0.02 };
        expect(findRefreshRoomProblem(advised, names)).toBeUndefined();
      }
    }),
  );
});
