import type {
  AccessTokenEntry,
  AccessTokenTarget,
  Attempt,
  AttemptId,
  EndedReason,
  FailureKind,
  Health,
  LoginRequiredReason,
  LoginSession,
  PendingReply,
  RevocationDebt,
} from "../session/login-session.ts";
import { targetKey } from "../session/login-session.ts";
import type { RefreshTokenHasher } from "../session/random.ts";
import type { RevocableToken, VerifiedReply } from "./ports.ts";
import { tokensOf } from "./raw-tokens.ts";
import { remainingMs, settleMs, wasSetBack } from "./times.ts";

// Pure: each function gives the record that follows, or undefined where the change does not apply (any more).

/** How long a refresh token of unknown life is worth revoking. */
export const unknownRefreshLifeMs = 30 * 24 * 3600 * 1000;
/** The same for an access token. */
export const unknownAccessLifeMs = 3600 * 1000;
/** So many attempts whose answer is lost are kept in a record. */
const mostLostAttempts = 8;

/** The claim: a write-ahead intent before the presentation (I2). */
export function claim(record: LoginSession, attempt: Attempt): LoginSession {
  return {
    ...record,
    version: record.version + 1,
    state: "refreshing",
    attempts: [...rememberedAttempts(record.attempts), attempt],
    nextDueAt: attempt.deadline + settleMs,
  };
}

/** An outage may lose one answer after another: the first, which most likely spent the token, and the newest are remembered. */
function rememberedAttempts(attempts: readonly Attempt[]): readonly Attempt[] {
  return attempts.length <= mostLostAttempts ? attempts : [...attempts.slice(0, 1), ...attempts.slice(1 - mostLostAttempts)];
}

/** The attempt ended with an answer that left the refresh token alive: back to where it came from. */
export function settle(record: LoginSession, attemptId: AttemptId, health: Health, nextDueAt: number): LoginSession | undefined {
  if (!record.attempts.some((attempt) => attempt.id === attemptId)) return undefined;
  const attempts = record.attempts.filter((attempt) => attempt.id !== attemptId);
  const base = { ...record, version: record.version + 1, attempts, health, nextDueAt };
  const waits = record.state === "refreshing" || record.state === "uncertain";
  if (!waits || attempts.some((attempt) => !attempt.lost)) return { ...base, state: record.state };
  return { ...base, state: attempts.length > 0 ? "uncertain" : "live" };
}

/** The attempt's answer is lost: the refresh token may be spent. */
export function markLost(record: LoginSession, attemptId: AttemptId, health: Health, nextDueAt: number): LoginSession | undefined {
  if (record.state !== "refreshing" && record.state !== "uncertain") return undefined;
  if (!record.attempts.some((attempt) => attempt.id === attemptId && !attempt.lost)) return undefined;
  const attempts = record.attempts.map((attempt) => (attempt.id === attemptId ? { ...attempt, lost: true } : attempt));
  const state = attempts.every((attempt) => attempt.lost) ? "uncertain" : record.state;
  return { ...record, version: record.version + 1, state, attempts, health, nextDueAt };
}

/** The store has gone back in time since the tokens were written: the refresh token may be spent, as if a reply had been lost (F48). */
export function doubt(record: LoginSession, attemptId: AttemptId, target: AccessTokenTarget, now: number): LoginSession {
  const presented: Attempt = {
    id: attemptId,
    epoch: record.epoch,
    generation: record.generation,
    owner: "unknown",
    // Nobody knows when: a grace period must not be counted from now.
    claimedAt: Math.min(now, record.health.lastRefreshAt ?? record.createdAt),
    deadline: now,
    target,
    reason: "due",
    lost: true,
  };
  return { ...record, version: record.version + 1, state: "uncertain", attempts: [...record.attempts, presented], nextDueAt: now };
}

/** What to do with a reply that arrived, given the record of now. */
export type Arrival = { readonly kind: "keep"; readonly next: LoginSession } | { readonly kind: "drop" } | { readonly kind: "revoke" };

/**
 * A reply arrived, in time or late (core rules for late answers): kept as pending if the record still waits for this very
 * attempt; revoked if the login session has ended or reached its limit; else dropped, never revoked, since that would kill the live family.
 */
export function arrive(record: LoginSession, attempt: Attempt, pending: PendingReply): Arrival {
  if (record.state === "ended") return { kind: "revoke" };
  const limited = record.reason?.code === "idle" || record.reason?.code === "absolute_limit";
  if (limited && record.epoch === attempt.epoch) return { kind: "revoke" };
  // Somebody signed in again since: it belongs to the family that was replaced.
  if (record.epoch > attempt.epoch) return { kind: "revoke" };
  const known = record.attempts.some((each) => each.id === attempt.id);
  const same = record.epoch === attempt.epoch && record.generation === attempt.generation;
  if (!known || !same) return { kind: "drop" };
  if (record.state === "login_required" && record.reason?.code !== "lost_reply") return { kind: "drop" };
  // Which of two replies holds the living token is known only once one of them is verified (I4).
  if (record.pending !== undefined)
    return { kind: "keep", next: { ...record, version: record.version + 1, queued: [...(record.queued ?? []), pending] } };
  return { kind: "keep", next: { ...record, version: record.version + 1, pending, nextDueAt: pending.receivedAt } };
}

/** A pending reply could not be verified yet. */
export function postponeVerification(record: LoginSession, attemptId: AttemptId, at: number, nextAt: number): LoginSession | undefined {
  const pending = record.pending;
  if (pending === undefined || pending.attemptId !== attemptId) return undefined;
  return {
    ...record,
    version: record.version + 1,
    pending: { ...pending, verificationTries: pending.verificationTries + 1, nextVerificationAt: nextAt },
    health: failed(record.health, "unverified", at),
    nextDueAt: nextAt,
  };
}

/** A pending reply turned out to be no token reply: as good as none. The one that came after it takes its place. */
export function discardPending(record: LoginSession, attemptId: AttemptId, at: number, nextDueAt: number): LoginSession | undefined {
  if (record.pending?.attemptId !== attemptId) return undefined;
  const attempts = record.attempts.map((attempt) => (attempt.id === attemptId ? { ...attempt, lost: true } : attempt));
  return {
    ...record,
    version: record.version + 1,
    // Another presentation may be under way beside this late reply: then the record goes on waiting for that.
    state: record.state === "refreshing" && attempts.every((attempt) => attempt.lost) ? "uncertain" : record.state,
    ...nextInQueue(record),
    attempts,
    health: failed(record.health, "ambiguous", at),
    nextDueAt,
  };
}

function nextInQueue(record: LoginSession): Pick<LoginSession, "pending" | "queued"> {
  const [pending, ...queued] = record.queued ?? [];
  return { pending, queued: queued.length > 0 ? queued : undefined };
}

/** Every reply that is stored and not published: the pending one and those behind it. */
export function storedReplies(record: LoginSession): readonly PendingReply[] {
  return [...(record.pending === undefined ? [] : [record.pending]), ...(record.queued ?? [])];
}

/** The wall clock was set back since the claim: its owner gets one attempt's time from now, since the old deadline says nothing any more (I15). */
export function rebaseAttempt(record: LoginSession, attemptId: AttemptId, now: number): LoginSession | undefined {
  const found = record.attempts.find((attempt) => attempt.id === attemptId && !attempt.lost);
  if (found === undefined || found.claimedAt <= now) return undefined;
  const deadline = now + (found.deadline - found.claimedAt);
  const attempts = record.attempts.map((attempt) => (attempt === found ? { ...found, claimedAt: now, deadline } : attempt));
  return { ...record, version: record.version + 1, attempts, nextDueAt: deadline + settleMs };
}

export interface Publication {
  readonly tokens: VerifiedReply;
  readonly now: number;
  readonly hash: RefreshTokenHasher;
  readonly introspectionTrusted: boolean;
  readonly refreshLifetimeMs: number | undefined;
  /** Of the store, at this moment. */
  readonly incarnation?: string | undefined;
}

/** The verified reply becomes the newest generation (I3): one snapshot, whole (I5). When it is due again is the caller's to say. */
export function publish(record: LoginSession, attemptId: AttemptId, publication: Publication): LoginSession | undefined {
  const pending = record.pending;
  if (pending === undefined || pending.attemptId !== attemptId) return undefined;
  if (record.state === "ended") return undefined;
  const { tokens, now } = publication;
  const rotated = tokens.refreshToken !== undefined && tokens.refreshToken !== record.refreshToken;
  const refreshToken = tokens.refreshToken ?? record.refreshToken;
  const attempt = record.attempts.find((each) => each.id === attemptId);
  // A record that was given up for lost holds no refresh token any more; without a new one it stays given up.
  if (refreshToken === undefined) return undefined;
  const entry = newEntry(pending.target, tokens, pending.sentAt, record.accessTokens);
  const others = record.accessTokens.filter((each) => targetKey(each.target) !== targetKey(entry.target) && remainingMs(each, now) > 0);
  return {
    ...record,
    version: record.version + 1,
    generation: record.generation + 1,
    state: "live",
    reason: undefined,
    refreshToken,
    refreshTokenHash: publication.hash(refreshToken),
    consumedRefreshTokenHash: rotated ? record.refreshTokenHash : record.consumedRefreshTokenHash,
    refreshTokenExpiresAt:
      publication.refreshLifetimeMs === undefined
        ? rotated
          ? undefined
          : record.refreshTokenExpiresAt
        : pending.sentAt + publication.refreshLifetimeMs,
    accessTokens: [entry, ...others],
    idToken: tokens.idToken ?? record.idToken,
    profile: tokens.profile ?? record.profile,
    pending: undefined,
    queued: undefined,
    attempts: [],
    observed: {
      rotation: rotated ? "rotates" : record.observed.rotation === "rotates" ? "rotates" : "same",
      introspection: publication.introspectionTrusted ? "trusted" : record.observed.introspection,
      refreshTokenEnd: refreshTokenEnd(record, pending.sentAt, publication.refreshLifetimeMs),
    },
    health: { lastRefreshAt: now, failures: 0, refusals: 0 },
    incarnation: publication.incarnation,
    lastUsedAt: attempt !== undefined && attempt.reason !== "due" ? Math.max(record.lastUsedAt, attempt.claimedAt) : record.lastUsedAt,
    nextDueAt: undefined,
  };
}

/** Too soon after the last refresh nothing can be told: lifetimes are announced in whole seconds. */
const soonestTellingMs = 5_000;

/** Whether this refresh has put off the end of the refresh token. */
function refreshTokenEnd(record: LoginSession, sentAt: number, lifetimeMs: number | undefined): "fixed" | undefined {
  const { refreshTokenExpiresAt: before, accessTokens, observed } = record;
  if (lifetimeMs === undefined || before === undefined) return undefined;
  const sinceMs = sentAt - accessTokens.reduce((latest, each) => Math.max(latest, each.obtainedAt), 0);
  if (sinceMs < soonestTellingMs) return observed.refreshTokenEnd;
  return sentAt + lifetimeMs - before < sinceMs / 2 ? "fixed" : undefined;
}

/** An access token as it is kept. `previous`: what was granted before, for a reply that does not say. */
export function newEntry(
  target: AccessTokenEntry["target"],
  tokens: VerifiedReply,
  obtainedAt: number,
  previous: readonly AccessTokenEntry[],
): AccessTokenEntry {
  const before = previous.find((each) => targetKey(each.target) === targetKey(target))?.grantedScopes;
  const assumed = target.scopes.length > 0 ? target.scopes : (before ?? []);
  return {
    target,
    accessToken: tokens.accessToken,
    grantedScopes: tokens.grantedScopes ?? assumed,
    obtainedAt,
    expiresAt: obtainedAt + tokens.expiresInSeconds * 1000,
  };
}

/** No token is served any more until somebody signs in again; what is left to revoke is owed. */
export function requireLogin(
  record: LoginSession,
  reason: LoginRequiredReason,
  now: number,
  options: { readonly revoke: readonly RevocableToken[]; readonly purgeAt: number },
): LoginSession {
  const debts = [
    ...record.debts,
    ...options.revoke.map((token) => debt(record, token, now, reason === "identity" ? { foreign: true } : undefined)),
  ];
  return {
    ...record,
    version: record.version + 1,
    state: "login_required",
    reason: { code: reason, at: now },
    refreshToken: undefined,
    accessTokens: [],
    pending: undefined,
    queued: undefined,
    // The answer of a lost attempt may still come, and brings the login back.
    attempts: reason === "lost_reply" ? record.attempts : [],
    debts,
    revocation: debts.length > 0 ? "pending" : record.revocation,
    nextDueAt: debts.length > 0 ? now : options.purgeAt,
  };
}

/** The end: final, nothing served, everything that it held is owed to the authorization server. */
export function end(record: LoginSession, reason: EndedReason, now: number, pendingTokens: readonly RevocableToken[]): LoginSession {
  const held: RevocableToken[] = [];
  if (record.refreshToken !== undefined) held.push({ kind: "refresh_token", token: record.refreshToken });
  held.push(...pendingTokens);
  for (const entry of record.accessTokens) if (remainingMs(entry, now) > 0) held.push({ kind: "access_token", token: entry.accessToken });
  const debts = [...record.debts, ...held.map((token) => debt(record, token, now))];
  return {
    ...record,
    version: record.version + 1,
    state: "ended",
    reason: { code: reason, at: now },
    refreshToken: undefined,
    accessTokens: [],
    idToken: undefined,
    pending: undefined,
    queued: undefined,
    attempts: [],
    debts,
    revocation: debts.length > 0 ? "pending" : record.revocation,
    nextDueAt: now,
  };
}

/** Of which grant a token is that is owed. */
type Grant = Pick<RevocationDebt, "sid" | "foreign">;

/** Tokens that arrived for a login that is over are owed as well. `grant`: of the login that they belong to, by default the record's own. */
export function owe(
  record: LoginSession,
  tokens: readonly RevocableToken[],
  now: number,
  grant: Grant = { sid: record.principal.sid },
): LoginSession | undefined {
  const known = new Set(record.debts.map((each) => each.token));
  const fresh = tokens.filter((each) => !known.has(each.token));
  if (fresh.length === 0) return undefined;
  return {
    ...record,
    version: record.version + 1,
    debts: [...record.debts, ...fresh.map((token) => debt(record, token, now, grant))],
    revocation: "pending",
    nextDueAt: now,
  };
}

/** One more failure in a row. A wait that was written before the clock was set back is not taken over: nobody could tell any more. */
export function failed(health: Health, kind: FailureKind, at: number, notBefore?: number): Health {
  const refused = kind === "refused";
  return {
    ...health,
    lastFailure: { kind, at },
    failures: health.failures + 1,
    refusals: refused ? health.refusals + 1 : health.refusals,
    firstRefusalAt: refused ? (health.firstRefusalAt ?? at) : health.firstRefusalAt,
    notBefore: notBefore ?? (wasSetBack(health.lastFailure?.at ?? 0, at) ? undefined : health.notBefore),
  };
}

/**
 * A sign-in replaced the tokens of a login session that was still served: its refresh token is owed. Its access tokens are
 * not: calls that run with one carry on, and it ends soon by itself. `record`: as it was before.
 */
export function replacedDebts(record: LoginSession, now: number): readonly RevocationDebt[] {
  const { refreshToken } = record;
  const tokens: RevocableToken[] = refreshToken === undefined ? [] : [{ kind: "refresh_token", token: refreshToken }];
  for (const { body } of storedReplies(record)) tokens.push(...tokensOf(body));
  return [...record.debts, ...tokens.map((token) => debt(record, token, now))];
}

function debt(
  record: LoginSession,
  { kind, token }: RevocableToken,
  now: number,
  grant: Grant = { sid: record.principal.sid },
): RevocationDebt {
  return { kind, token, tries: 0, nextTryAt: now, expiresAt: debtEnd(record, { kind, token }, now), ...grant };
}

/** What the record says of its own tokens does not hold for those of a reply that it never published. */
function debtEnd(record: LoginSession, { kind, token }: RevocableToken, now: number): number {
  if (kind === "refresh_token")
    return (token === record.refreshToken ? record.refreshTokenExpiresAt : undefined) ?? now + unknownRefreshLifeMs;
  const entry = record.accessTokens.find((each) => each.accessToken === token);
  return entry === undefined ? now + unknownAccessLifeMs : Math.max(entry.expiresAt, now + 60_000);
}
