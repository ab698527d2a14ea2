import type { AccessTokenTarget, AttemptId, LoginSession, PendingReply, PresentationReason } from "../session/login-session.ts";
import { nextLostReplyStep } from "./lost-reply.ts";
import type { AuthorizationServerPolicy } from "./ports.ts";
import {
  attemptLimitOf,
  entryFor,
  heldUntil,
  isFresh,
  isTooFarAhead,
  isYoung,
  lastExpiry,
  longestVerificationWaitMs,
  settleMs,
  wasSetBack,
} from "./times.ts";

/** Why somebody wants a refresh. */
export interface RefreshWish {
  readonly target: AccessTokenTarget;
  /** `due`: the heartbeat, about this generation. `demand`: a caller without a usable token. `rejected`: the API refused this very token. */
  readonly cause:
    | { readonly kind: "due"; readonly generation: number }
    | { readonly kind: "demand"; readonly minimumValidityMs: number }
    | { readonly kind: "rejected"; readonly accessToken: string };
}

/** What introspection said of the stored refresh token in this flight. */
export type Introspected = "active" | "inactive" | "unsupported" | "unavailable";

export interface PlanFacts {
  readonly now: number;
  readonly policy: AuthorizationServerPolicy;
  readonly introspectionTrusted: boolean;
  readonly timeoutSeconds: number | undefined;
  /** Of the store; undefined: it has one only. */
  readonly incarnation: string | undefined;
  /** Of the record's present generation; undefined: not asked yet. */
  readonly introspected: Introspected | undefined;
}

/** The next step of a flight, out of the record as it is now. */
export type RefreshStep =
  /** Nothing to do: the wish is fulfilled, or cannot be fulfilled now. The record says which. */
  | { readonly kind: "done" }
  /** Another process presents. */
  | { readonly kind: "wait"; readonly until: number }
  | { readonly kind: "mark_lost"; readonly attemptId: AttemptId }
  /** The wall clock was set back since the claim: the attempt gets its time anew. */
  | { readonly kind: "rebase"; readonly attemptId: AttemptId }
  /** The store has gone back in time since the refresh token was written: it counts as one whose reply was lost. */
  | { readonly kind: "doubt" }
  | { readonly kind: "verify" }
  | { readonly kind: "introspect" }
  | { readonly kind: "present"; readonly reason: PresentationReason }
  /** The reply is lost for good. */
  | { readonly kind: "give_up" }
  | { readonly kind: "postpone"; readonly until: number };

/** Decides; it changes nothing. The order of the questions is the protocol's. */
export function planRefresh(record: LoginSession, wish: RefreshWish, facts: PlanFacts): RefreshStep {
  if (record.pending !== undefined && record.state !== "ended")
    return mayVerify(record.pending, facts.now) ? { kind: "verify" } : { kind: "done" };
  switch (record.state) {
    case "ended":
    case "login_required":
      return { kind: "done" };
    case "live":
      return isFulfilled(record, wish, facts.now) ? { kind: "done" } : planLive(record, wish, facts);
    case "refreshing":
      return isFulfilled(record, wish, facts.now) ? { kind: "done" } : planRefreshing(record, facts);
    case "uncertain":
      return isFulfilled(record, wish, facts.now) ? { kind: "done" } : planUncertain(record, facts);
  }
}

/** The clock may have been set back since the reply came, or since it was last looked at. */
function mayVerify({ nextVerificationAt, receivedAt }: PendingReply, now: number): boolean {
  return now >= nextVerificationAt || wasSetBack(receivedAt, now) || isTooFarAhead(nextVerificationAt, longestVerificationWaitMs, now);
}

function isFulfilled(record: LoginSession, wish: RefreshWish, now: number): boolean {
  const { cause } = wish;
  if (cause.kind === "due") return record.generation !== cause.generation;
  const entry = entryFor(record, wish.target);
  if (entry === undefined) return false;
  if (isYoung(entry, now)) return true;
  if (cause.kind === "demand") return isFresh(entry, now, cause.minimumValidityMs);
  return entry.accessToken !== cause.accessToken && isFresh(entry, now);
}

function planLive(record: LoginSession, wish: RefreshWish, facts: PlanFacts): RefreshStep {
  if (heldUntil(record, facts.now) > facts.now) return { kind: "done" };
  if (isOfAnotherIncarnation(record, facts)) return { kind: "doubt" };
  const lookFirst = record.health.lastFailure?.kind === "server_error" && facts.introspectionTrusted;
  if (!lookFirst) return { kind: "present", reason: wish.cause.kind };
  return afterLooking(record, facts, { kind: "present", reason: "after_server_error" });
}

/** A record that names none is of the time before incarnations were known. */
function isOfAnotherIncarnation({ incarnation }: LoginSession, facts: PlanFacts): boolean {
  return incarnation !== undefined && facts.incarnation !== undefined && incarnation !== facts.incarnation;
}

function planRefreshing(record: LoginSession, facts: PlanFacts): RefreshStep {
  const open = record.attempts.find((attempt) => !attempt.lost);
  // Nobody owns it: it cannot happen by the table, and must not hold the record for ever (I15).
  if (open === undefined) return planUncertain(record, facts);
  if (wasSetBack(open.claimedAt, facts.now)) return { kind: "rebase", attemptId: open.id };
  const until = open.deadline + settleMs;
  return facts.now < until ? { kind: "wait", until } : { kind: "mark_lost", attemptId: open.id };
}

function planUncertain(record: LoginSession, facts: PlanFacts): RefreshStep {
  const attemptMs = attemptLimitOf(record, { timeoutSeconds: facts.timeoutSeconds });
  const trusted = facts.introspectionTrusted && facts.introspected !== "unsupported";
  const step = nextLostReplyStep(record, facts.policy, trusted, attemptMs, facts.now);
  switch (step.kind) {
    case "introspect":
      return afterLooking(record, facts, { kind: "present", reason: "introspected_active" });
    case "wait":
      return { kind: "postpone", until: step.until };
    case "present":
    case "give_up":
      return step;
  }
}

function afterLooking(record: LoginSession, facts: PlanFacts, present: RefreshStep): RefreshStep {
  switch (facts.introspected) {
    case undefined:
      return { kind: "introspect" };
    case "active":
    case "unsupported":
      return present;
    case "unavailable":
      return { kind: "done" };
    case "inactive": {
      const expiry = lastExpiry(record, facts.now);
      return facts.now >= expiry ? { kind: "give_up" } : { kind: "postpone", until: expiry };
    }
  }
}
