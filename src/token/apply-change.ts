import { sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { LoginSession, LoginSessionId } from "../session/login-session.ts";
import { backoffMs } from "./times.ts";
import type { TokenCore } from "./token-core.ts";

/** Gives the record that follows, or undefined when there is nothing to change (any more). */
export type Change = (record: LoginSession) => LoginSession | undefined;

/**
 * Reads the record again, changes it and commits, until the commit holds. Gives the record as it is afterwards;
 * undefined: it is gone. Throws LatchkeyError `store_unavailable`; then nothing is known to be written.
 */
export async function applyChange(core: TokenCore, id: LoginSessionId, change: Change): Promise<LoginSession | undefined> {
  return core.locks.run(id, async () => {
    for (;;) {
      // Read again: whoever held the lock before us may have refreshed or ended this login session.
      const record = await core.sessions.get(id);
      if (record === undefined) return undefined;
      const next = change(record);
      if (next === undefined) return record;
      if (await core.sessions.commit(record, next)) return next;
    }
  });
}

/** So often an error is tried again that does not say that the store cannot be reached: it may be a mistake of ours, which time does not heal. */
const strangeTries = 8;

/**
 * The same for an outcome that must not be lost (I4): while the store cannot be reached it is tried again, with backoff,
 * until it is written. `refused` is called when the first try fails. Rejects with any other error that stays.
 */
export async function applyOutcome(
  core: TokenCore,
  id: LoginSessionId,
  change: Change,
  refused: () => void = () => {},
): Promise<LoginSession | undefined> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await applyChange(core, id, change);
    } catch (error) {
      const away = error instanceof LatchkeyError && error.code === "store_unavailable";
      if (!away && tries >= strangeTries) throw error;
      if (tries === 0) refused();
      if (tries === 0) core.logger.error("The outcome of a refresh could not be stored; it is kept and tried again.", { error });
      await sleep(core.clock, backoffMs(tries, core.random, 250, 5_000));
    }
  }
}
