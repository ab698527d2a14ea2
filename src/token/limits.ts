import type { LoginSession, RevocationDebt } from "../session/login-session.ts";
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
  return Math.min(refresh, absoluteLimitAt(core, record), idleLimitAt(core, record, now), Math.max(now + 1, debtsDueAt(core, record)));
}

/** True when it is due for nothing but a look at its idle limit, and was used since. */
export function isDueForIdleOnly(core: LimitCore, record: LoginSession, now: number): boolean {
  const written = record.lastUsedAt + core.policy.idleLimitSeconds * 1000;
  return record.state === "live" && record.nextDueAt === written && liveDueAt(core, record, now) > now + 1_000;
}

/** When the next debt that may be paid while the login session lives is to be tried; never, where there is none. */
export function debtsDueAt({ issuers }: Pick<LimitCore, "issuers">, record: LoginSession): number {
  const { sharedGrant } = issuers.mustGet(record.authorizationServer).policy;
  return record.debts.reduce(
    (soonest, debt) => (livesOnGrantOf(record, debt, sharedGrant) ? soonest : Math.min(soonest, debt.nextTryAt)),
    Number.POSITIVE_INFINITY,
  );
}

/**
 * Whether revoking this debt could end the login session that owes it: the login that was replaced and the one that
 * replaced it may share a grant at the authorization server, unless their `sid` say otherwise (F23).
 */
export function livesOnGrantOf(record: LoginSession, debt: RevocationDebt, sharedGrant: "wait" | "revoke"): boolean {
  if (record.state === "login_required" || record.state === "ended") return false;
  if (sharedGrant === "revoke" || debt.foreign) return false;
  const { sid } = record.principal;
  return sid === undefined || debt.sid === undefined || sid === debt.sid;
}

function absoluteLimitAt({ policy }: LimitCore, record: LoginSession): number {
  if (policy.absoluteLimitSeconds === undefined) return Number.POSITIVE_INFINITY;
  return (record.repairedAt ?? record.createdAt) + policy.absoluteLimitSeconds * 1000;
}

function idleLimitAt({ policy, sessions }: LimitCore, record: LoginSession, now: number): number {
  const usedAt = sessions.isWatched(record.id) ? now : sessions.lastUseOf(record);
  return usedAt + policy.idleLimitSeconds * 1000;
}
