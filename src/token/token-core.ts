import type { Audit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import type { RefreshTokenHasher } from "../session/random.ts";
import type { KeptDebt, ReplyJournal } from "../session/reply-journal.ts";
import type { Issuers } from "./issuers.ts";
import type { LoginSessionLocks } from "./login-session-locks.ts";
import type { AuthorizationServerPort, RevocableToken, TokenPolicy } from "./ports.ts";

/** Revokes tokens that no login session holds, until that is done. */
export interface UnheldRevocations {
  /** Resolves when each was tried once; what could not be revoked then is tried again later. It never rejects. */
  revoke(authorizationServer: string, tokens: readonly RevocableToken[]): Promise<void>;
  /** The same with what an earlier process has kept. Rejects when its authorization server is not configured any more. */
  resume(debt: KeptDebt): Promise<void>;
  /** How many debts wait for their next try. */
  readonly size: number;
  /** Starts no other try. What is left stays in the journal. */
  stop(): void;
}

/** What all parts of the token service work with. One of it per process. */
export interface TokenCore {
  readonly sessions: LoginSessions;
  readonly server: AuthorizationServerPort;
  readonly issuers: Issuers;
  readonly locks: LoginSessionLocks;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly hash: RefreshTokenHasher;
  readonly policy: TokenPolicy;
  /** Keeps replies while the store cannot; undefined: the store is this process's memory. */
  readonly journal?: ReplyJournal | undefined;
  /** Which life of its data the store is in; undefined: it has one only. */
  readonly incarnation?: (() => string) | undefined;
  /** What arrived and belongs to no login session. */
  readonly unheld: UnheldRevocations;
  /** This process, in attempts. */
  readonly owner: string;
}
