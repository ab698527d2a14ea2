import { targetKey } from "../../src/session/login-session.ts";
import type { Conditions } from "./conditions.ts";
import type { Findings } from "./findings.ts";
import type { LoginTruth } from "./login-truth.ts";
import type { Scheduler } from "./scheduler.ts";
import { readAccessToken } from "./simulated-authorization-server.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { SimulatedReplica } from "./simulated-replica.ts";

export interface ServingCheckServices {
  readonly scheduler: Scheduler;
  readonly conditions: Conditions;
  readonly findings: Findings;
  readonly replicas: () => readonly SimulatedReplica[];
}

/** How long another replica may go on after the end of a login session (I12, B9). */
const hearsayMs = 1_000;
/** What a healthy store and the way to it take besides. */
const toleranceMs = 100;
/** How long a record may be overdue before somebody must have looked at it. */
const slackMs = 15_000;
const sweepMs = 15_000;
const ownTarget = targetKey({ scopes: [] });

/** Watches what is served, and that nothing hangs: I6, I12, B9, I14, I15. */
export class ServingCheck {
  readonly #services: ServingCheckServices;

  constructor(services: ServingCheckServices) {
    this.#services = services;
  }

  /** `subject`: the user whose connection it is. */
  served(truth: LoginTruth, process: SimulatedProcess, subject: string, accessToken: string): void {
    const { scheduler, findings, conditions } = this.#services;
    const { now } = scheduler;
    findings.count("access tokens served");
    const facts = readAccessToken(accessToken);
    if (facts?.subject !== subject || facts.subject !== truth.record.principal.subject)
      findings.violate("I6, R9", `${subject} was served ${accessToken} by login ${truth.number}`);
    else {
      const { accessTokenSeconds } = truth.server.traits;
      const end = facts.issuedAt + accessTokenSeconds * 1000;
      if (now > end + toleranceMs && !conditions.wasTroubledFor(process.name, facts.issuedAt, now))
        findings.violate("I6", `${subject} was served ${accessToken} ${Math.round(now - end)} ms after its end`);
    }
    this.#checkAfterEnd(truth, process, "was served a token");
  }

  /** Whatever `process` did for this login session just now: not after its end (I12). */
  #checkAfterEnd(truth: LoginTruth, process: SimulatedProcess, deed: string): void {
    const { scheduler, findings, conditions } = this.#services;
    const { now } = scheduler;
    const { logoutAnswered, deadSince } = truth;
    if (logoutAnswered?.by === process.name && truth.record.state === "ended")
      findings.violate("I12", `login ${truth.number} ${deed} by ${process.name}, which had answered its logout`);
    if (deadSince === undefined || now <= deadSince.at + hearsayMs + toleranceMs) return;
    if (conditions.wasTroubledFor(process.name, deadSince.at - 5_000, now)) return;
    findings.violate(
      "I12",
      `login ${truth.number} ${deed} by ${process.name} ${Math.round(now - deadSince.at)} ms after it became ${truth.record.state}`,
    );
  }

  /** A presentation began: not for a login session that is over. */
  presented(truth: LoginTruth, process: SimulatedProcess): void {
    if (!truth.isServing) this.#checkAfterEnd(truth, process, "was refreshed");
  }

  /** The login session has ended: in a second its connections must be closed everywhere (B9). */
  ended(truth: LoginTruth): void {
    const { scheduler, conditions, findings, replicas } = this.#services;
    const at = scheduler.now;
    scheduler.after(hearsayMs + toleranceMs, () => {
      if (truth.record.state !== "ended") return;
      for (const { process, registry } of replicas()) {
        const open = process.isRunning ? registry.countByLoginSession(truth.record.id) : 0;
        if (open > 0 && !conditions.wasTroubledFor(process.name, at - 5_000, scheduler.now))
          findings.violate("B9", `${open} connections of login ${truth.number} are still open in ${process.name} a second after its end`);
      }
    });
  }

  /** Looks at all login sessions every few seconds of simulated time. */
  sweep(truths: () => Iterable<LoginTruth>): void {
    for (const truth of truths()) this.#lookAt(truth);
    this.#services.scheduler.after(sweepMs, () => this.sweep(truths));
  }

  #lookAt(truth: LoginTruth): void {
    if (!truth.isServing) return;
    const { record, server } = truth;
    // A reply is in hand and waits for its verification.
    if (record.pending !== undefined && record.pending.verificationTries > 0) return;
    const own = record.accessTokens.filter((each) => record.state === "uncertain" || targetKey(each.target) === ownTarget);
    const issuedAt = Math.max(0, ...own.map(({ accessToken }) => readAccessToken(accessToken)?.issuedAt ?? 0));
    this.#checkRefreshing(truth);
    const { now } = this.#services.scheduler;
    const end = issuedAt + server.traits.accessTokenSeconds * 1000;
    if (now <= end + toleranceMs) return;
    // It says neither that the token is dead nor anything else: that takes a lasting refusal.
    if (server.traits.deadAnswer === "empty_400" && server.truthOf(record.refreshToken) !== "accepted") return;
    if (record.state === "uncertain") this.#checkUncertain(truth, end);
    const { healthySince } = this.#services.conditions;
    if (healthySince !== undefined && now > healthySince)
      this.#report(truth, "I14", `has had no access token (${record.state}) for ${Math.round(now - end)} ms`);
  }

  #checkRefreshing(truth: LoginTruth): void {
    const { conditions, scheduler } = this.#services;
    if (truth.record.state !== "refreshing") return;
    const open = truth.record.attempts.filter((each) => !each.lost).map((each) => each.id);
    const claim = truth.claims.findLast((each) => open.includes(each.attempt));
    const limit = (claim?.at ?? 0) + (claim?.limitMs ?? 0) + 5_000;
    if (scheduler.now > limit + slackMs && !conditions.wasTroubled(claim?.at ?? 0, scheduler.now) && !conditions.areClocksApart)
      this.#report(truth, "I15", `has been refreshing for ${Math.round(scheduler.now - (claim?.at ?? 0))} ms`);
  }

  #checkUncertain(truth: LoginTruth, end: number): void {
    const { conditions, scheduler } = this.#services;
    const { now } = scheduler;
    if (now <= end + 4 * slackMs || conditions.areClocksApart) return;
    const isReachable = conditions.hitsBetween(truth.server.traits.name, end - 4 * slackMs, now) === 0;
    if (isReachable && !conditions.wasTroubled(end - 4 * slackMs, now))
      this.#report(truth, "I15", `is uncertain ${Math.round(now - end)} ms after its access token's end`);
  }

  /** Once for each generation: the next look would find the same. */
  #report(truth: LoginTruth, rule: string, what: string): void {
    if (truth.reported.has(rule)) return;
    truth.reported.add(rule);
    this.#services.findings.violate(rule, `login ${truth.number} at ${truth.server.traits.name} ${what}`);
  }
}
