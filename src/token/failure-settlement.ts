import type { AccessTokenTarget, Attempt, Health, LoginSession } from "../session/login-session.ts";
import { targetKey } from "../session/login-session.ts";
import { applyOutcome } from "./apply-change.ts";
import type { FlightResult } from "./flight-result.ts";
import type { GateTicket, GateVerdict } from "./issuer-gate.ts";
import { liveDueAt } from "./limits.ts";
import { nextLostReplyStep } from "./lost-reply.ts";
import type { RefreshOutcome } from "./ports.ts";
import { failed, markLost, requireLogin, settle } from "./record-changes.ts";
import { attemptLimitOf, backoffMs, endOf, entryFor, lastExpiry, lifetimeMs, marginMs } from "./times.ts";
import type { TokenCore } from "./token-core.ts";

type Failure = Exclude<RefreshOutcome, { kind: "rotated" }>;

/** So many refusals, over at least this time (or two lifetimes), while others are served, end a login. */
const lastingRefusals = 3;
const lastingRefusalMs = 600_000;

/** Writes what a failed presentation means for the login session (core table of failures). Only a dead grant and a lasting refusal end one. */
export async function settleFailure(
  core: TokenCore,
  claimed: LoginSession,
  attempt: Attempt,
  outcome: Failure,
  ticket: GateTicket,
): Promise<FlightResult> {
  const told = failureOf(outcome);
  ticket.leave(
    isRefusedLikeAll(core, claimed, outcome) ? { kind: "client_broken", retryAfterSeconds: told?.retryAfterSeconds } : verdictOf(outcome),
  );
  const record = await applyOutcome(core, claimed.id, (current) => changeFor(core, current, claimed, attempt, outcome));
  core.audit.record({
    event: "refresh_failed",
    login: claimed.handle,
    issuer: claimed.principal.issuer,
    kind: outcome.kind,
    generation: claimed.generation,
    cause: outcome.cause,
  });
  if (record?.state === "login_required") core.audit.record({ event: "login_required", login: record.handle, reason: record.reason?.code });
  return { record, failure: told };
}

function changeFor(
  core: TokenCore,
  current: LoginSession,
  claimed: LoginSession,
  attempt: Attempt,
  outcome: Failure,
): LoginSession | undefined {
  const now = core.clock.now();
  const health = current.health;
  switch (outcome.kind) {
    case "not_sent":
    case "server_error":
    case "client_broken": {
      const wait = backoffMs(health.failures, core.random, 250, 5_000);
      const retryAfter = "retryAfterSeconds" in outcome ? (outcome.retryAfterSeconds ?? 0) * 1000 : 0;
      const notBefore = now + Math.max(wait, retryAfter);
      const nextDueAt = Math.max(notBefore, now + backoffMs(health.failures, core.random, 1_000, 30_000));
      return settle(current, attempt.id, failed(health, outcome.kind, now, notBefore), nextDueAt);
    }
    case "refused":
      return changeForRefusal(core, current, attempt, outcome, now);
    case "ambiguous":
      return changeForLostReply(core, current, attempt, now);
    case "grant_dead":
      return changeForDeadGrant(core, current, claimed, attempt, now);
  }
}

function changeForRefusal(
  core: TokenCore,
  current: LoginSession,
  attempt: Attempt,
  outcome: Extract<Failure, { kind: "refused" }>,
  now: number,
): LoginSession | undefined {
  const { defaultTarget } = core.issuers.mustGet(current.authorizationServer).policy;
  // The caller asked for more than the grant has: the login session itself is well, and due when it was due before.
  if (isAboutTarget(attempt, outcome, defaultTarget)) return settle(current, attempt.id, current.health, liveDueAt(core, current, now));
  const expiry = lastExpiry(current, now);
  const base = failed(current.health, "refused", now);
  if (now >= expiry && isLasting(current, base, now) && areOthersServed(core, current, base))
    return requireLogin(current, "refused", now, { revoke: [], purgeAt: now + core.policy.idleLimitSeconds * 1000 });
  // Of what was asked for: a token for another target that lives longer must not put off the next try.
  const entry = entryFor(current, attempt.target);
  const end = entry === undefined ? now : endOf(entry, now);
  const life = entry === undefined ? lifetimeMs(current) : entry.expiresAt - entry.obtainedAt;
  const nearExpiry = end - attemptLimitOf(current, core.policy, attempt.target) - marginMs(life);
  const wait = now + Math.max(backoffMs(current.health.failures, core.random), (outcome.retryAfterSeconds ?? 0) * 1000);
  // A server may refuse a refresh that comes too early: while there is time, the next try waits for the end.
  const notBefore = Math.max(wait, Math.min(nearExpiry, end));
  return settle(current, attempt.id, { ...base, notBefore }, notBefore);
}

/** Of the login's own target it cannot be: that was granted, and refusing it is a refusal like any other. */
function isAboutTarget(attempt: Attempt, outcome: Extract<Failure, { kind: "refused" }>, defaultTarget: AccessTokenTarget): boolean {
  const code = outcome.errorCode;
  return (code === "invalid_scope" || code === "invalid_target") && targetKey(attempt.target) !== targetKey(defaultTarget);
}

/** So often and so long that it is no passing mood of the server. */
function isLasting(record: LoginSession, health: Health, now: number): boolean {
  const first = health.firstRefusalAt ?? now;
  return health.refusals >= lastingRefusals && now - first >= Math.max(lastingRefusalMs, 2 * lifetimeMs(record));
}

/** Whether another login session of this authorization server was refreshed since this one was first refused. */
function areOthersServed(core: TokenCore, record: LoginSession, health: Health): boolean {
  const { lastHealthyAt } = core.issuers.mustGet(record.authorizationServer).gate;
  return lastHealthyAt !== undefined && health.firstRefusalAt !== undefined && lastHealthyAt > health.firstRefusalAt;
}

/** When all are refused alike it is not the login session that is at fault: the client is broken, and nobody's login ends. */
function isRefusedLikeAll(core: TokenCore, claimed: LoginSession, outcome: Failure): boolean {
  if (outcome.kind !== "refused") return false;
  const now = core.clock.now();
  const health = failed(claimed.health, "refused", now);
  return isLasting(claimed, health, now) && !areOthersServed(core, claimed, health);
}

function changeForLostReply(core: TokenCore, current: LoginSession, attempt: Attempt, now: number): LoginSession | undefined {
  const again = attempt.reason !== "due" && attempt.reason !== "demand" && attempt.reason !== "rejected";
  const notBefore = again ? now + backoffMs(current.health.failures, core.random, 500, 30_000) : undefined;
  const lost = markLost(current, attempt.id, { ...failed(current.health, "ambiguous", now), notBefore }, now);
  if (lost === undefined) return undefined;
  const { policy } = core.issuers.mustGet(current.authorizationServer);
  const attemptMs = attemptLimitOf(lost, core.policy);
  const step = nextLostReplyStep(lost, policy, core.issuers.trustsIntrospection(lost), attemptMs, now);
  return step.kind === "wait" ? { ...lost, nextDueAt: step.until } : lost;
}

function changeForDeadGrant(
  core: TokenCore,
  current: LoginSession,
  claimed: LoginSession,
  attempt: Attempt,
  now: number,
): LoginSession | undefined {
  // It counts only for the token that was presented: a peer may have rotated it, or the user signed in again, or all is over (I9).
  if (current.refreshToken !== claimed.refreshToken || current.epoch !== claimed.epoch) return undefined;
  if (current.pending !== undefined) return settle(current, attempt.id, current.health, now);
  const lostBefore = current.attempts.some((each) => each.lost && each.id !== attempt.id);
  const reason = lostBefore ? "lost_reply" : "grant_dead";
  return requireLogin(current, reason, now, { revoke: [], purgeAt: now + core.policy.idleLimitSeconds * 1000 });
}

/** What a failed presentation says of the authorization server itself. */
export function verdictOf(outcome: Failure): GateVerdict {
  switch (outcome.kind) {
    case "not_sent":
    case "server_error":
      return { kind: "sick", failure: outcome.kind, retryAfterSeconds: outcome.retryAfterSeconds };
    case "ambiguous":
      return { kind: "sick", failure: outcome.kind };
    case "refused":
      return outcome.retryAfterSeconds === undefined
        ? { kind: "answered" }
        : { kind: "sick", failure: outcome.kind, retryAfterSeconds: outcome.retryAfterSeconds };
    case "grant_dead":
      return { kind: "answered" };
    case "client_broken":
      return { kind: "client_broken" };
  }
}

function failureOf(outcome: Failure): FlightResult["failure"] {
  const retryAfterSeconds = "retryAfterSeconds" in outcome ? outcome.retryAfterSeconds : undefined;
  const errorCode = outcome.kind === "refused" ? outcome.errorCode : undefined;
  return { kind: outcome.kind, errorCode, retryAfterSeconds };
}
