import type { AttemptId, LoginSession, LoginSessionId, PresentationReason } from "../../src/session/login-session.ts";
import type { LoginSessionStore } from "../../src/session/store.ts";
import type { ModelAuthorizationServer, Presentation } from "./model-authorization-server.ts";

interface Served {
  readonly id: LoginSessionId;
  readonly accessToken: string;
  readonly at: number;
  readonly owner: string | undefined;
}

/** A logout that was answered: how much had happened by then. */
interface Answered {
  readonly presentations: number;
  readonly served: number;
  /** The replica that answered, and when: the others have a second to hear of it. Undefined: nobody has. */
  readonly by: { readonly owner: string; readonly at: number } | undefined;
}

/** How long another replica may go on after a logout was answered (I12). */
const hearsayMs = 1_000;

/** A presentation as the login session saw it: which attempt it belongs to. */
interface Begun {
  readonly id: LoginSessionId;
  readonly attempt: AttemptId;
  readonly generation: number;
  readonly owner: string;
  readonly reason: PresentationReason;
  readonly presentation: Presentation;
  /** Attempts of the same refresh token that the record counted as lost when this presentation began. */
  readonly lostBefore: ReadonlySet<AttemptId>;
}

export interface CheckOptions {
  /** No fault was injected and no process was killed, so one presentation per generation. */
  readonly healthy?: boolean;
  /** A lost reply gives up a token that may be alive: `lostReply: "retire"`. */
  readonly retires?: boolean;
}

/** The reasons of section 3: the only ones after an answer that may be lost. */
const reasonsAfterLoss: ReadonlySet<PresentationReason> = new Set([
  "introspected_active",
  "within_grace",
  "not_rotating",
  "last_presentation",
]);

/**
 * Records what a store went through and what was served, and checks the invariants on it. Every concurrent test of the
 * token service ends with `check()`; it gives the violations in words.
 */
export class History {
  readonly snapshots = new Map<LoginSessionId, LoginSession[]>();
  readonly served: Served[] = [];
  readonly violations: string[] = [];
  readonly #ended = new Map<LoginSessionId, Answered>();
  readonly #begun: Begun[] = [];
  readonly #server: ModelAuthorizationServer;

  /** `store` is the one that really keeps the records, beneath any that fails or waits. */
  constructor(store: LoginSessionStore, server: ModelAuthorizationServer) {
    this.#server = server;
    store.subscribe(({ id, version }) => {
      // The memory store tells within the commit, so this read sees just that version.
      void store.get(id).then((record) => {
        if (record !== undefined && record.version === version) this.#take(record);
      });
    });
    const refresh = server.refresh.bind(server);
    server.refresh = (request) => {
      const holder = this.#snapshotsOf(request.refreshToken);
      const answer = refresh(request);
      const presentation = server.presentations.at(-1);
      // A token that no record ever held is an import's.
      if (holder !== undefined && presentation !== undefined) this.#begin(holder, presentation);
      return answer;
    };
  }

  serve(id: LoginSessionId, accessToken: string, at: number, owner?: string): void {
    this.served.push({ id, accessToken, at, owner });
  }

  /** Logout of this login session has answered now. With `by`, other replicas than that one have a second to hear of it. */
  logoutAnswered(id: LoginSessionId, by?: Answered["by"]): void {
    if (this.#ended.has(id)) return;
    this.#ended.set(id, { presentations: this.#presentationsOf(id).length, served: this.#servedTo(id).length, by });
  }

  /** Why the refresh token was presented, in order. */
  reasonsOf(id: LoginSessionId): readonly PresentationReason[] {
    return this.#begun.filter((each) => each.id === id).map((each) => each.reason);
  }

  /** All violations of what must hold at any time. */
  check(options: CheckOptions = {}): readonly string[] {
    for (const [id, snapshots] of this.snapshots) this.#checkChain(id, snapshots, options);
    this.#checkPresentations(options.healthy ?? false);
    this.#checkServed();
    for (const [id, then] of this.#ended) {
      const tooLate = (owner: string | undefined, at: number): boolean =>
        then.by === undefined || owner === then.by.owner || at > then.by.at + hearsayMs;
      const begun = this.#presentationsOf(id).slice(then.presentations);
      if (begun.some((each) => tooLate(each.owner, each.presentation.startedAt)))
        this.violations.push(`I12: ${id} was refreshed after its logout was answered`);
      if (
        this.#servedTo(id)
          .slice(then.served)
          .some((each) => tooLate(each.owner, each.at))
      )
        this.violations.push(`I12: a token of ${id} was served after its logout was answered`);
    }
    return this.violations;
  }

  /**
   * Violations of what must hold once everything that was under way has come to its end and the server is healthy:
   * nothing hangs (I15), no rotated token got lost (I4), and what an ended login session held is revoked or owed (I12).
   */
  checkSettled(): readonly string[] {
    const found: string[] = [];
    for (const [id, snapshots] of this.snapshots) {
      const last = snapshots.at(-1);
      if (last === undefined) continue;
      if (last.state === "refreshing" || last.state === "uncertain") found.push(`I15: ${id} is still ${last.state}`);
      if (last.pending !== undefined) found.push(`I15: ${id} still holds a reply that is not verified`);
      if (last.state === "live" && !this.#server.isActive(last.refreshToken)) found.push(`I4: ${id} is live with a spent refresh token`);
      // What an earlier sign-in of the same record left at the server is not its debt.
      const tokens = new Set(snapshots.filter((each) => each.epoch === last.epoch).map((each) => each.refreshToken));
      const alive = [...tokens].some((token) => this.#server.isFamilyAlive(token));
      if (last.state === "ended" && last.debts.length === 0 && last.revocation !== "shared" && alive)
        found.push(`I12: ${id} has ended and owes nothing, but its grant is alive`);
    }
    return found;
  }

  #take(record: LoginSession): void {
    const known = this.snapshots.get(record.id);
    if (known === undefined) this.snapshots.set(record.id, [record]);
    else known.push(record);
  }

  #begin(snapshots: readonly LoginSession[], presentation: Presentation): void {
    // The newest claim of this token that nothing was presented for: the record may have been replaced since it was committed.
    const claims = snapshots.filter((each) => each.refreshToken === presentation.refreshToken).flatMap((each) => each.attempts);
    const attempt = claims.findLast((each) => !each.lost && this.#begun.every((other) => other.attempt !== each.id));
    const now = snapshots.at(-1);
    if (attempt === undefined || now === undefined) {
      this.violations.push(`I2: a presentation of ${presentation.refreshToken} began without a committed intent of its own`);
      return;
    }
    if (now.attempts.some((each) => each.id === attempt.id && each.lost))
      this.violations.push(`I1: ${presentation.refreshToken} was presented by ${attempt.owner} after its attempt had been given up`);
    const lostBefore = new Set(now.attempts.filter((each) => each.lost).map((each) => each.id));
    this.#begun.push({
      id: now.id,
      attempt: attempt.id,
      generation: attempt.generation,
      owner: attempt.owner,
      reason: attempt.reason,
      presentation,
      lostBefore,
    });
  }

  #checkChain(id: LoginSessionId, snapshots: readonly LoginSession[], options: CheckOptions): void {
    for (const [index, next] of snapshots.entries()) {
      const before = snapshots[index - 1];
      this.#checkSnapshot(id, next);
      if (before === undefined) continue;
      if (next.version !== before.version + 1) this.violations.push(`I3: ${id} went from version ${before.version} to ${next.version}`);
      if (next.generation < before.generation)
        this.violations.push(`I3: ${id} fell from generation ${before.generation} to ${next.generation}`);
      if (next.generation > before.generation + 1) this.violations.push(`I3: ${id} skipped generation ${before.generation + 1}`);
      if (before.state === "ended" && next.state !== "ended") this.violations.push(`I11: ${id} came back from ended`);
      if (before.state === "login_required" && next.state === "live" && next.epoch === before.epoch && before.reason?.code !== "lost_reply")
        this.violations.push(`I11: ${id} came back from login_required without a sign-in`);
      const dies = next.state === "login_required" && before.state !== "login_required";
      const blamed = next.reason?.code === "grant_dead" || (next.reason?.code === "lost_reply" && options.retires !== true);
      if (dies && blamed && this.#server.isActive(before.refreshToken))
        this.violations.push(`I9, I10: ${id} became login_required (${next.reason?.code}) although its refresh token is accepted`);
    }
  }

  #checkSnapshot(id: LoginSessionId, record: LoginSession): void {
    if (record.state === "login_required" || record.state === "ended") return;
    const newest = record.accessTokens[0];
    if (record.refreshToken === undefined || newest === undefined) {
      this.violations.push(`I5: ${id} is ${record.state} with half a snapshot`);
      return;
    }
    if (this.#server.issuedWith.get(newest.accessToken) !== record.refreshToken)
      this.violations.push(`I5: ${id} has ${newest.accessToken} of one reply and ${record.refreshToken} of another`);
    for (const entry of record.accessTokens)
      if (!entry.accessToken.startsWith(`at-${record.principal.subject}-`))
        this.violations.push(`I7: ${id} of ${record.principal.subject} holds ${entry.accessToken}`);
  }

  #checkPresentations(healthy: boolean): void {
    const byToken = Map.groupBy(this.#begun, (each) => each.presentation.refreshToken);
    for (const [token, begun] of byToken) {
      for (const [index, next] of begun.entries()) {
        for (const before of begun.slice(0, index)) {
          // A server that does not rotate gives the same token to the next generation.
          if (before.generation !== next.generation) continue;
          // Its owner was given up on: section 3 then decides.
          const givenUp = next.lostBefore.has(before.attempt);
          const over = before.presentation.endedAs !== undefined && before.presentation.endedAs < next.presentation.startedAs;
          if (!over && !givenUp) this.violations.push(`I1: two presentations of ${token} at one time`);
          const maybeSpent = givenUp || before.presentation.outcome === "ambiguous" || before.presentation.outcome === "rotated";
          if (maybeSpent && !reasonsAfterLoss.has(next.reason) && this.#rotates(token))
            this.violations.push(`I1: ${token}, which may be spent, was presented again as ${next.reason}`);
        }
      }
      if (healthy && begun.length > 1 && this.#rotates(token)) this.violations.push(`I1: ${token} was presented ${begun.length} times`);
    }
  }

  #rotates(token: string): boolean {
    return ![...this.#server.issuedWith.values()].some((other, index, all) => other === token && all.indexOf(other) !== index);
  }

  #checkServed(): void {
    for (const { id, accessToken, at } of this.served) {
      const snapshots = this.snapshots.get(id) ?? [];
      const entry = snapshots.flatMap((each) => each.accessTokens).find((each) => each.accessToken === accessToken);
      if (entry === undefined) this.violations.push(`I6: ${id} was served ${accessToken}, which it never held`);
      else if (entry.expiresAt <= at) this.violations.push(`I6: ${id} was served ${accessToken} after its end`);
      const subject = snapshots[0]?.principal.subject;
      if (subject !== undefined && !accessToken.startsWith(`at-${subject}-`))
        this.violations.push(`I6: ${subject} was served ${accessToken}`);
    }
  }

  #presentationsOf(id: LoginSessionId): readonly Begun[] {
    return this.#begun.filter((each) => each.id === id);
  }

  #servedTo(id: LoginSessionId): readonly Served[] {
    return this.served.filter((each) => each.id === id);
  }

  /** All snapshots of the login session that ever held this token. */
  #snapshotsOf(token: string): readonly LoginSession[] | undefined {
    for (const snapshots of this.snapshots.values()) if (snapshots.some((each) => each.refreshToken === token)) return snapshots;
    return undefined;
  }
}
