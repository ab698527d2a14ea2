import { sleep, type Timer } from "../clock.ts";
import type { KeptReply } from "../session/reply-journal.ts";
import { storeReply } from "./reply-settlement.ts";
import type { TokenCore } from "./token-core.ts";

/** Another process that shares the store may die at any time: its replies must be found before its attempts count as lost. */
const lookEveryMs = 2_000;
/** How long the start waits for the store to take what was kept. */
const startLimitMs = 5_000;

/**
 * Brings replies that processes which are gone have kept into the store: at the start, before anything is presented, and
 * from then on those of other processes. Verification is left to the heartbeat, for which they are due.
 */
export class JournalReplay {
  readonly #core: TokenCore;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(core: TokenCore) {
    this.#core = core;
  }

  /** Resolves when all that was found is in the store, or after a short time. It never rejects. */
  async start(): Promise<void> {
    if (this.#core.journal === undefined) return;
    const limit = new AbortController();
    await Promise.race([this.#look(), sleep(this.#core.clock, startLimitMs, limit.signal)]);
    limit.abort();
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#core.clock.schedule(lookEveryMs, () => {
      void this.#look();
      this.#arm();
    });
  }

  async #look(): Promise<void> {
    const { journal } = this.#core;
    const found = (await journal?.adopt()) ?? [];
    await Promise.all(found.map((reply) => this.#replay(reply)));
  }

  async #replay(kept: KeptReply): Promise<void> {
    const { audit, logger } = this.#core;
    const { loginSession, attempt, ...reply } = kept;
    try {
      const { record, arrival } = await storeReply(this.#core, loginSession, attempt, reply);
      audit.record({ event: "kept_reply_found", login: record?.handle, generation: attempt.generation, outcome: arrival });
    } catch (error) {
      logger.error("A kept reply could not be brought into the store. It stays kept.", { error });
    }
  }
}
