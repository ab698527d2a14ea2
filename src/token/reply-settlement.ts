import type { Attempt, LoginSession, PendingReply } from "../session/login-session.ts";
import { applyOutcome } from "./apply-change.ts";
import { keepUntilStored } from "./keep-until-stored.ts";
import { liveDueAt } from "./limits.ts";
import type { RawReply, RevocableToken, VerifiedReply } from "./ports.ts";
import { tokensOf } from "./raw-tokens.ts";
import { type Arrival, arrive, discardPending, owe, postponeVerification, publish, requireLogin, storedReplies } from "./record-changes.ts";
import { backoffMs, longestVerificationWaitMs } from "./times.ts";
import type { TokenCore } from "./token-core.ts";

/**
 * A reply of the token endpoint arrived, in time or late. It is stored before anything looks at it, then verified, then
 * published. Gives the record as it is afterwards. Nothing is presented here.
 */
export async function settleReply(
  core: TokenCore,
  claimed: Pick<LoginSession, "id" | "authorizationServer" | "principal">,
  attempt: Attempt,
  reply: RawReply,
): Promise<LoginSession | undefined> {
  const { record, arrival } = await storeReply(core, claimed, attempt, reply);
  return record !== undefined && arrival === "keep" ? verifyPending(core, record) : record;
}

/** What became of a reply in the store. */
interface StoredReply {
  /** As it is afterwards; undefined: it is gone, and what the reply brought is revoked. */
  readonly record: LoginSession | undefined;
  readonly arrival: Arrival["kind"];
}

/** The same without looking into the reply: one that is `keep` is verified later. The same reply twice does nothing more. */
export async function storeReply(
  core: TokenCore,
  claimed: Pick<LoginSession, "id" | "authorizationServer" | "principal">,
  attempt: Attempt,
  reply: RawReply,
): Promise<StoredReply> {
  const { id, authorizationServer, principal } = claimed;
  const kept = { kind: "reply" as const, id: attempt.id, loginSession: { id, authorizationServer, principal }, attempt, ...reply };
  return keepUntilStored(core, kept, async (refused) => {
    let arrival: Arrival["kind"] = "drop";
    const change = (current: LoginSession): LoginSession | undefined => {
      // The first try may have been written although its acknowledgement was lost (F10).
      if (storedReplies(current).some((each) => each.attemptId === attempt.id)) {
        arrival = "keep";
        return undefined;
      }
      const decided = arrive(current, attempt, pendingOf(attempt, reply));
      arrival = decided.kind;
      if (decided.kind === "revoke") return oweLate(core, current, tokensOf(reply.body), principal.sid);
      return decided.kind === "keep" ? decided.next : undefined;
    };
    const record = await applyOutcome(core, id, change, refused);
    // The login session is over for so long that its record is gone, and nothing else can hold the tokens (I4).
    if (record === undefined) await core.unheld.revoke(authorizationServer, tokensOf(reply.body));
    report(core, record, arrival, reply);
    return { record, arrival };
  });
}

function pendingOf(attempt: Attempt, { sentAt, receivedAt, body }: RawReply): PendingReply {
  const { id, target } = attempt;
  return { attemptId: id, target, sentAt, receivedAt, body, verificationTries: 0, nextVerificationAt: receivedAt };
}

/** A login session that lives is not refreshed any sooner for what it owes. */
function oweLate(
  core: TokenCore,
  record: LoginSession,
  tokens: readonly RevocableToken[],
  sid: string | undefined,
): LoginSession | undefined {
  const now = core.clock.now();
  const next = owe(record, tokens, now, { sid });
  if (next === undefined || next.state === "ended" || next.state === "login_required") return next;
  return { ...next, nextDueAt: next.state === "live" ? liveDueAt(core, next, now) : record.nextDueAt };
}

function report(core: TokenCore, record: LoginSession | undefined, arrival: Arrival["kind"], reply: RawReply): void {
  if (record === undefined) return;
  switch (arrival) {
    case "keep":
      return;
    case "revoke":
      core.audit.record({ event: "late_reply_revoked", login: record.handle, tokens: tokensOf(reply.body).length });
      return;
    case "drop":
      core.audit.record({ event: "late_reply_dropped", login: record.handle, generation: record.generation, state: record.state });
  }
}

/** Verifies the pending reply (OIDC Core 12.2) and publishes it, keeps it for later, or refuses it. Never a POST to the token endpoint. */
export async function verifyPending(core: TokenCore, record: LoginSession): Promise<LoginSession | undefined> {
  const pending = record.pending;
  if (pending === undefined) return record;
  const verification = await core.server.verify(record.authorizationServer, record.principal, pending);
  const now = core.clock.now();
  switch (verification.kind) {
    case "verified":
      return publishReply(core, record, pending.attemptId, verification.tokens);
    case "identity_mismatch":
      return refuseIdentity(core, record, pending.attemptId, verification.problem, verification.revocable);
    case "unavailable": {
      const nextAt = now + backoffMs(pending.verificationTries, core.random, 1_000, longestVerificationWaitMs);
      core.audit.record({ event: "refresh_failed", login: record.handle, kind: "unverified", problem: verification.problem });
      return applyOutcome(core, record.id, (current) => postponeVerification(current, pending.attemptId, now, nextAt));
    }
    case "unreadable":
      core.audit.record({ event: "refresh_failed", login: record.handle, kind: "ambiguous", problem: verification.problem });
      return applyOutcome(core, record.id, (current) => discardPending(current, pending.attemptId, now, now));
  }
}

async function publishReply(
  core: TokenCore,
  record: LoginSession,
  attemptId: Attempt["id"],
  tokens: VerifiedReply,
): Promise<LoginSession | undefined> {
  const issuer = core.issuers.mustGet(record.authorizationServer);
  const late = record.state !== "refreshing";
  let published = false;
  const next = await applyOutcome(core, record.id, (current) => {
    const now = core.clock.now();
    const refreshSeconds =
      tokens.refreshExpiresInSeconds ?? issuer.policy.refreshTokenLifetimeSeconds ?? issuer.learntRefreshLifetimeSeconds;
    const refreshLifetimeMs = refreshSeconds === undefined ? undefined : refreshSeconds * 1000;
    const candidate = publish(current, attemptId, {
      tokens,
      now,
      hash: core.hash,
      introspectionTrusted: issuer.introspectionTrusted,
      refreshLifetimeMs,
      incarnation: core.incarnation?.(),
    });
    published = candidate !== undefined;
    // A login session that was given up as lost has no refresh token any more, and this reply brought none.
    if (candidate === undefined && current.state === "login_required" && current.pending?.attemptId === attemptId)
      return giveBack(current, tokensOf(current.pending.body), now);
    return candidate && { ...candidate, nextDueAt: liveDueAt(core, candidate, now) };
  });
  if (next !== undefined && published) {
    const fact = { login: next.handle, generation: next.generation, issuer: next.principal.issuer };
    core.audit.record({ event: late ? "late_reply_adopted" : "refresh_committed", ...fact });
  }
  return next;
}

/** A late reply that cannot be used: it is not kept, and its tokens are owed. */
function giveBack(record: LoginSession, tokens: readonly RevocableToken[], now: number, grant?: { readonly foreign: true }): LoginSession {
  const [pending, ...queued] = record.queued ?? [];
  const attempts = pending === undefined ? [] : record.attempts;
  const without = { ...record, pending, queued: queued.length > 0 ? queued : undefined, attempts };
  return owe(without, tokens, now, grant) ?? { ...without, version: record.version + 1 };
}

async function refuseIdentity(
  core: TokenCore,
  record: LoginSession,
  attemptId: Attempt["id"],
  problem: string,
  revocable: readonly RevocableToken[],
): Promise<LoginSession | undefined> {
  core.audit.record({ event: "identity_mismatch", login: record.handle, issuer: record.principal.issuer, problem });
  core.logger.error("A refresh brought tokens of somebody else. Nothing of it is served; the login session needs a new login.", {
    login: record.handle,
    problem,
  });
  return applyOutcome(core, record.id, (current) => {
    if (current.pending?.attemptId !== attemptId || current.state === "ended") return undefined;
    const now = core.clock.now();
    if (current.state === "login_required") return giveBack(current, revocable, now, { foreign: true });
    const behind = (current.queued ?? []).flatMap(({ body }) => tokensOf(body));
    return requireLogin(current, "identity", now, {
      revoke: [...revocable, ...behind],
      purgeAt: now + core.policy.idleLimitSeconds * 1000,
    });
  });
}
