import { sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { AccessTokenEntry, AccessTokenTarget, LoginSession } from "../session/login-session.ts";
import { targetKey } from "../session/login-session.ts";
import type { WatchedLoginSession } from "../session/login-sessions.ts";
import { acquireError, deadLoginError, insufficientScopeError } from "./acquire-error.ts";
import type { FlightResult } from "./flight-result.ts";
import { nextLostReplyStep } from "./lost-reply.ts";
import type { RefreshFlights } from "./refresh-flights.ts";
import type { RefreshWish } from "./refresh-plan.ts";
import { attemptLimitOf, callerBudgetMs, entryFor, heldUntil, isFresh, isYoung, remainingMs } from "./times.ts";
import type { TokenCore } from "./token-core.ts";

export interface AcquireOptions {
  /** The API refused this very access token with a 401: another one is wanted. */
  readonly rejected?: string | undefined;
  /** How long the access token must still be valid when it is handed out. Default 0. */
  readonly minimumValiditySeconds?: number | undefined;
  /** How long to wait for a refresh. Default: min(8 s, the attempt limit), or less while a token in its margin still lasts. The refresh itself goes on after it. */
  readonly budgetMs?: number | undefined;
  /** Stops the waiting, never the refresh (I8). */
  readonly signal?: AbortSignal | undefined;
}

/** An access token with less left than this would end on its way to the API. */
const lastMomentMs = 1_250;
/** So often a caller looks again after a flight that did not bring what it needs. */
const longestChain = 4;

/** Hands out access tokens of a login session, refreshed when they need it: one presentation at a time, whoever asks. */
export class TokenService {
  readonly #core: TokenCore;
  readonly #flights: RefreshFlights;

  constructor(core: TokenCore, flights: RefreshFlights) {
    this.#core = core;
    this.#flights = flights;
  }

  /**
   * An access token of this login session for the target, with at least the asked-for validity left (I6). A valid one is
   * returned at once, without a lock, a promise or I/O. Otherwise it joins the refresh that is under way or starts one.
   *
   * Throws or rejects with LatchkeyError: `login_required`, `login_ended`; retryable `refresh_timeout` (the refresh goes on)
   * and `authorization_server_unavailable`; `insufficient_scope`; `store_unavailable`; `cancelled`. None of them changes
   * the login session.
   */
  acquire(
    login: WatchedLoginSession,
    target: AccessTokenTarget,
    options: AcquireOptions = {},
  ): AccessTokenEntry | Promise<AccessTokenEntry> {
    const now = this.#core.clock.now();
    const record = login.current();
    login.touch(now);
    if (options.rejected === undefined && servesTokens(record)) {
      const entry = entryFor(record, target);
      if (entry !== undefined && isFresh(entry, now, (options.minimumValiditySeconds ?? 0) * 1000)) return entry;
    }
    return this.#acquireSlowly(login, target, options);
  }

  async #acquireSlowly(login: WatchedLoginSession, target: AccessTokenTarget, options: AcquireOptions): Promise<AccessTokenEntry> {
    const { clock, policy } = this.#core;
    const attemptMs = attemptLimitOf(login.current(), policy, target);
    const giveUpAt = clock.monotonic() + (options.budgetMs ?? callerBudgetMs(attemptMs));
    for (let flights = 0; ; ) {
      if (options.signal?.aborted) throw cancelled();
      const record = mustServe(login);
      const found = this.#servable(record, target, options);
      if (found.fresh !== undefined) return found.fresh;
      this.#refuseImpossible(record, target, options);
      if (flights >= longestChain || this.#waitMs(record) > 0) {
        if (found.usable !== undefined) return found.usable;
        await this.#waitOut(record, flights < longestChain ? giveUpAt : 0, options.signal);
        continue;
      }
      flights += 1;
      const flight = this.#flights.join(record, wishOf(target, options));
      const result = await this.#wait(flight, Math.min(giveUpAt, this.#lastUseOf(found.usable, options)), options.signal);
      const after = mustServe(login);
      if (result === "timeout" || result.failure !== undefined || after.state === "uncertain") {
        const { usable } = this.#servable(after, target, options);
        if (usable !== undefined) return usable;
        // A grace period, or a server that does not rotate: the same token may go once more while the caller waits.
        if (this.#mayPresentAgain(after, result === "timeout" ? 0 : giveUpAt)) continue;
        throw this.#failure(after, result);
      }
    }
  }

  /** How long nothing will be presented for this login session. */
  #waitMs(record: LoginSession): number {
    const { clock, issuers } = this.#core;
    const { closedForMs } = issuers.mustGet(record.authorizationServer).gate;
    return Math.max(closedForMs, heldUntil(record, clock.now()) - clock.now());
  }

  /** The short wait before a lost reply may be asked for again; any other one is not worth it, and throws. */
  async #waitOut(record: LoginSession, giveUpAt: number, signal: AbortSignal | undefined): Promise<void> {
    const issuer = this.#core.issuers.mustGet(record.authorizationServer);
    const waitMs = this.#waitMs(record);
    // Nobody gains from waiting in front of an authorization server that is known to be down.
    if (issuer.gate.closedForMs > 0 || !this.#mayPresentAgain(record, giveUpAt)) throw acquireError(record, issuer, undefined, waitMs);
    // Not a fraction of a millisecond less: timers round down.
    await sleep(this.#core.clock, Math.ceil(waitMs), signal);
  }

  #failure(record: LoginSession, result: FlightResult | "timeout"): LatchkeyError {
    const issuer = this.#core.issuers.mustGet(record.authorizationServer);
    if (result !== "timeout") return acquireError(record, issuer, result.failure, 0);
    // The refresh waits for a server that was found to be away in the meantime: "slow" would be wrong.
    return issuer.gate.closedForMs > 0 ? acquireError(record, issuer, undefined, issuer.gate.closedForMs) : timedOut();
  }

  /** Whether a lost reply may be asked for again before a caller gives up (monotonic): at once, or when a short backoff is over. */
  #mayPresentAgain(record: LoginSession, giveUpAt: number): boolean {
    if (record.state !== "uncertain") return false;
    const { issuers, policy, clock } = this.#core;
    const now = clock.now();
    const at = Math.max(now, heldUntil(record, now));
    if (clock.monotonic() + (at - now) >= giveUpAt) return false;
    const attemptMs = attemptLimitOf(record, policy);
    const trusted = issuers.trustsIntrospection(record);
    return nextLostReplyStep(record, issuers.mustGet(record.authorizationServer).policy, trusted, attemptMs, at).kind === "present";
  }

  /** `fresh`: to be handed out as it is. `usable`: to be handed out when there is no better one. */
  #servable(
    record: LoginSession,
    target: AccessTokenTarget,
    options: AcquireOptions,
  ): { fresh?: AccessTokenEntry; usable?: AccessTokenEntry } {
    const entry = entryFor(record, target);
    if (entry === undefined) return {};
    const now = this.#core.clock.now();
    const minimumMs = (options.minimumValiditySeconds ?? 0) * 1000;
    const left = remainingMs(entry, now);
    if (left <= minimumMs) return {};
    if (entry.accessToken === options.rejected) {
      // A young token that the API refuses is not made better by a younger one: the caller gets it back and sees the 401.
      return isYoung(entry, now) ? { fresh: entry, usable: entry } : {};
    }
    return isFresh(entry, now, minimumMs) ? { fresh: entry, usable: entry } : { usable: entry };
  }

  /** A young token that was not fresh is too short, or grants too little: it would be no better after another refresh. */
  #refuseImpossible(record: LoginSession, target: AccessTokenTarget, options: AcquireOptions): void {
    const entry = entryFor(record, target);
    if (entry === undefined) {
      const key = targetKey(target);
      const narrower = record.accessTokens.find((each) => targetKey(each.target) === key);
      if (narrower !== undefined && isYoung(narrower, this.#core.clock.now()))
        throw insufficientScopeError(record, this.#core.issuers.mustGet(record.authorizationServer));
      return;
    }
    if (!isYoung(entry, this.#core.clock.now())) return;
    const minimumSeconds = options.minimumValiditySeconds ?? 0;
    const lifetimeSeconds = Math.round((entry.expiresAt - entry.obtainedAt) / 1000);
    throw new LatchkeyError(
      "invalid_request",
      `An access token that is valid for ${minimumSeconds} s more was asked for, but this authorization server's live ${lifetimeSeconds} s in all.`,
    );
  }

  /** Until when (monotonic) a caller may wait for a better token than this one, and still use this one. */
  #lastUseOf(usable: AccessTokenEntry | undefined, options: AcquireOptions): number {
    if (usable === undefined) return Number.POSITIVE_INFINITY;
    const { clock } = this.#core;
    const spareMs = remainingMs(usable, clock.now()) - lastMomentMs - (options.minimumValiditySeconds ?? 0) * 1000;
    return spareMs > 0 ? clock.monotonic() + spareMs : Number.POSITIVE_INFINITY;
  }

  /** Waits within the caller's budget; the flight goes on without it. */
  #wait(flight: Promise<FlightResult>, giveUpAt: number, signal: AbortSignal | undefined): Promise<FlightResult | "timeout"> {
    const { clock } = this.#core;
    return new Promise((resolve, reject) => {
      const timer = clock.schedule(Math.max(0, giveUpAt - clock.monotonic()), () => settle(() => resolve("timeout")));
      const onAbort = (): void => settle(() => reject(cancelled()));
      signal?.addEventListener("abort", onAbort);
      function settle(how: () => void): void {
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        how();
      }
      flight.then(
        (result) => settle(() => resolve(result)),
        (error: unknown) => settle(() => reject(error)),
      );
    });
  }
}

function mustServe(login: WatchedLoginSession): LoginSession {
  const record = login.current();
  if (!servesTokens(record)) throw deadLoginError(record);
  return record;
}

function servesTokens(record: LoginSession): boolean {
  return record.state === "live" || record.state === "refreshing" || record.state === "uncertain";
}

function wishOf(target: AccessTokenTarget, options: AcquireOptions): RefreshWish {
  if (options.rejected !== undefined) return { target, cause: { kind: "rejected", accessToken: options.rejected } };
  return { target, cause: { kind: "demand", minimumValidityMs: (options.minimumValiditySeconds ?? 0) * 1000 } };
}

function cancelled(): LatchkeyError {
  return new LatchkeyError("cancelled", "The call was cancelled while its access token was being refreshed.");
}

function timedOut(): LatchkeyError {
  return new LatchkeyError("refresh_timeout", "The authorization server is slow to refresh the access token. Try again in a moment.", {
    retryable: true,
    retryAfterSeconds: 2,
  });
}
