import type { Attempt, AttemptId, LoginSession } from "./login-session.ts";

/** A 200 of the token endpoint that the store does not have yet, with all that is needed to bring it there later. */
export interface KeptReply {
  readonly loginSession: Pick<LoginSession, "id" | "authorizationServer" | "principal">;
  /** The presentation that it answers. Its id names the reply. */
  readonly attempt: Attempt;
  /** When the request was sent and when the body was complete, milliseconds since the epoch. */
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly body: string;
}

/**
 * Keeps replies through the end of the process while the store cannot take them (I4). A reply may come out twice, after
 * a crash at the wrong moment; it never comes out of none.
 */
export interface ReplyJournal {
  /**
   * `always`: before the store is asked at all. `when_refused`: the store's own commit is durable, so that only what it
   * does not take at once is kept here.
   */
  readonly keeps: "always" | "when_refused";
  /** Resolves when the reply is durable. Rejects with what the file system says; then it is not kept. */
  keep(reply: KeptReply): Promise<void>;
  /** The store has it: forget it. Nothing happens for one that is not kept. It never rejects. */
  settle(id: AttemptId): Promise<void>;
  /**
   * Takes over what processes that are gone left behind: each reply goes to one process, which has it kept until it is
   * settled. It never rejects; what cannot be read is reported and stays where it is.
   */
  adopt(): Promise<readonly KeptReply[]>;
  /** What is not settled stays for another process. Twice does the same once. */
  close(): Promise<void>;
}
