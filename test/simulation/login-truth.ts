import type { AttemptId, LoginSession, PresentationReason } from "../../src/session/login-session.ts";
import type { Presentation } from "./presentation.ts";
import type { SimulatedAuthorizationServer } from "./simulated-authorization-server.ts";

/** A write-ahead intent that was committed. `at`: milliseconds since the world began. */
export interface Claim {
  readonly attempt: AttemptId;
  readonly token: string;
  readonly epoch: number;
  readonly generation: number;
  readonly owner: string;
  readonly reason: PresentationReason;
  readonly at: number;
  /** How long its owner may take. */
  readonly limitMs: number;
  begun: boolean;
}

/** So many claims and presentations are remembered of a login session: more than can belong to two generations. */
const remembered = 64;

/** What is true of one login session, whatever any process believes. Times are milliseconds since the world began. */
export class LoginTruth {
  /** Its place among all that were made: the same in two runs of one seed, unlike its id. */
  readonly number: number;
  readonly server: SimulatedAuthorizationServer;
  /** As the store holds it; the last one when it was removed. */
  record: LoginSession;
  removed = false;
  readonly claims: Claim[] = [];
  readonly presentations: Presentation[] = [];
  /** When the newest access token for the login's own target was committed, the newest five first. */
  readonly publishedAt: number[] = [];
  /** Presentations of the present generation. */
  presentedSince = 0;
  /** When it stopped to serve, and who wrote that. */
  deadSince: { readonly at: number; readonly by: string } | undefined;
  /** Logout has answered. */
  logoutAnswered: { readonly at: number; readonly by: string } | undefined;
  /** The reply that was given up is in a living process: the login session must come back by itself. */
  owedBack = false;
  /** When a connection was last bound to it. */
  boundAt = 0;
  /** The rules that it was reported for already since its last refresh. */
  readonly reported = new Set<string>();
  /** A reuse alarm that could not be avoided made its server end the grant: whatever came of it before is dead as well. */
  excusedReuse: string | undefined;

  constructor(number: number, server: SimulatedAuthorizationServer, record: LoginSession) {
    this.number = number;
    this.server = server;
    this.record = record;
  }

  get isServing(): boolean {
    return !this.removed && (this.record.state === "live" || this.record.state === "refreshing" || this.record.state === "uncertain");
  }

  claimed(claim: Claim): void {
    this.claims.push(claim);
    if (this.claims.length > remembered) this.claims.shift();
  }

  presented(presentation: Presentation): void {
    this.presentations.push(presentation);
    this.presentedSince += 1;
    if (this.presentations.length > remembered) this.presentations.splice(this.#leastNeeded(presentation.token), 1);
  }

  /**
   * In a long outage one token is presented more often than is remembered. Whether its loss can be excused is told by the
   * first presentation of it, and by the one that spent it: neither is forgotten while the token is presented.
   */
  #leastNeeded(token: string): number {
    const first = this.presentations.findIndex((each) => each.token === token);
    const index = this.presentations.findIndex(
      (each, at) => each.token !== token || (at !== first && each.endedAt !== undefined && each.presented?.kind !== "granted"),
    );
    return Math.max(0, index);
  }

  presentationsOf(token: string | undefined): readonly Presentation[] {
    return this.presentations.filter((each) => each.token === token);
  }
}
