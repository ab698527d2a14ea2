import type { Audit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { LoginSession } from "../session/login-session.ts";
import { IssuerGate } from "./issuer-gate.ts";
import type { AuthorizationServerPolicy } from "./ports.ts";

/** What this process knows of one authorization server. */
export interface Issuer {
  readonly policy: AuthorizationServerPolicy;
  readonly gate: IssuerGate;
  /** True once this client has seen `active: true` for a current refresh token of this server. */
  introspectionTrusted: boolean;
  /** When introspection was last probed without being trusted. */
  introspectionProbedAt: number | undefined;
  /** How long a new refresh token lives, as introspection told it. */
  learntRefreshLifetimeSeconds: number | undefined;
}

export interface IssuersOptions {
  readonly clock: Clock;
  readonly audit: Audit;
  readonly random: () => number;
  readonly concurrencyPerIssuer: number;
  /** How many refreshes may begin in a second at one authorization server; undefined: no limit but the concurrency. */
  readonly refreshesPerSecondPerIssuer?: number | undefined;
  /** How many replicas are alive: they share both limits. Default: this process alone. */
  readonly liveReplicas?: (() => number) | undefined;
}

/** The configured authorization servers by name. */
export class Issuers {
  readonly #issuers: ReadonlyMap<string, Issuer>;

  constructor(policies: readonly AuthorizationServerPolicy[], options: IssuersOptions) {
    this.#issuers = new Map(policies.map((policy) => [policy.name, newIssuer(policy, options)]));
  }

  /** Throws LatchkeyError `configuration_invalid` when the login session's authorization server is configured no more. */
  mustGet(name: string): Issuer {
    const issuer = this.#issuers.get(name);
    if (issuer !== undefined) return issuer;
    throw new LatchkeyError(
      "configuration_invalid",
      `The authorization server "${name}" is not in the configuration any more. Add it again, or sign in elsewhere.`,
    );
  }

  /** A login session was refreshed, by whichever replica: its authorization server answers. */
  noticeRefresh(record: LoginSession): void {
    const { lastRefreshAt } = record.health;
    if (record.state === "live" && lastRefreshAt !== undefined)
      this.#issuers.get(record.authorizationServer)?.gate.noticeSuccess(lastRefreshAt);
  }

  /** Whether a success of another replica would be news. */
  get isAnyTroubled(): boolean {
    return [...this.#issuers.values()].some(({ gate }) => gate.isTroubled);
  }

  /** Closes all gates for good: see `IssuerGate.shutDown`. */
  shutDown(): void {
    for (const { gate } of this.#issuers.values()) gate.shutDown();
  }

  /** Whether its introspection counts: this process has seen that it does, or the one that wrote so on this login session. */
  trustsIntrospection(record: LoginSession): boolean {
    const issuer = this.mustGet(record.authorizationServer);
    issuer.introspectionTrusted ||= record.observed.introspection === "trusted";
    return issuer.introspectionTrusted;
  }
}

function newIssuer(policy: AuthorizationServerPolicy, options: IssuersOptions): Issuer {
  const gate = new IssuerGate(options.clock, {
    concurrency: options.concurrencyPerIssuer,
    perSecond: options.refreshesPerSecondPerIssuer,
    liveReplicas: options.liveReplicas,
    random: options.random,
    onPause: (paused) => options.audit.record({ event: paused ? "issuer_paused" : "issuer_resumed", issuer: policy.issuer }),
  });
  return { policy, gate, introspectionTrusted: false, introspectionProbedAt: undefined, learntRefreshLifetimeSeconds: undefined };
}
