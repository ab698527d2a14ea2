import { type LoginSession, type LoginSessionId, targetKey } from "../../src/session/login-session.ts";
import type { Conditions } from "./conditions.ts";
import type { Findings } from "./findings.ts";
import { excusesWithinGrace } from "./grace-check.ts";
import { type Claim, LoginTruth } from "./login-truth.ts";
import type { Scheduler } from "./scheduler.ts";
import { readAccessToken, type SimulatedAuthorizationServer } from "./simulated-authorization-server.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Trace } from "./trace.ts";

export interface RecordCheckServices {
  readonly scheduler: Scheduler;
  readonly conditions: Conditions;
  readonly findings: Findings;
  readonly trace: Trace;
  readonly servers: ReadonlyMap<string, SimulatedAuthorizationServer>;
  readonly idleLimitSeconds: number;
  /** Whether a connection is bound to it in a process that runs. */
  readonly isBound: (id: LoginSessionId) => boolean;
  /** A login session stopped to serve. */
  readonly onDeath: (truth: LoginTruth) => void;
}

const ownTarget = targetKey({ scopes: [] });

/** Watches every change that the store makes: I3, I5, I7, I9 to I11, I14, and which logins are lost. */
export class RecordCheck {
  readonly truths = new Map<LoginSessionId, LoginTruth>();
  readonly #services: RecordCheckServices;
  readonly #byToken = new Map<string, LoginTruth>();
  readonly #byGrant = new Map<string, LoginTruth>();
  #made = 0;

  constructor(services: RecordCheckServices) {
    this.#services = services;
  }

  truthOf(refreshToken: string): LoginTruth | undefined {
    return this.#byToken.get(refreshToken);
  }

  changed(next: LoginSession | undefined, previous: LoginSession | undefined, by: SimulatedProcess): void {
    const { scheduler, trace, findings } = this.#services;
    if (next === undefined) {
      const truth = previous === undefined ? undefined : this.truths.get(previous.id);
      if (truth !== undefined) this.#removed(truth, by);
      return;
    }
    const truth = this.truths.get(next.id) ?? this.#inserted(next);
    trace.add(
      scheduler.now,
      `${by.name} writes ${truth.number} v${next.version} g${next.generation} ${next.state} ${next.reason?.code ?? ""}`,
    );
    findings.count("commits");
    this.#checkSnapshot(truth, next);
    if (previous !== undefined) this.#checkChange(truth, next, previous, by);
    truth.record = next;
    if (next.refreshToken !== undefined) this.#byToken.set(next.refreshToken, truth);
  }

  #inserted(record: LoginSession): LoginTruth {
    const { servers, findings } = this.#services;
    const server = servers.get(record.authorizationServer);
    if (server === undefined) throw new Error(`no simulated authorization server ${record.authorizationServer}`);
    const truth = new LoginTruth(++this.#made, server, record);
    this.truths.set(record.id, truth);
    findings.count("login sessions");
    truth.publishedAt.unshift(this.#services.scheduler.now);
    const grant = `${server.traits.name} ${server.grantOf(record.refreshToken ?? "")}`;
    const twin = this.#byGrant.get(grant);
    if (twin?.isServing === true)
      findings.violate("B8, F47", `logins ${twin.number} and ${truth.number} are both made of one sign-in at ${server.traits.name}`);
    this.#byGrant.set(grant, truth);
    return truth;
  }

  #removed(truth: LoginTruth, by: SimulatedProcess): void {
    const { scheduler, trace, findings } = this.#services;
    trace.add(scheduler.now, `${by.name} removes ${truth.number}`);
    if (truth.isServing) findings.violate("I11", `login ${truth.number} was removed while it was ${truth.record.state}`);
    if (truth.record.debts.length > 0) findings.violate("I12", `login ${truth.number} was removed with its revocation unpaid`);
    truth.removed = true;
    this.truths.delete(truth.record.id);
  }

  #checkSnapshot(truth: LoginTruth, record: LoginSession): void {
    const { findings } = this.#services;
    const serves = record.state !== "login_required" && record.state !== "ended";
    const what = `login ${truth.number} v${record.version}`;
    if (!serves) {
      if (record.accessTokens.length > 0 || record.refreshToken !== undefined)
        findings.violate("I5, I11", `${what} is ${record.state} and holds a token`);
      return;
    }
    const [newest] = record.accessTokens;
    if (newest === undefined || record.refreshToken === undefined) {
      findings.violate("I5", `${what} is ${record.state} with half a snapshot`);
      return;
    }
    if (record.nextDueAt === undefined) findings.violate("I15", `${what} is ${record.state} and never looked at again`);
    for (const { accessToken } of record.accessTokens)
      if (readAccessToken(accessToken)?.subject !== record.principal.subject)
        findings.violate("I7", `${what} of ${record.principal.subject} holds ${accessToken}`);
    if (readAccessToken(newest.accessToken)?.refreshToken !== record.refreshToken)
      findings.violate("I5", `${what} has ${newest.accessToken} of one reply and ${record.refreshToken} of another`);
  }

  #checkChange(truth: LoginTruth, next: LoginSession, previous: LoginSession, by: SimulatedProcess): void {
    const { findings } = this.#services;
    const what = `login ${truth.number}`;
    if (next.version !== previous.version + 1) findings.violate("I3", `${what} went from version ${previous.version} to ${next.version}`);
    if (next.generation < previous.generation || next.generation > previous.generation + 1)
      findings.violate("I3", `${what} went from generation ${previous.generation} to ${next.generation}`);
    if (previous.state === "ended" && next.state !== "ended") findings.violate("I11", `${what} came back from ended`);
    const served = previous.state !== "ended" && previous.state !== "login_required";
    const serves = next.state !== "ended" && next.state !== "login_required";
    if (!served && serves && next.epoch === previous.epoch && previous.reason?.code !== "lost_reply")
      findings.violate("I11", `${what} came back from ${previous.reason?.code} without a sign-in`);
    for (const attempt of next.attempts)
      if (!previous.attempts.some((each) => each.id === attempt.id)) truth.claimed(this.#claimOf(next, attempt));
    if (next.epoch > previous.epoch) truth.excusedReuse = undefined;
    if (next.generation > previous.generation) this.#published(truth, next, previous);
    if (served && !serves) this.#died(truth, next, previous, by);
    if (serves) {
      truth.deadSince = undefined;
      truth.owedBack = false;
    }
    if (next.state === "ended") truth.owedBack = false;
  }

  #claimOf(record: LoginSession, attempt: LoginSession["attempts"][number]): Claim {
    const { id, epoch, generation, owner, reason, deadline, claimedAt } = attempt;
    const at = this.#services.scheduler.now;
    return {
      attempt: id,
      token: record.refreshToken ?? "",
      epoch,
      generation,
      owner,
      reason,
      at,
      limitMs: deadline - claimedAt,
      begun: false,
    };
  }

  #published(truth: LoginTruth, next: LoginSession, previous: LoginSession): void {
    const { scheduler, conditions, findings } = this.#services;
    const { now } = scheduler;
    const isRefresh = next.epoch === previous.epoch;
    if (isRefresh) findings.count("refreshes");
    const first = truth.presentations.at(-truth.presentedSince);
    const { healthySince } = conditions;
    if (isRefresh && healthySince !== undefined && first !== undefined && first.beganAt >= healthySince && truth.presentedSince !== 1)
      findings.violate("I1", `login ${truth.number} needed ${truth.presentedSince} presentations for one generation in good health`);
    for (const each of truth.presentationsOf(previous.refreshToken))
      if (each.claim?.reason === "within_grace" && each.reached) findings.count("logins saved within grace");
    truth.presentedSince = 0;
    truth.reported.clear();
    const [newest] = next.accessTokens;
    if (newest === undefined || targetKey(newest.target) !== ownTarget) return;
    const fourth = truth.publishedAt[3];
    const lifeMs = truth.server.traits.accessTokenSeconds * 1000;
    if (isRefresh && healthySince !== undefined && fourth !== undefined && fourth >= healthySince && now - fourth < lifeMs * 0.99)
      findings.violate("I14", `login ${truth.number} at ${truth.server.traits.name} was refreshed 5 times within one access token's life`);
    truth.publishedAt.unshift(now);
    truth.publishedAt.length = Math.min(truth.publishedAt.length, 5);
  }

  #died(truth: LoginTruth, next: LoginSession, previous: LoginSession, by: SimulatedProcess): void {
    const { scheduler, findings } = this.#services;
    truth.deadSince = { at: scheduler.now, by: by.name };
    findings.count(`${next.state} (${next.reason?.code})`);
    this.#services.onDeath(truth);
    switch (next.reason?.code) {
      case "grant_dead":
      case "lost_reply":
        this.#checkLoss(truth, next.reason.code, previous);
        return;
      case "refused":
        // Again and again for ten minutes, while others were served: that is what the rule of lasting refusals means.
        if (truth.presentationsOf(previous.refreshToken).filter((each) => each.fault !== undefined).length >= 3)
          findings.count("logins given up after lasting refusals");
        else if (truth.server.truthOf(previous.refreshToken) === "accepted")
          findings.violate("I10", `login ${truth.number} was given up as refused although its refresh token is accepted`);
        return;
      case "identity":
        if (!truth.presentations.some((each) => each.fault === "wrong_subject" && each.reached))
          findings.violate("I10", `login ${truth.number} was given up for an identity that nobody mistook`);
        return;
      case "idle":
        // A use that is younger than one refresh may not be known everywhere yet.
        if (this.#services.isBound(next.id) && scheduler.now - truth.boundAt > 2_000 * truth.server.traits.accessTokenSeconds)
          findings.violate("5, idle", `login ${truth.number} was retired while a connection is bound to it`);
        return;
      case "absolute_limit":
      case "logout":
      case "backchannel_logout":
      case "administrator":
      case "import_owner":
      case undefined:
        return;
    }
  }

  /** A login may be lost only if its refresh token is dead, and if no living process has what came instead of it. */
  #checkLoss(truth: LoginTruth, reason: "grant_dead" | "lost_reply", previous: LoginSession): void {
    const { findings, conditions } = this.#services;
    const token = previous.refreshToken;
    const what = `login ${truth.number} at ${truth.server.traits.name} became login_required (${reason})`;
    const state = truth.server.truthOf(token);
    const presentations = truth.presentationsOf(token);
    const granted = presentations.filter((each) => each.presented?.kind === "granted");
    const { policy, graceMs, returns } = truth.server.traits;
    if (state === "reuse" && conditions.endedByImports.has(`${truth.server.traits.name} ${truth.server.grantOf(token ?? "")}`)) {
      findings.count("lost logins after a reuse alarm by an import");
      return;
    }
    // The alarm killed what came late as well. Without such a past the presentation that raised it is looked at below.
    const isAftermath = !presentations.some((each) => each.presented?.kind === "dead" && each.presented.why === "reuse");
    if (state === "reuse" && truth.excusedReuse !== undefined && (isAftermath || truth.excusedReuse !== "by a last presentation")) {
      findings.count(`lost logins after a reuse alarm ${truth.excusedReuse}`);
      return;
    }
    switch (state) {
      case "accepted":
        if (policy?.lostReply === "retire" && reason === "lost_reply") findings.count("logins given up unasked (retire)");
        else findings.violate("I9, I10", `${what} although its refresh token is accepted`);
        return;
      case "revoked_by_server":
      case "expired":
        findings.count(`logins that were ${state === "expired" ? "too old" : "revoked"} at their server`);
        return;
      case "revoked_by_us":
        findings.violate("I10", `${what} because we revoked it ourselves`);
        return;
      case "unknown":
        findings.violate("I10", `${what} with a refresh token that nobody issued`);
        return;
      case "spent":
      case "reuse":
        break;
    }
    if (returns !== "new") findings.violate("I10", `${what} although its server does not rotate`);
    if (reason === "grant_dead") findings.violate("4", `${what}, which was a lost reply`);
    if (granted.length === 0) findings.violate("I10", `${what}, but no reply to it was ever produced`);
    // It hangs or waits for the store there: it is adopted late.
    truth.owedBack = granted.some((each) => each.reached && !each.process.isKilled);
    if (graceMs !== undefined && !excusesWithinGrace(truth, token, conditions))
      findings.violate("3, grace", `${what} although its grace sufficed`);
    findings.count(graceMs === undefined ? "lost logins" : "lost logins with a grace period, each by more than one fault");
  }
}
