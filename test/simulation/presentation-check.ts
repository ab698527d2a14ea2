import type { LoginSession, PresentationReason } from "../../src/session/login-session.ts";
import type { RefreshRequest } from "../../src/token/ports.ts";
import type { Conditions } from "./conditions.ts";
import type { Findings } from "./findings.ts";
import { excusesWithinGrace } from "./grace-check.ts";
import type { LoginTruth } from "./login-truth.ts";
import { Presentation, type PresentationWitness } from "./presentation.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedAuthorizationServer } from "./simulated-authorization-server.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import { concurrencyPerIssuer } from "./simulated-replica.ts";
import type { Trace } from "./trace.ts";

/** The reasons of the protocol's rules for a lost reply: the only ones after an answer that may be lost. */
const reasonsAfterLoss: ReadonlySet<PresentationReason> = new Set([
  "introspected_active",
  "within_grace",
  "not_rotating",
  "last_presentation",
]);

export interface PresentationCheckServices {
  readonly scheduler: Scheduler;
  readonly conditions: Conditions;
  readonly findings: Findings;
  readonly trace: Trace;
  readonly truthOf: (refreshToken: string) => LoginTruth | undefined;
  /** Whether this process believes what introspection says of this login session. */
  readonly trusts: (process: SimulatedProcess, record: LoginSession) => boolean;
  readonly presented: (truth: LoginTruth, process: SimulatedProcess) => void;
}

/** Watches every presentation of a refresh token: I1, I2, I13, and who may raise a reuse alarm. */
export class PresentationCheck implements PresentationWitness {
  readonly #services: PresentationCheckServices;
  readonly #open = new Map<string, number>();
  /** Until when an authorization server asked a process for rest, and since when. */
  readonly #rest = new Map<string, { readonly from: number; readonly until: number }>();
  readonly #imports = new Map<string, Presentation>();

  constructor(services: PresentationCheckServices) {
    this.#services = services;
  }

  begin(process: SimulatedProcess, server: SimulatedAuthorizationServer, request: RefreshRequest): Presentation {
    const { scheduler, findings, trace, truthOf } = this.#services;
    const presentation = new Presentation(process, server, request.refreshToken, scheduler);
    const key = `${process.name} ${server.traits.name}`;
    const open = (this.#open.get(key) ?? 0) + 1;
    this.#open.set(key, open);
    if (open > concurrencyPerIssuer) findings.violate("I13", `${process.name} has ${open} refreshes under way at ${server.traits.name}`);
    findings.count("presentations");
    const truth = truthOf(request.refreshToken);
    if (truth === undefined) this.#beginImport(presentation);
    else this.#beginRefresh(presentation, truth);
    trace.add(scheduler.now, `${process.name} presents ${request.refreshToken} (${presentation.claim?.reason ?? "import"})`);
    return presentation;
  }

  arrive(presentation: Presentation): void {
    const { scheduler, findings, trace, truthOf } = this.#services;
    const { presented, token } = presentation;
    trace.add(scheduler.now, `${token} arrives: ${presented?.kind === "dead" ? presented.why : presented?.kind}`);
    if (presented?.kind !== "dead" || presented.why !== "reuse") return;
    findings.count("reuse alarms");
    const truth = truthOf(token);
    if (truth !== undefined) this.#checkReuse(presentation, truth);
    else {
      findings.count("reuse alarms by an import");
      this.#services.conditions.endedByImports.add(`${presentation.server.traits.name} ${presentation.server.grantOf(token)}`);
    }
  }

  end(presentation: Presentation): void {
    const { scheduler, trace } = this.#services;
    const key = `${presentation.process.name} ${presentation.server.traits.name}`;
    this.#open.set(key, (this.#open.get(key) ?? 1) - 1);
    const { retryAfterSeconds } = presentation;
    if (retryAfterSeconds !== undefined && retryAfterSeconds > 0) {
      const until = Math.max(this.#rest.get(key)?.until ?? 0, scheduler.now + retryAfterSeconds * 1000);
      this.#rest.set(key, { from: scheduler.now, until });
    }
    trace.add(scheduler.now, `${presentation.token} ends: ${presentation.fault ?? "well"}${presentation.reached ? ", reply in hand" : ""}`);
  }

  #beginImport(presentation: Presentation): void {
    const { findings, conditions } = this.#services;
    const before = this.#imports.get(presentation.token);
    if (before !== undefined && before.endedAt === undefined && !before.process.isKilled)
      if (!conditions.areDeadlinesVoid(before.beganAt)) findings.violate("I1", `${presentation.token} is imported twice at one time`);
    this.#imports.set(presentation.token, presentation);
  }

  #beginRefresh(presentation: Presentation, truth: LoginTruth): void {
    const { scheduler, findings, conditions } = this.#services;
    const { process, token } = presentation;
    const claim = truth.claims.findLast((each) => each.token === token && each.owner === process.name && !each.begun);
    if (claim === undefined) {
      findings.violate("I2", `${process.name} presents ${token} of login ${truth.number} without a committed intent of its own`);
      return;
    }
    claim.begun = true;
    presentation.claim = claim;
    this.#services.presented(truth, process);
    this.#checkFormer(presentation, truth);
    truth.presented(presentation);
    const rest = this.#rest.get(`${process.name} ${presentation.server.traits.name}`);
    // Whoever was let in before the answer came may go on, and a slow store makes that long.
    const isLate = rest !== undefined && scheduler.now < rest.until && claim.at > rest.from + 50;
    if (isLate && !conditions.wasTroubledFor(process.name, rest.from - 5_000, scheduler.now))
      findings.violate(
        "I13",
        `${process.name} presents to ${presentation.server.traits.name} ${Math.round(rest.until - scheduler.now)} ms before Retry-After is over`,
      );
  }

  #checkFormer(presentation: Presentation, truth: LoginTruth): void {
    const { findings, conditions } = this.#services;
    const { claim, token, process } = presentation;
    // How long an attempt may take is written by one clock and read by another.
    const first = truth.presentationsOf(token)[0];
    if (claim === undefined || conditions.areDeadlinesVoid(Math.min(claim.at, first?.beganAt ?? claim.at))) return;
    const lost = new Set(truth.record.attempts.filter((each) => each.lost).map((each) => each.id));
    if (lost.has(claim.attempt))
      findings.violate("I1", `${process.name} presents ${token} of login ${truth.number} after its attempt had been given up`);
    for (const former of truth.presentations) {
      if (former.token !== token || former.claim === undefined || former.claim.generation !== claim.generation) continue;
      const givenUp = lost.has(former.claim.attempt) || !truth.record.attempts.some((each) => each.id === former.claim?.attempt);
      if (former.endedAt === undefined && !givenUp)
        findings.violate("I1", `two presentations of ${token} of login ${truth.number} are under way at one time`);
      const maybeSpent = former.presented?.kind === "granted" || (former.endedAt === undefined && former.presented !== undefined);
      const rotates = presentation.server.traits.returns === "new";
      if (maybeSpent && rotates && !reasonsAfterLoss.has(claim.reason))
        findings.violate("I1", `${token} of login ${truth.number}, which is spent, is presented again as ${claim.reason}`);
    }
  }

  #checkReuse(presentation: Presentation, truth: LoginTruth): void {
    const { findings } = this.#services;
    const excuse = this.#excuseFor(presentation, truth);
    if (excuse.kind === "violation") {
      const { token, claim, server } = presentation;
      const what = `login ${truth.number}: ${token} raised a reuse alarm at ${server.traits.name} (${claim?.reason})`;
      findings.violate("3, reuse", `${what}, ${excuse.text}`);
      return;
    }
    truth.excusedReuse = excuse.text;
    findings.count(`reuse alarms ${excuse.text}`);
  }

  #excuseFor(presentation: Presentation, truth: LoginTruth): { readonly kind: "excuse" | "violation"; readonly text: string } {
    const { trusts, conditions } = this.#services;
    const { token, process, claim, server } = presentation;
    const { policy, graceMs } = server.traits;
    // A request that arrives when nobody waits for it any more: no client can rule that out.
    if (truth.presentations.some((each) => each.token === token && each.fault === "arrives_after_timeout"))
      return { kind: "excuse", text: "by a request that arrived too late" };
    const first = truth.presentationsOf(token)[0];
    if (conditions.areDeadlinesVoid(first?.beganAt ?? 0)) return { kind: "excuse", text: "after a jump of a clock" };
    if (trusts(process, truth.record)) return { kind: "violation", text: "although introspection is trusted" };
    if (policy?.lostReply === "retire") return { kind: "violation", text: "although it was never to be presented again" };
    if (graceMs !== undefined)
      return excusesWithinGrace(truth, token, conditions)
        ? { kind: "excuse", text: "after more than one fault within a grace period" }
        : { kind: "violation", text: "although its grace sufficed" };
    if (claim?.reason !== "last_presentation") return { kind: "violation", text: "for which nothing spoke" };
    return { kind: "excuse", text: "by a last presentation" };
  }
}
