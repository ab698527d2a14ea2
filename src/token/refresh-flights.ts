import type { Attempt, LoginSession, LoginSessionId } from "../session/login-session.ts";
import { targetKey } from "../session/login-session.ts";
import { newAttemptId } from "../session/random.ts";
import { applyChange, applyOutcome } from "./apply-change.ts";
import { settleFailure } from "./failure-settlement.ts";
import type { FlightResult } from "./flight-result.ts";
import type { GatePlace, GateTicket } from "./issuer-gate.ts";
import type { RefreshOutcome } from "./ports.ts";
import { claim, doubt, failed, markLost, rebaseAttempt, requireLogin } from "./record-changes.ts";
import { type Introspected, planRefresh, type RefreshStep, type RefreshWish } from "./refresh-plan.ts";
import { settleReply, verifyPending } from "./reply-settlement.ts";
import { attemptLimitOf, backoffMs, entryFor } from "./times.ts";
import type { TokenCore } from "./token-core.ts";

interface Flight {
  readonly key: string;
  readonly result: Promise<FlightResult>;
  promote(): void;
}

/** What introspection said, and about which presentations: another one since, and it says nothing any more. */
interface Looked {
  readonly answer: Introspected;
  readonly about: string;
  /** Why it is "unavailable". */
  readonly failure: FlightResult["failure"];
}

interface Decision {
  readonly record: LoginSession | undefined;
  readonly step: RefreshStep;
  /** The claim that was made, if the step was to present and there was a ticket. */
  readonly attempt: Attempt | undefined;
  /** When it was begun, on the monotonic clock. */
  readonly claimedAt: number;
}

/** A replica that waits for another one's presentation looks at the record at least this often. */
const pollMs = 250;

/**
 * At most one flight per login session in this process (I8): claim, one presentation, commit. A flight is detached from
 * whoever asked for it. Across processes the claim, a compare-and-set, lets one through (I1).
 */
export class RefreshFlights {
  readonly #core: TokenCore;
  readonly #flights = new Map<LoginSessionId, Flight>();

  constructor(core: TokenCore) {
    this.#core = core;
  }

  /** How many flights are under way. */
  get size(): number {
    return this.#flights.size;
  }

  /**
   * Joins the flight for the same access token target, queues behind one for another target, or starts one. Rejects with
   * LatchkeyError `store_unavailable`.
   */
  async join(record: LoginSession, wish: RefreshWish): Promise<FlightResult> {
    const key = targetKey(wish.target);
    for (;;) {
      const flight = this.#flights.get(record.id);
      if (flight === undefined) return this.#start(record, key, wish).result;
      if (wish.cause.kind !== "due") flight.promote();
      if (flight.key === key || wish.cause.kind === "due") return flight.result;
      // Another target: its own refresh, after this one, with the refresh token that this one brings.
      await flight.result.catch(() => undefined);
    }
  }

  /** Resolves when no flight is under way any more. */
  async drain(): Promise<void> {
    while (this.#flights.size > 0) await Promise.allSettled([...this.#flights.values()].map((flight) => flight.result));
  }

  #start(record: LoginSession, key: string, wish: RefreshWish): Flight {
    let place: GatePlace | undefined;
    let wanted = wish.cause.kind === "due" ? ("heartbeat" as const) : ("user" as const);
    const enter = (): Promise<GateTicket> => {
      place = this.#core.issuers.mustGet(record.authorizationServer).gate.enter(wanted, entryFor(record, wish.target)?.expiresAt ?? 0);
      return place.entered;
    };
    const result = this.#fly(record.id, wish, enter).finally(() => this.#flights.delete(record.id));
    const promote = (): void => {
      wanted = "user";
      place?.promote();
    };
    const flight: Flight = { key, result, promote };
    this.#flights.set(record.id, flight);
    return flight;
  }

  async #fly(id: LoginSessionId, wish: RefreshWish, enter: () => Promise<GateTicket>): Promise<FlightResult> {
    let ticket: GateTicket | undefined;
    let looked: Looked | undefined;
    try {
      for (;;) {
        const { record, step, attempt, claimedAt } = await this.#decide(id, wish, looked, ticket !== undefined);
        if (record === undefined) return { record };
        if (attempt !== undefined && ticket !== undefined) return await this.#present(record, attempt, claimedAt, ticket);
        switch (step.kind) {
          case "done":
          case "give_up":
          case "postpone":
            return looked?.failure === undefined ? { record } : { record, failure: looked.failure };
          case "verify":
            return this.#verified(await verifyPending(this.#core, record));
          case "mark_lost":
          case "rebase":
          case "doubt":
            break;
          case "wait":
            ticket?.leave({ kind: "neutral" });
            ticket = undefined;
            await this.#changed(record, step.until);
            break;
          case "introspect":
            ticket ??= await enter();
            looked = { ...(await this.#introspect(record, ticket)), about: presentationsOf(record) };
            if (looked.answer === "unavailable") ticket = undefined;
            // While it was asked, the answer to somebody else may have closed the gate: the ticket is of before (I13).
            else if (this.#core.issuers.mustGet(record.authorizationServer).gate.closedForMs > 0) {
              ticket.leave({ kind: "neutral" });
              ticket = undefined;
            }
            break;
          case "present":
            // The claim is made only with a ticket in hand: its deadline must not run in the queue.
            ticket ??= await enter();
            break;
        }
      }
    } finally {
      ticket?.leave({ kind: "neutral" });
    }
  }

  /** Reads, plans, and commits what the plan writes: the claim, a lost attempt, a later date, the end of hope. */
  async #decide(id: LoginSessionId, wish: RefreshWish, looked: Looked | undefined, mayPresent: boolean): Promise<Decision> {
    const core = this.#core;
    const made: { step: RefreshStep; attempt: Attempt | undefined; claimedAt: number } = {
      step: { kind: "done" },
      attempt: undefined,
      claimedAt: 0,
    };
    const plan = (record: LoginSession): LoginSession | undefined => {
      const now = core.clock.now();
      const { policy } = core.issuers.mustGet(record.authorizationServer);
      const introspectionTrusted = core.issuers.trustsIntrospection(record);
      const introspected = looked?.about === presentationsOf(record) ? looked.answer : undefined;
      made.attempt = undefined;
      made.claimedAt = core.clock.monotonic();
      made.step = planRefresh(record, wish, {
        now,
        policy,
        introspectionTrusted,
        timeoutSeconds: core.policy.timeoutSeconds,
        incarnation: core.incarnation?.(),
        introspected,
      });
      if (made.step.kind === "present" && mayPresent) made.attempt = this.#newAttempt(record, wish, made.step.reason, now);
      return this.#write(record, made.step, made.attempt, introspected, now);
    };
    const record = await applyChange(core, id, plan).catch((error: unknown) => {
      // The claim may have been written although its acknowledgement was lost (F10): then it is ours all the same.
      const { attempt } = made;
      if (attempt === undefined) throw error;
      return applyChange(core, id, (current) => (current.attempts.some((each) => each.id === attempt.id) ? undefined : rethrow(error)));
    });
    if (made.step.kind === "give_up" && record?.state === "login_required")
      core.audit.record({ event: "login_required", login: record.handle, reason: record.reason?.code });
    return { record, ...made };
  }

  #write(
    record: LoginSession,
    step: RefreshStep,
    attempt: Attempt | undefined,
    introspected: Introspected | undefined,
    now: number,
  ): LoginSession | undefined {
    switch (step.kind) {
      case "present":
        return attempt === undefined ? undefined : claim(record, attempt);
      case "rebase":
        return rebaseAttempt(record, step.attemptId, now);
      case "mark_lost":
        return markLost(record, step.attemptId, failed(record.health, "ambiguous", now), now);
      case "doubt":
        return doubt(record, newAttemptId(), this.#core.issuers.mustGet(record.authorizationServer).policy.defaultTarget, now);
      case "give_up":
        return requireLogin(record, "lost_reply", now, { revoke: [], purgeAt: now + this.#core.policy.idleLimitSeconds * 1000 });
      case "postpone": {
        const notBefore = introspected === "inactive" ? step.until : record.health.notBefore;
        if (record.nextDueAt === step.until && notBefore === record.health.notBefore) return undefined;
        return { ...record, version: record.version + 1, health: { ...record.health, notBefore }, nextDueAt: step.until };
      }
      case "introspect":
      case "verify":
      case "wait":
      case "done":
        return undefined;
    }
  }

  #newAttempt(record: LoginSession, wish: RefreshWish, reason: Attempt["reason"], now: number): Attempt {
    const core = this.#core;
    return {
      id: newAttemptId(),
      epoch: record.epoch,
      generation: record.generation,
      owner: core.owner,
      claimedAt: now,
      deadline: now + attemptLimitOf(record, core.policy, wish.target),
      target: wish.target,
      reason,
      lost: false,
    };
  }

  /** One presentation of the refresh token that stands in the record after the claim. */
  async #present(record: LoginSession, attempt: Attempt, claimedAt: number, ticket: GateTicket): Promise<FlightResult> {
    const core = this.#core;
    const refreshToken = record.refreshToken;
    // Cannot be: no claim is committed without one.
    if (refreshToken === undefined) return { record };
    // The claim may have taken long, or this process stood still: past the deadline others may count the attempt as lost and go on.
    // A suspend shows on the wall clock alone, a wall clock that was set back on the monotonic one.
    const spentMs = Math.max(core.clock.monotonic() - claimedAt, core.clock.now() - attempt.claimedAt);
    const leftMs = attempt.deadline - attempt.claimedAt - spentMs;
    if (leftMs <= 0) {
      ticket.leave({ kind: "neutral" });
      return settleFailure(core, record, attempt, { kind: "not_sent", cause: new Error("The attempt's time was over.") }, ticket);
    }
    core.audit.record({
      event: "refresh_presented",
      login: record.handle,
      issuer: record.principal.issuer,
      generation: record.generation,
      reason: attempt.reason,
    });
    let outcome: RefreshOutcome;
    try {
      outcome = await core.server.refresh({
        authorizationServer: record.authorizationServer,
        refreshToken,
        target: attempt.target,
        timeoutMs: leftMs,
      });
    } catch (cause) {
      outcome = { kind: "ambiguous", cause };
    }
    if (outcome.kind === "rotated") {
      ticket.leave({ kind: "healthy" });
      return this.#verified(await settleReply(core, record, attempt, outcome.reply));
    }
    return settleFailure(core, record, attempt, outcome, ticket);
  }

  #verified(record: LoginSession | undefined): FlightResult {
    return record?.pending === undefined ? { record } : { record, failure: { kind: "unverified" } };
  }

  async #introspect(record: LoginSession, ticket: GateTicket): Promise<Omit<Looked, "about">> {
    const core = this.#core;
    if (record.refreshToken === undefined) return { answer: "inactive", failure: undefined };
    const outcome = await core.server.introspect(record.authorizationServer, record.refreshToken);
    if (outcome.kind !== "unavailable") return { answer: outcome.kind, failure: undefined };
    const { retryAfterSeconds } = outcome;
    const failure = { kind: outcome.answered === true ? ("server_error" as const) : ("not_sent" as const), retryAfterSeconds };
    ticket.leave({ kind: "sick", failure: failure.kind, retryAfterSeconds });
    await applyOutcome(core, record.id, (current) => {
      if (current.version !== record.version) return undefined;
      const now = core.clock.now();
      const notBefore = now + Math.max(backoffMs(current.health.failures, core.random, 250, 5_000), (retryAfterSeconds ?? 0) * 1000);
      // Nothing was presented: a "server error" would make the next flight look again instead of presenting, for ever.
      return { ...current, version: current.version + 1, health: failed(current.health, "not_sent", now, notBefore), nextDueAt: notBefore };
    });
    return { answer: "unavailable", failure };
  }

  /** Resolves when the record has changed, or may have, or at `until`. */
  #changed(record: LoginSession, until: number): Promise<void> {
    const { clock, sessions } = this.#core;
    return new Promise((resolve) => {
      const timer = clock.schedule(Math.max(1, Math.min(pollMs, until - clock.now())), done);
      const stop = sessions.onChange((next) => {
        if (next.id === record.id && next.version > record.version) done();
      });
      function done(): void {
        timer.cancel();
        stop();
        resolve();
      }
    });
  }
}

function presentationsOf(record: LoginSession): string {
  return [record.epoch, record.generation, ...record.attempts.map((attempt) => attempt.id)].join(" ");
}

function rethrow(error: unknown): never {
  throw error;
}
