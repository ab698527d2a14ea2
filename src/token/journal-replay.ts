import { sleep, type Timer } from "../clock.ts";
import type { Kept, KeptImport, KeptReply } from "../session/reply-journal.ts";
import type { Imports } from "./imports.ts";
import { storeReply } from "./reply-settlement.ts";
import type { TokenCore } from "./token-core.ts";

/** Another process that shares the store may die at any time: its replies must be found before its attempts count as lost. */
const lookEveryMs = 2_000;
/** How long the start waits for that. */
const startLimitMs = 5_000;

/**
 * Takes up what processes that are gone have kept: at the start, before anything is presented, and from then on that of
 * other processes. Replies are brought into the store; verification is left to the heartbeat, for which they are due.
 * Imports are finished, and tokens that no login session holds are revoked.
 */
export class JournalReplay {
  readonly #core: TokenCore;
  readonly #imports: Pick<Imports, "resume">;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(core: TokenCore, imports: Pick<Imports, "resume">) {
    this.#core = core;
    this.#imports = imports;
  }

  /** Resolves when all that was found is dealt with, or after a short time. It never rejects. */
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
    await Promise.all(found.map((kept) => this.#replay(kept)));
  }

  async #replay(kept: Kept): Promise<void> {
    try {
      switch (kept.kind) {
        case "reply":
          return await this.#bring(kept);
        case "import":
          return await this.#finish(kept);
        case "debt":
          return await this.#core.unheld.resume(kept);
      }
    } catch (error) {
      this.#core.logger.error("What an earlier process has kept could not be dealt with. Where that can change, it stays kept.", {
        kind: kept.kind,
        error,
      });
    }
  }

  async #bring({ loginSession, attempt, sentAt, receivedAt, body }: KeptReply): Promise<void> {
    const { record, arrival } = await storeReply(this.#core, loginSession, attempt, { sentAt, receivedAt, body });
    this.#core.audit.record({ event: "kept_reply_found", login: record?.handle, generation: attempt.generation, outcome: arrival });
  }

  async #finish(kept: KeptImport): Promise<void> {
    const { loginSession } = await this.#imports.resume(kept);
    this.#core.audit.record({ event: "kept_reply_found", login: loginSession.handle, generation: 0, outcome: "imported" });
  }
}
