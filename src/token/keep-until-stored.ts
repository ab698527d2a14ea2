import { sleep } from "../clock.ts";
import type { KeptReply } from "../session/reply-journal.ts";
import type { TokenCore } from "./token-core.ts";

/** A store that has not taken a reply after so long may be away for longer than this process lives. */
const slowStoreMs = 250;

/**
 * Brings a reply into the store, with `store`, and has it kept in the journal for as long as that takes (I4). `store` calls
 * `refused` when the store does not take it at the first try. What the journal itself cannot keep is reported; the store is
 * tried all the same.
 */
export async function keepUntilStored<T>(core: TokenCore, reply: KeptReply, store: (refused: () => void) => Promise<T>): Promise<T> {
  const { journal, clock } = core;
  if (journal === undefined) return store(() => {});
  let keeping: Promise<void> | undefined;
  const keep = (): Promise<void> => {
    keeping ??= journal.keep(reply).catch((error: unknown) => {
      core.logger.error("A reply could not be kept on the local disk. Until the store takes it, it is in memory only.", { error });
    });
    return keeping;
  };
  if (journal.keeps === "always") await keep();
  const stored = new AbortController();
  const slow = sleep(clock, slowStoreMs, stored.signal).then(() => (stored.signal.aborted ? undefined : keep()));
  try {
    const result = await store(() => void keep());
    stored.abort();
    await Promise.all([slow, keeping]);
    await journal.settle(reply.id);
    return result;
  } finally {
    stored.abort();
  }
}
