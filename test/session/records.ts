import type {
  AccessToken,
  Attempt,
  AttemptId,
  LoginSession,
  LoginSessionHandle,
  LoginSessionId,
  LoginSessionState,
  RefreshToken,
  RefreshTokenHash,
} from "../../src/session/login-session.ts";

/** A live login session with plausible content. Each call with another name is another one. */
export function aLoginSession(name: string, overrides: Partial<LoginSession> = {}): LoginSession {
  return {
    id: `id-${name}` as LoginSessionId,
    handle: `ls_${name}` as LoginSessionHandle,
    authorizationServer: "main",
    principal: { issuer: "https://as.example", subject: "alice", clientId: "client" },
    profile: { name: "Alice" },
    origin: { kind: "demo" },
    createdAt: 1_000,
    lastUsedAt: 1_000,
    epoch: 1,
    generation: 1,
    version: 1,
    state: "live",
    refreshToken: `rt-${name}` as RefreshToken,
    refreshTokenHash: `hash-of-rt-${name}` as RefreshTokenHash,
    accessTokens: [
      { target: { scopes: [] }, accessToken: `at-${name}` as AccessToken, grantedScopes: [], obtainedAt: 1_000, expiresAt: 31_000 },
    ],
    attempts: [],
    observed: { rotation: "unknown", introspection: "unknown" },
    health: { failures: 0, refusals: 0 },
    revocation: "none",
    debts: [],
    nextDueAt: 20_000,
    ...overrides,
  };
}

export const openAttempt: Attempt = {
  id: "attempt-1" as AttemptId,
  epoch: 1,
  generation: 1,
  owner: "replica-1",
  claimedAt: 1_500,
  deadline: 9_000,
  target: { scopes: [] },
  reason: "due",
  lost: false,
};

/** The same record in another state, with what that state must and must not hold, one version later. */
export function inState(record: LoginSession, state: LoginSessionState, overrides: Partial<LoginSession> = {}): LoginSession {
  const silent = state === "ended" || state === "login_required";
  const reason = state === "ended" ? ("logout" as const) : ("grant_dead" as const);
  return {
    ...record,
    version: record.version + 1,
    state,
    ...(silent
      ? { refreshToken: undefined, accessTokens: [], reason: { code: reason, at: 2_000 } }
      : { reason: undefined, refreshToken: "rt-2" as RefreshToken, accessTokens: aLoginSession("x").accessTokens }),
    ...(state === "refreshing" ? { attempts: [openAttempt] } : {}),
    ...overrides,
  };
}
