import type { Clock } from "../clock.ts";
import type { ReplyJournal, ReplyJournalAdministration } from "../session/reply-journal.ts";
import type { Store } from "../session/store.ts";

/** A store that several machines share. */
export interface OpenedSharedStore {
  readonly store: Store;
  /** The key for the hashes of refresh tokens: the same in each process that opens this store. */
  readonly refreshTokenKey: Buffer;
  /** On this machine's disk: it has each reply before the store is asked. It is closed with the store. */
  readonly journal: ReplyJournal & ReplyJournalAdministration;
  /** The store's clock, which all processes that share it agree on. */
  readonly clock: Clock;
}
