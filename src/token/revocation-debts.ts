import type { LoginSession, LoginSessionId, RevocationDebt, RevocationState } from "../session/login-session.ts";
import { applyOutcome } from "./apply-change.ts";
import { liveDueAt, livesOnGrantOf } from "./limits.ts";
import type { RevocationOutcome } from "./ports.ts";
import { backoffMs } from "./times.ts";
import type { TokenCore } from "./token-core.ts";

/** How long a shared grant waits before it looks for its siblings again; the end of the last one wakes it as well. */
const sharedPollMs = 60_000;

/** Pays what ended login sessions owe: revokes their tokens (RFC 7009), with backoff, until paid or expired. */
export class RevocationDebts {
  readonly #core: TokenCore;
  readonly #paying = new Map<LoginSessionId, Promise<void>>();

  constructor(core: TokenCore) {
    this.#core = core;
  }

  get size(): number {
    return this.#paying.size;
  }

  /** Tries each debt that is due once. One payment at a time per login session. */
  pay(id: LoginSessionId): Promise<void> {
    const running = this.#paying.get(id);
    if (running !== undefined) return running;
    const payment = this.#pay(id).finally(() => this.#paying.delete(id));
    this.#paying.set(id, payment);
    return payment;
  }

  /** Resolves when no payment is under way any more. */
  async drain(): Promise<void> {
    while (this.#paying.size > 0) await Promise.allSettled(this.#paying.values());
  }

  async #pay(id: LoginSessionId): Promise<void> {
    const record = await this.#core.sessions.get(id);
    if (record === undefined || record.debts.length === 0) return;
    const payable = await this.#payable(record);
    if (payable.length === 0) {
      await applyOutcome(this.#core, id, (current) => this.#wait(current));
      return;
    }
    const now = this.#core.clock.now();
    const outcomes = new Map<RevocationDebt["token"], RevocationOutcome | "expired">();
    for (const debt of payable) {
      if (debt.expiresAt <= now) outcomes.set(debt.token, "expired");
      else if (debt.nextTryAt <= now) outcomes.set(debt.token, await this.#revoke(record, debt));
    }
    const after = await applyOutcome(this.#core, id, (current) => this.#book(current, outcomes));
    this.#report(record, after, outcomes);
    if (record.state === "ended") await this.#wakeSiblings(record);
  }

  async #revoke(record: LoginSession, debt: RevocationDebt): Promise<RevocationOutcome> {
    try {
      return await this.#core.server.revoke(record.authorizationServer, { kind: debt.kind, token: debt.token });
    } catch (cause) {
      return { kind: "unavailable", cause };
    }
  }

  #book(current: LoginSession, outcomes: ReadonlyMap<RevocationDebt["token"], RevocationOutcome | "expired">): LoginSession | undefined {
    if (outcomes.size === 0) return undefined;
    const now = this.#core.clock.now();
    const debts: RevocationDebt[] = [];
    for (const debt of current.debts) {
      const outcome = outcomes.get(debt.token);
      if (outcome === undefined) debts.push(debt);
      else if (outcome !== "expired" && outcome.kind === "unavailable") {
        const waitMs = Math.max(backoffMs(debt.tries, this.#core.random, 1_000, 300_000), (outcome.retryAfterSeconds ?? 0) * 1000);
        debts.push({ ...debt, tries: debt.tries + 1, nextTryAt: now + waitMs });
      }
    }
    const refused = refreshTokenVerdict(current, outcomes);
    const revocation: RevocationState = refused ?? (debts.length > 0 ? "pending" : verdict(outcomes));
    const nextTryAt = debts.reduce((soonest, debt) => Math.min(soonest, debt.nextTryAt), Number.POSITIVE_INFINITY);
    const next = { ...current, version: current.version + 1, debts, revocation };
    if (serves(current)) return { ...next, nextDueAt: this.#servingDueAt(next, now) };
    return { ...next, nextDueAt: debts.length > 0 ? nextTryAt : this.#restDueAt(current) };
  }

  /** When the record must be looked at again once nothing is owed: to purge it. */
  #restDueAt(record: LoginSession): number | undefined {
    const at = record.reason?.at ?? this.#core.clock.now();
    if (record.state === "ended") return at + this.#core.policy.tombstoneSeconds * 1000;
    if (record.state === "login_required") return at + this.#core.policy.idleLimitSeconds * 1000;
    return record.nextDueAt;
  }

  /** The debts that may be paid now: revoking one must not end a login session that lives on the same grant there. */
  async #payable(record: LoginSession): Promise<readonly RevocationDebt[]> {
    const { sharedGrant } = this.#core.issuers.mustGet(record.authorizationServer).policy;
    if (sharedGrant === "revoke") return record.debts;
    const { issuer, subject, clientId } = record.principal;
    const living = (await this.#core.sessions.listByUser(issuer, subject)).filter(
      (other) => other.id !== record.id && serves(other) && other.principal.clientId === clientId,
    );
    return record.debts.filter((debt) => {
      if (debt.foreign) return true;
      if (livesOnGrantOf(record, debt, sharedGrant)) return false;
      const sid = debt.sid ?? record.principal.sid;
      return sid === undefined || !living.some((other) => other.principal.sid === sid);
    });
  }

  /** Nothing can be paid yet. */
  #wait(current: LoginSession): LoginSession {
    const now = this.#core.clock.now();
    const debts = current.debts.map((debt) => ({ ...debt, nextTryAt: Math.max(debt.nextTryAt, now + sharedPollMs) }));
    const next: LoginSession = { ...current, version: current.version + 1, revocation: "shared" };
    return serves(current)
      ? { ...next, debts, nextDueAt: this.#servingDueAt({ ...next, debts }, now) }
      : { ...next, nextDueAt: now + sharedPollMs };
  }

  /** A login session that lives is due for its own sake; while a refresh is on its way or its reply lost, that says when. */
  #servingDueAt(record: LoginSession, now: number): number | undefined {
    return record.state === "live" && record.pending === undefined ? liveDueAt(this.#core, record, now) : record.nextDueAt;
  }

  async #wakeSiblings(record: LoginSession): Promise<void> {
    const { issuer, subject, sid } = record.principal;
    if (sid === undefined) return;
    for (const other of await this.#core.sessions.listByUser(issuer, subject)) {
      if (serves(other) || other.revocation !== "shared" || other.principal.sid !== sid || other.id === record.id) continue;
      await applyOutcome(this.#core, other.id, (current) =>
        current.revocation === "shared" ? { ...current, version: current.version + 1, nextDueAt: this.#core.clock.now() } : undefined,
      );
    }
  }

  #report(
    before: LoginSession,
    after: LoginSession | undefined,
    outcomes: ReadonlyMap<RevocationDebt["token"], RevocationOutcome | "expired">,
  ): void {
    if (outcomes.size === 0) return;
    const failures = [...outcomes.values()].filter((outcome) => outcome !== "expired" && outcome.kind === "unavailable").length;
    this.#core.audit.record({
      event: failures > 0 ? "revocation_failed" : "revocation_done",
      login: before.handle,
      issuer: before.principal.issuer,
      revocation: after?.revocation,
      owed: after?.debts.length ?? 0,
    });
  }
}

function serves({ state }: LoginSession): boolean {
  return state === "live" || state === "refreshing" || state === "uncertain";
}

/** What is final of a refresh token that could not be revoked; it is said while access tokens are still owed, and stays said after. */
function refreshTokenVerdict(
  record: LoginSession,
  outcomes: ReadonlyMap<RevocationDebt["token"], RevocationOutcome | "expired">,
): RevocationState | undefined {
  const refreshTokens = record.debts.filter((debt) => debt.kind === "refresh_token");
  if (refreshTokens.length === 0)
    return record.revocation === "unsupported" || record.revocation === "expired" ? record.revocation : undefined;
  const found = refreshTokens.map((debt) => outcomes.get(debt.token));
  if (found.some((outcome) => outcome === undefined || (outcome !== "expired" && outcome.kind === "unavailable"))) return undefined;
  if (found.includes("expired")) return "expired";
  return found.some((outcome) => outcome !== undefined && outcome !== "expired" && outcome.kind === "unsupported")
    ? "unsupported"
    : undefined;
}

/** An access token decides only where there is no refresh token: one that cannot be revoked (a JWT, say) ends by itself. */
function verdict(outcomes: ReadonlyMap<RevocationDebt["token"], RevocationOutcome | "expired">): RevocationState {
  const [deciding] = outcomes.values();
  if (deciding === undefined) return "done";
  if (deciding === "expired") return "expired";
  return deciding.kind === "unsupported" ? "unsupported" : "done";
}
