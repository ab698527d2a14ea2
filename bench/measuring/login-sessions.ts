import type { LoginSession } from "../../src/session/login-session.ts";
import { newHandle, newLoginSessionId } from "../../src/session/random.ts";
import { brandAccessToken, brandRefreshToken } from "../servers/latchkey-core.ts";

/** A login session of usual size. */
export function aRecord(index: number): LoginSession {
  // As long as a JWT.
  const token = `token-${index}-`.padEnd(900, "x");
  return {
    id: newLoginSessionId(),
    handle: newHandle(),
    authorizationServer: "main",
    principal: { issuer: "https://login.example.com", subject: `user-${index}`, clientId: "bench" },
    profile: {},
    origin: { kind: "browser" },
    createdAt: index,
    lastUsedAt: index,
    epoch: 1,
    generation: 1,
    version: 1,
    state: "live",
    refreshToken: brandRefreshToken(`refresh-${index}`),
    accessTokens: [{ target: { scopes: [] }, accessToken: brandAccessToken(token), grantedScopes: [], obtainedAt: 1, expiresAt: 2 }],
    attempts: [],
    observed: { rotation: "unknown", introspection: "unknown" },
    health: { failures: 0, refusals: 0 },
    revocation: "none",
    debts: [],
    nextDueAt: index,
  };
}

/** Runs `run` for each, `atOnce` at one time. */
export async function inLanes(
  all: readonly LoginSession[],
  atOnce: number,
  run: (record: LoginSession) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let record = all[next++]; record !== undefined; record = all[next++]) await run(record);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

/** How many of `count` there are in a second. */
export async function rate(count: number, run: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await run();
  return (count / (performance.now() - begun)) * 1000;
}
