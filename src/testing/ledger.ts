/** What the presented refresh token was at that moment. */
export type PresentedAs = "current" | "consumed" | "expired" | "revoked" | "unknown";

export type RefreshOutcome =
  /** A new refresh token. */
  | "rotated"
  /** The same refresh token stays. */
  | "kept"
  /** A consumed refresh token, accepted within its grace period. */
  | "replayed"
  /** The second use of a refresh token: its family is revoked. */
  | "reuse"
  /** Any other error. */
  | "refused";

/** One refresh request. */
export interface RefreshEntry {
  readonly number: number;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly clientId: string | undefined;
  readonly subject: string | undefined;
  /** Undefined: a refresh token that this server never issued. */
  readonly family: string | undefined;
  readonly generation: number | undefined;
  /** Only with `tokensInLedger`. */
  readonly refreshToken: string | undefined;
  /** Undefined: it was never carried out, or is not yet. */
  readonly presentedAs: PresentedAs | undefined;
  readonly outcome: RefreshOutcome | undefined;
  /** The status that was answered; undefined: no reply was produced. */
  readonly status: number | undefined;
  /** `whole`: handed to the operating system to the last byte; only the client knows whether it arrived. */
  readonly reply: "pending" | "whole" | "cut_off" | "none";
}

/** One use of a refresh token that was consumed before, and was past any grace. */
export interface ReuseEvent {
  readonly at: number;
  readonly family: string;
  readonly generation: number;
}

export interface RevocationEntry {
  readonly at: number;
  readonly kind: "refresh_token" | "access_token" | "unknown";
  readonly family: string | undefined;
  readonly generation: number | undefined;
  /** Whether it ended something that was alive. */
  readonly effective: boolean;
}

export interface IntrospectionEntry {
  readonly at: number;
  readonly kind: "refresh_token" | "access_token" | "unknown";
  readonly family: string | undefined;
  readonly active: boolean;
}

/** One refresh-token family: one login. */
export interface FamilyState {
  readonly family: string;
  readonly subject: string;
  readonly clientId: string;
  readonly sid: string;
  /** The newest; a login is 0. */
  readonly generation: number;
  /** Why it is over; undefined: it is alive. */
  readonly ended: "reuse" | "revoked" | "end_session" | "code_reuse" | "expired" | undefined;
}

/** A refresh entry while its request runs. */
export type OpenRefresh = { -readonly [Key in keyof RefreshEntry]: RefreshEntry[Key] };

/** What happened, exactly. Entries are in the order of arrival; nothing is forgotten. Each reading is a copy. */
export interface Ledger {
  readonly refreshes: readonly RefreshEntry[];
  readonly reuseEvents: readonly ReuseEvent[];
  readonly revocations: readonly RevocationEntry[];
  readonly introspections: readonly IntrospectionEntry[];
  /** Every family as it is now, alive and ended, oldest first. */
  readonly families: readonly FamilyState[];
}

/** The ledger as the server writes it. */
export class LedgerBook implements Ledger {
  readonly #refreshes: OpenRefresh[] = [];
  readonly #reuses: ReuseEvent[] = [];
  readonly #revocations: RevocationEntry[] = [];
  readonly #introspections: IntrospectionEntry[] = [];
  readonly #families: () => readonly FamilyState[];

  constructor(families: () => readonly FamilyState[]) {
    this.#families = families;
  }

  get refreshes(): readonly RefreshEntry[] {
    return this.#refreshes.map((entry) => ({ ...entry }));
  }

  get reuseEvents(): readonly ReuseEvent[] {
    return [...this.#reuses];
  }

  get revocations(): readonly RevocationEntry[] {
    return [...this.#revocations];
  }

  get introspections(): readonly IntrospectionEntry[] {
    return [...this.#introspections];
  }

  get families(): readonly FamilyState[] {
    return this.#families();
  }

  openRefresh(facts: Pick<RefreshEntry, "receivedAt" | "clientId" | "subject" | "family" | "generation" | "refreshToken">): OpenRefresh {
    const entry: OpenRefresh = {
      ...facts,
      number: this.#refreshes.length + 1,
      presentedAs: undefined,
      outcome: undefined,
      status: undefined,
      reply: "pending",
    };
    this.#refreshes.push(entry);
    return entry;
  }

  recordReuse(event: ReuseEvent): void {
    this.#reuses.push(event);
  }

  recordRevocation(entry: RevocationEntry): void {
    this.#revocations.push(entry);
  }

  recordIntrospection(entry: IntrospectionEntry): void {
    this.#introspections.push(entry);
  }
}
