import type { AccessTokenEntry, AccessTokenTarget, LoginSession, Observed } from "../session/login-session.ts";
import { covers } from "../session/login-session.ts";
import type { TokenPolicy } from "./ports.ts";

/** The lifetime that is assumed where nothing is known. */
const defaultLifetimeMs = 300_000;
/** How long after an attempt's end its owner may still commit the outcome. */
export const settleMs = 5_000;
/** A reply that cannot be verified yet is looked at again after this time at the latest. */
export const longestVerificationWaitMs = 30_000;
/** A wall clock that stands this much before a token's birth was set back. */
const setBackToleranceMs = 5_000;

/** margin = min(60 s, 0.2 L): a token with less than this left is refreshed before it is handed out. */
export function marginMs(lifetimeMs: number): number {
  return Math.min(60_000, 0.2 * lifetimeMs);
}

/** How long one presentation may take: 0.25 L, at least 3 s, at most 20 s; or the configured time. */
export function attemptLimitMs(lifetimeMs: number, policy: Pick<TokenPolicy, "timeoutSeconds">): number {
  if (policy.timeoutSeconds !== undefined) return policy.timeoutSeconds * 1000;
  return Math.min(20_000, Math.max(3_000, 0.25 * lifetimeMs));
}

/** How long a caller waits for a refresh: min(8 s, attempt limit). The presentation itself goes on. */
export function callerBudgetMs(attemptMs: number): number {
  return Math.min(8_000, attemptMs);
}

/** L of the login session: the lifetime of its newest access token for the target, else of any, else 300 s. */
export function lifetimeMs(record: LoginSession, target?: AccessTokenTarget): number {
  const entry = (target && record.accessTokens.find((each) => covers(each, target))) ?? record.accessTokens[0];
  return entry === undefined ? defaultLifetimeMs : Math.max(1_000, entry.expiresAt - entry.obtainedAt);
}

/**
 * The attempt limit of this login session: of L, or of R where a refresh token lives shorter than an access token, so that
 * a refresh that is due at R / 2 still ends before R.
 */
export function attemptLimitOf(record: LoginSession, policy: Pick<TokenPolicy, "timeoutSeconds">, target?: AccessTokenTarget): number {
  const life = lifetimeMs(record, target);
  const { refreshTokenExpiresAt: end } = record;
  const refreshedAt = record.accessTokens.reduce((latest, each) => Math.max(latest, each.obtainedAt), 0);
  return attemptLimitMs(end === undefined || end <= refreshedAt ? life : Math.min(life, end - refreshedAt), policy);
}

/** The access token of this login session for the target, in whatever condition. */
export function entryFor(record: LoginSession, target: AccessTokenTarget): AccessTokenEntry | undefined {
  return record.accessTokens.find((entry) => covers(entry, target));
}

/** Milliseconds that the access token is still good for; 0 when it is over, or when the clock was set back behind its birth. */
export function remainingMs(entry: AccessTokenEntry, now: number): number {
  if (wasSetBack(entry.obtainedAt, now)) return 0;
  return Math.max(0, entry.expiresAt - now);
}

/** True when the access token can be handed out without a refresh. */
export function isFresh(entry: AccessTokenEntry, now: number, minimumValidityMs = 0): boolean {
  const margin = marginMs(entry.expiresAt - entry.obtainedAt);
  return remainingMs(entry, now) > Math.max(margin, minimumValidityMs);
}

/** A token in the first quarter of its life: another refresh would bring nothing better (I14). */
export function isYoung(entry: AccessTokenEntry, now: number): boolean {
  return !wasSetBack(entry.obtainedAt, now) && now - entry.obtainedAt < 0.25 * (entry.expiresAt - entry.obtainedAt);
}

/** The moment before which nothing is presented; the past when there is none, or when the clock was set back since. */
export function heldUntil(record: LoginSession, now: number): number {
  const { notBefore, lastFailure } = record.health;
  if (notBefore === undefined || (lastFailure !== undefined && wasSetBack(lastFailure.at, now))) return 0;
  return notBefore;
}

/** True when the wall clock now stands clearly before a moment that has been: it was set back. */
export function wasSetBack(past: number, now: number): boolean {
  return now < past - setBackToleranceMs;
}

/** True when a wait that is never longer than `longestMs` ends so late that a clock wrote it that was set back since. */
export function isTooFarAhead(until: number, longestMs: number, now: number): boolean {
  return wasSetBack(until - longestMs, now);
}

/** When the last access token of the login session ends; the past when there is none. */
export function lastExpiry(record: LoginSession, now: number): number {
  return record.accessTokens.reduce((latest, entry) => Math.max(latest, endOf(entry, now)), 0);
}

/** When the access token ends; the past when the clock was set back behind its birth, since it is not served then. */
export function endOf(entry: AccessTokenEntry, now: number): number {
  return wasSetBack(entry.obtainedAt, now) ? 0 : entry.expiresAt;
}

/** No login session is due again sooner than this, whatever lifetimes a server names. */
const shortestDueMs = 1_000;

/**
 * When the heartbeat refreshes a login session: min(L x U(0.55, 0.75), R / 2) after its tokens were obtained, which may be a
 * while before they are stored. L is that of the access token for `target`, the one that is kept fresh: tokens for other
 * targets, obtained later, must not put it off. R counts only while a refresh puts it off: else its half would be halved again
 * and again, ever sooner, until the end. `random` gives a number in [0, 1).
 */
export function refreshDueAt(
  record: Pick<LoginSession, "accessTokens" | "refreshTokenExpiresAt"> & { readonly observed?: Pick<Observed, "refreshTokenEnd"> },
  target: AccessTokenTarget,
  now: number,
  random: () => number,
): number {
  const entry = record.accessTokens.find((each) => covers(each, target)) ?? record.accessTokens[0];
  if (entry === undefined) return now + shortestDueMs;
  const byAccessToken = Math.min(now, entry.obtainedAt) + (entry.expiresAt - entry.obtainedAt) * (0.55 + 0.2 * random());
  const refreshedAt = record.accessTokens.reduce((latest, each) => Math.max(latest, each.obtainedAt), entry.obtainedAt);
  const end = record.observed?.refreshTokenEnd === "fixed" ? undefined : record.refreshTokenExpiresAt;
  const byRefreshToken = end === undefined ? Number.POSITIVE_INFINITY : Math.min(now, refreshedAt) + (end - refreshedAt) / 2;
  return Math.max(now + shortestDueMs, Math.min(byAccessToken, byRefreshToken));
}

/** Full jitter: somewhere in (0, min(cap, base x 2^failures)], never under a tenth of it. */
export function backoffMs(failures: number, random: () => number, baseMs = 1_000, capMs = 60_000): number {
  const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(failures, 20));
  return ceiling * (0.1 + 0.9 * random());
}
