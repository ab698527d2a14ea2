import { sleep } from "../clock.ts";
import type { LoginSession, LoginSessionId } from "../session/login-session.ts";
import type { ConnectionKeyStore } from "../session/store.ts";
import { applyChange } from "./apply-change.ts";
import { debtsDueAt, isDueForIdleOnly, limitReached, liveDueAt } from "./limits.ts";
import type { RevocableToken } from "./ports.ts";
import { tokensOf } from "./raw-tokens.ts";
import { requireLogin, storedReplies } from "./record-changes.ts";
import type { RefreshFlights } from "./refresh-flights.ts";
import type { RevocationDebts } from "./revocation-debts.ts";
import { lifetimeMs, queueingExpiry, settleMs, wasSetBack } from "./times.ts";
import type { TokenCore } from "./token-core.ts";

/** What a login session needs when it is due: a refresh, the payment of a debt, a limit, or its removal. */
export class Maintenance {
  readonly #core: TokenCore;
  readonly #flights: RefreshFlights;
  readonly #debts: RevocationDebts;
  readonly #keys: ConnectionKeyStore;

  constructor(core: TokenCore, flights: RefreshFlights, debts: RevocationDebts, keys: ConnectionKeyStore) {
    this.#core = core;
    this.#flights = flights;
    this.#debts = debts;
    this.#keys = keys;
    core.sessions.onChange((next) => this.#tellUse(next));
  }

  /**
   * Does what is due for this login session now. It reads the record first: one that was ended, refreshed or removed in
   * the meantime is left alone (R4). `clockSetBack`: due times may have been written by a clock that stood later, so they
   * count as reached, but for a record that was refreshed a moment ago. A refresh that has to queue at its issuer's gate
   * goes on after this resolved; `drain` waits for it. Rejects with LatchkeyError `store_unavailable`.
   */
  async maintain(id: LoginSessionId, clockSetBack = false): Promise<void> {
    const record = await this.#core.sessions.get(id);
    if (record?.nextDueAt === undefined) return;
    const now = this.#core.clock.now();
    // A process that began after the clock was set back can tell only by what stands in the record.
    if (record.nextDueAt > now && !isFromTheFuture(record, now) && !(clockSetBack && !wasJustRefreshed(record, now))) return;
    switch (record.state) {
      case "live":
      case "refreshing":
      case "uncertain":
        return this.#keepAlive(record);
      case "login_required":
        // The answer of the lost attempt came late and is still to be verified: it may bring the login session back.
        return record.pending === undefined || this.#core.clock.now() >= this.#purgeAt(record) ? this.#wind(record) : this.#verify(record);
      case "ended":
        return this.#wind(record);
    }
  }

  async #verify(record: LoginSession): Promise<void> {
    const { policy } = this.#core.issuers.mustGet(record.authorizationServer);
    await this.#flights.join(record, { target: policy.defaultTarget, cause: { kind: "due", generation: record.generation } });
  }

  async #keepAlive(record: LoginSession): Promise<void> {
    const now = this.#core.clock.now();
    const limit = limitReached(this.#core, record, now);
    if (limit !== undefined) return this.#retire(record, limit);
    // It says itself afterwards when it is due for a refresh.
    if (debtsDueAt(this.#core, record) <= now) return this.#debts.pay(record.id);
    if (isDueForIdleOnly(this.#core, record, now)) return this.#lookLater(record, liveDueAt(this.#core, record, now));
    const { policy, gate } = this.#core.issuers.mustGet(record.authorizationServer);
    // It stays due, and is claimed again when its lease is over.
    if (gate.isCrowdedFor(queueingExpiry(record, policy.defaultTarget, now))) return;
    // In a queue it must not hold a place of the heartbeat: behind it wait login sessions of other authorization servers.
    const queues = gate.isBusy;
    const flight = this.#flights.join(record, { target: policy.defaultTarget, cause: { kind: "due", generation: record.generation } });
    if (!queues) await flight;
    else
      flight.catch((error: unknown) => {
        this.#core.logger.warn("A login session could not be refreshed; it is tried again.", { error });
      });
  }

  /**
   * Another process may be the one that finds the idle limit reached, and it knows only what is written: a process that
   * has a connection, or knows of a use, says so in good time. Refreshes are changes, so there is always an occasion.
   */
  #tellUse(record: LoginSession): void {
    const { sessions, clock, policy, logger } = this.#core;
    if (record.state !== "live") return;
    const used = (current: LoginSession): number => (sessions.isWatched(current.id) ? clock.now() : sessions.lastUseOf(current));
    const isOld = (current: LoginSession): boolean => used(current) - current.lastUsedAt > (policy.idleLimitSeconds * 1000) / 2;
    if (!isOld(record)) return;
    applyChange(this.#core, record.id, (current) => {
      return current.state === "live" && isOld(current)
        ? { ...current, version: current.version + 1, lastUsedAt: used(current) }
        : undefined;
    }).catch((error: unknown) => {
      logger.warn("The use of a login session could not be written; it is tried again at its next change.", { error });
    });
  }

  async #retire(record: LoginSession, limit: "idle" | "absolute_limit"): Promise<void> {
    const { policy, clock, audit } = this.#core;
    let retired = false;
    await applyChange(this.#core, record.id, (current) => {
      // A refresh may be under way: its reply comes too late then, and is dropped.
      retired = current.state !== "ended" && current.state !== "login_required" && limitReached(this.#core, current, clock.now()) === limit;
      if (!retired) return undefined;
      const now = clock.now();
      const revoke: RevocableToken[] = current.refreshToken === undefined ? [] : [{ kind: "refresh_token", token: current.refreshToken }];
      // A reply that waits for its verification holds the token that followed (I4).
      for (const { body } of storedReplies(current)) revoke.push(...tokensOf(body));
      return requireLogin(current, limit, now, { revoke, purgeAt: now + policy.idleLimitSeconds * 1000 });
    });
    if (retired) audit.record({ event: "login_required", login: record.handle, reason: limit });
  }

  async #wind(record: LoginSession): Promise<void> {
    if (record.debts.length > 0) return this.#debts.pay(record.id);
    const purgeAt = this.#purgeAt(record);
    if (this.#core.clock.now() < purgeAt) {
      await this.#lookLater(record, purgeAt);
      return;
    }
    // Final first, so that no sign-in brings it back; then its keys; the record last, so that a crash leaves no key behind.
    const final = record.state === "ended" ? record : await this.#finish(record);
    if (final === undefined) return;
    await this.#keys.removeByLoginSession(record.id);
    await this.#core.sessions.remove(final);
  }

  /** Nobody signed in again in time. Undefined: somebody has, at the last moment. */
  async #finish(record: LoginSession): Promise<LoginSession | undefined> {
    const final: LoginSession = {
      ...record,
      version: record.version + 1,
      state: "ended",
      pending: undefined,
      queued: undefined,
      attempts: [],
      idToken: undefined,
    };
    return (await this.#core.sessions.commit(record, final)) ? final : undefined;
  }

  async #lookLater(record: LoginSession, nextDueAt: number): Promise<void> {
    await applyChange(this.#core, record.id, (current) =>
      current.version === record.version ? { ...current, version: current.version + 1, nextDueAt } : undefined,
    );
  }

  /** When a record that serves nothing any more is removed. */
  #purgeAt(record: LoginSession): number {
    const { policy } = this.#core;
    const keepSeconds = record.state === "ended" ? policy.tombstoneSeconds : policy.idleLimitSeconds;
    return (record.reason?.at ?? record.lastUsedAt) + keepSeconds * 1000;
  }

  /** For the end of the process: nothing new is presented, and it waits until nothing is under way, at most `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    this.#core.issuers.shutDown();
    const stop = new AbortController();
    await Promise.race([Promise.all([this.#flights.drain(), this.#debts.drain()]), sleep(this.#core.clock, limitMs, stop.signal)]);
    stop.abort();
  }
}

/** True when the record was written by a clock that stood clearly later than this one: its due time says nothing then. */
function isFromTheFuture(record: LoginSession, now: number): boolean {
  const { health, reason } = record;
  return wasSetBack(Math.max(health.lastRefreshAt ?? 0, health.lastFailure?.at ?? 0, reason?.at ?? 0), now);
}

/**
 * True when the record was refreshed between the claim of this look and its reading, so that its due time is one of the clock as it
 * stands. Else two replicas whose looks overlap with each other's refreshes would refresh in turn while both know of the jump (I14).
 */
function wasJustRefreshed(record: LoginSession, now: number): boolean {
  const { lastRefreshAt } = record.health;
  if (record.state !== "live" || lastRefreshAt === undefined || wasSetBack(lastRefreshAt, now)) return false;
  // Short beside a token's life: a token that was obtained before the jump may seem as young.
  return now - lastRefreshAt < Math.min(settleMs, 0.1 * lifetimeMs(record));
}
