import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";

/** What happened to the tokens of one login at the authorization server. Never holds a token. */
export interface TokenEvent {
  /** Position since the start of the server; the first is 0. */
  readonly index: number;
  /** ISO 8601. */
  readonly time: string;
  readonly kind: "issued" | "refreshed" | "reuse" | "revoked" | "introspected";
  /** Undefined only for the introspection of a token that the server does not know. */
  readonly user?: string;
  /** Stable name of the grant, one per login. */
  readonly login?: string;
  /** 1 at issue, one more with each rotation; of the token in question, and the newest for `revoked`. */
  readonly generation?: number;
  /** Only for `introspected`: what was answered. */
  readonly active?: boolean;
}

/** The part of an event that says whose token it is. */
export interface TokenOwner {
  readonly grantId: string;
  readonly user: string;
  readonly generation: number;
}

export interface TokenEventPage {
  readonly events: readonly TokenEvent[];
  /** What to ask for as `since` the next time. */
  readonly next: number;
  /** How many of the oldest events are not kept any more. */
  readonly dropped: number;
}

/** The last token events, in order. */
export class TokenEvents {
  readonly #clock: Clock;
  readonly #limit: number;
  #kept: TokenEvent[] = [];
  #next = 0;

  constructor(clock: Clock, limit = 100_000) {
    this.#clock = clock;
    this.#limit = limit;
  }

  record(kind: TokenEvent["kind"], owner: TokenOwner | undefined, facts: { readonly active?: boolean } = {}): void {
    const whose = owner === undefined ? {} : { user: owner.user, login: loginName(owner.grantId), generation: owner.generation };
    this.#kept.push({ index: this.#next++, time: new Date(this.#clock.now()).toISOString(), kind, ...whose, ...facts });
    // In batches: cutting one off the front each time would copy the whole list each time.
    if (this.#kept.length > this.#limit * 1.1) this.#kept = this.#kept.slice(-this.#limit);
  }

  /** The events from index `since` on, as far as they are kept. */
  page(since = 0): TokenEventPage {
    const events = this.#kept.slice(-this.#limit);
    const first = this.#next - events.length;
    return { events: events.slice(Math.max(0, since - first)), next: this.#next, dropped: first };
  }
}

/** A name for a grant that stays the same over restarts and opens nothing. */
function loginName(grantId: string): string {
  return createHash("sha256").update(grantId).digest("base64url").slice(0, 16);
}
