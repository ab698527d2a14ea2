import type { LoginSessionState } from "./login-session.ts";

/** How much a store holds. */
export interface StoreStats {
  readonly loginSessions: Readonly<Record<LoginSessionState, number>>;
  /** How many login sessions are due, and not claimed by anybody. */
  readonly due: number;
  readonly connectionKeys: number;
  readonly browserSessions: number;
  readonly loginTransactions: number;
  readonly importIntents: number;
  readonly usedIds: number;
  readonly authorizationServerRecords: number;
  /** Processes that have the store open. */
  readonly replicas: number;
  /** How many sealed records there are for each sealing key, by its id; "unknown": written before key ids were noted. */
  readonly sealedWith: Readonly<Record<string, number>>;
}

/** What one step of sealing anew did. */
export interface ResealStep {
  /** Where the next step begins; undefined: all has been looked at. */
  readonly next: string | undefined;
  readonly resealed: number;
  /** Of records whose key is not in the key ring, or that were changed from outside. They stay as they are. */
  readonly unreadable: number;
}

/** What an operator does with a store that outlives its processes, while they run. Rejects with LatchkeyError `store_unavailable`. */
export interface StoreAdministration {
  /** `now`: milliseconds since the epoch. */
  stats(now: number): Promise<StoreStats>;
  /** Removes what has expired at `now` and would go with use anyway. Gives how many rows. No login session is among them. */
  purge(now: number): Promise<number>;
  /** Seals up to `limit` records anew that another key than the active one sealed. `after`: the `next` of the step before. */
  reseal(after: string | undefined, limit: number): Promise<ResealStep>;
  /** Gives the store another incarnation: it was put back from a backup, so that refresh tokens in it may be spent. */
  renewIncarnation(): Promise<void>;
}
