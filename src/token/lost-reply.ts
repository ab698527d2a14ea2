import type { LoginSession, PresentationReason } from "../session/login-session.ts";
import type { AuthorizationServerPolicy } from "./ports.ts";
import { endOf, entryFor, heldUntil, lastExpiry, lifetimeMs, marginMs, wasSetBack } from "./times.ts";

/** What may be done now about a login session whose last reply is lost. */
export type LostReplyStep =
  | { readonly kind: "present"; readonly reason: PresentationReason }
  | { readonly kind: "introspect" }
  | { readonly kind: "wait"; readonly until: number }
  | { readonly kind: "give_up" };

/** A grace period forgives this many presentations of one token after the first. */
const presentationsWithinGrace = 2;

/** When the access token ends that is kept fresh. One for another target that lives longer does not help who waits for this one. */
function keptFreshUntil(record: LoginSession, policy: AuthorizationServerPolicy, now: number): number {
  const entry = entryFor(record, policy.defaultTarget);
  return entry === undefined ? lastExpiry(record, now) : endOf(entry, now);
}

/**
 * The ways out of `uncertain`, in their order: a grace period, trusted introspection (RFC 7662), a server that does not
 * rotate, a last presentation before the access token ends. `attemptMs` is the attempt limit.
 */
export function nextLostReplyStep(
  record: LoginSession,
  policy: AuthorizationServerPolicy,
  introspectionTrusted: boolean,
  attemptMs: number,
  now: number,
): LostReplyStep {
  const held = heldUntil(record, now);
  if (held > now) return { kind: "wait", until: held };
  const lost = record.attempts.filter((attempt) => attempt.lost && !wasSetBack(attempt.claimedAt, now));
  const firstLostAt = Math.min(...lost.map((attempt) => attempt.claimedAt));
  // Before introspection: that calls a spent token inactive, which the grace period would still have saved.
  if (policy.reuseLeewaySeconds !== undefined && now < firstLostAt + policy.reuseLeewaySeconds * 1000) {
    const again = record.attempts.filter((attempt) => attempt.reason === "within_grace").length;
    if (again < presentationsWithinGrace) return { kind: "present", reason: "within_grace" };
  }
  if (introspectionTrusted && policy.introspection === "auto") {
    // Until then the request may still be on its way: "active" would only mean "not used yet".
    const arrived = Math.max(...lost.map((attempt) => attempt.deadline));
    return arrived > now ? { kind: "wait", until: arrived } : { kind: "introspect" };
  }
  if (policy.rotation === "never" || (policy.rotation === "auto" && record.observed.rotation === "same"))
    return { kind: "present", reason: "not_rotating" };
  if (policy.lostReply === "retire") {
    const expiry = lastExpiry(record, now);
    return now >= expiry ? { kind: "give_up" } : { kind: "wait", until: expiry };
  }
  // Not beside the first presentation; a later one spoils nothing any more.
  const firstDeadline = Math.min(...lost.map((attempt) => attempt.deadline), Number.MAX_SAFE_INTEGER);
  const lastCall = Math.max(
    keptFreshUntil(record, policy, now) - attemptMs - marginMs(lifetimeMs(record, policy.defaultTarget)),
    lost.length > 0 ? firstDeadline : 0,
  );
  return now >= lastCall ? { kind: "present", reason: "last_presentation" } : { kind: "wait", until: lastCall };
}
