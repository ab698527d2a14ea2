import type { LoginSession } from "../session/login-session.ts";
import { refreshDueAt } from "./times.ts";
import type { TokenCore } from "./token-core.ts";

type LimitCore = Pick<TokenCore, "policy" | "sessions" | "issuers" | "random">;

/** The limit that this login session has reached. It is kept alive while a connection is bound to it, or its idle limit has not passed. */
export function limitReached(core: LimitCore, record: LoginSession, now: number): "idle" | "absolute_limit" | undefined {
  if (now >= absoluteLimitAt(core, record)) return "absolute_limit";
  if (now >= idleLimitAt(core, record, now)) return "idle";
  return undefined;
}

/** When background work must look at a live login session next: for its refresh, or for a limit that comes before it. */
export function liveDueAt(core: LimitCore, record: LoginSession, now: number): number {
  const { defaultTarget } = core.issuers.mustGet(record.authorizationServer).policy;
  const refresh = refreshDueAt(record, defaultTarget, now, core.random);
  return Math.min(refresh, absoluteLimitAt(core, record), idleLimitAt(core, record, now));
}

/** True when it is due for nothing but a look at its idle limit, and was used since. */
export function isDueForIdleOnly(core: LimitCore, record: LoginSession, now: number): boolean {
  const written = record.lastUsedAt + core.policy.idleLimitSeconds * 1000;
  return record.state === "live" && record.nextDueAt === written && liveDueAt(core, record, now) > now + 1_000;
}

function absoluteLimitAt({ policy }: LimitCore, record: LoginSession): number {
  if (policy.absoluteLimitSeconds === undefined) return Number.POSITIVE_INFINITY;
  return (record.repairedAt ?? record.createdAt) + policy.absoluteLimitSeconds * 1000;
}

function idleLimitAt({ policy, sessions }: LimitCore, record: LoginSession, now: number): number {
  const usedAt = sessions.isWatched(record.id) ? now : sessions.lastUseOf(record);
  return usedAt + policy.idleLimitSeconds * 1000;
}
