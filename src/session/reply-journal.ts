import type { ImportIntent } from "./import-intent.ts";
import type { Attempt, AttemptId, LoginSession, Principal, Profile, RefreshToken, RevocationDebt } from "./login-session.ts";

/** A 200 of the token endpoint that the store does not have yet, with all that is needed to bring it there later. */
export interface KeptReply {
  readonly kind: "reply";
  /** Of the presentation that it answers. */
  readonly id: AttemptId;
  readonly loginSession: Pick<LoginSession, "id" | "authorizationServer" | "principal">;
  readonly attempt: Attempt;
  /** When the request was sent and when the body was complete, milliseconds since the epoch. */
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly body: string;
}

/** The same of an import: there is no login session yet, so all that is needed to make one is kept. */
export interface KeptImport {
  readonly kind: "import";
  /** The owner of the intent. */
  readonly id: string;
  readonly intent: ImportIntent;
  /** What the backend handed over: spent by now, unless the authorization server does not rotate. */
  readonly refreshToken: RefreshToken;
  readonly authorizationServer: string;
  /** As the ID token that was handed in says. The reply has to be of the same user. */
  readonly principal: Principal;
  readonly profile: Profile;
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly body: string;
}

/** Tokens that no login session holds, and that are still to be revoked. */
export interface KeptDebt {
  readonly kind: "debt";
  readonly id: string;
  readonly authorizationServer: string;
  readonly tokens: readonly Pick<RevocationDebt, "kind" | "token">[];
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** What a journal keeps. The `id` names it: the same thing kept twice is kept once. */
export type Kept = KeptReply | KeptImport | KeptDebt;

/** What came of sealing journals anew. */
export interface ResealedReplies {
  /** Left by processes that are gone, and kept with the active key now. */
  readonly resealed: number;
  /** Still in the files of others, with whatever key they were sealed with: processes at work, or what could not be taken over. */
  readonly elsewhere: number;
}

/** What an operator does to the journals of this machine. */
export interface ReplyJournalAdministration {
  /** Takes over what processes that are gone left behind, as `adopt` does; it stays for the next server. Rejects with what the file system says. */
  reseal(): Promise<ResealedReplies>;
}

/**
 * Keeps what would be lost with the process (I4): replies that the store does not have yet, and tokens of which no record
 * says that they are to be revoked. It may come out twice, after a crash at the wrong moment; it never comes out of none.
 */
export interface ReplyJournal {
  /**
   * `always`: a reply to a login session's refresh is kept before the store is asked at all. `when_refused`: the store's own
   * commit is durable, so that only what it does not take at once is kept here. Imports and debts are kept always.
   */
  readonly keeps: "always" | "when_refused";
  /** Resolves when it is durable. Rejects with what the file system says; then it is not kept. */
  keep(kept: Kept): Promise<void>;
  /** It is stored, or done with: forget it. Nothing happens for one that is not kept. It never rejects. */
  settle(id: string): Promise<void>;
  /**
   * Takes over what processes that are gone left behind: each goes to one process, which has it kept until it is
   * settled. It never rejects; what cannot be read is reported and stays where it is.
   */
  adopt(): Promise<readonly Kept[]>;
  /** What is not settled stays for another process. Twice does the same once. */
  close(): Promise<void>;
}
