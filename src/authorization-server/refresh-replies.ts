import { type Clock, sleep } from "../clock.ts";
import type { AuthorizationServerRecordStore } from "../session/store.ts";

/** What a client asked with a refresh token. */
export interface RefreshRequest {
  readonly refreshToken: string;
  readonly clientId: string;
  /** Scope and resource as they were asked for: another question gets no answer that was given to this one. */
  readonly target: string;
}

const kind = "RefreshReply";
const lookAgainMs = 25;
const longestWaitMs = 5_000;

/**
 * The answers to refreshes of the last seconds. A client whose answer was lost on the way, or that refreshes from two
 * addresses at once, presents the same refresh token again and gets the same answer. They are in the store, sealed
 * there, so that any replica has them, and go with their grant.
 */
export class RefreshReplies {
  readonly #records: AuthorizationServerRecordStore;
  readonly #clock: Clock;
  readonly #graceMs: number;

  constructor(records: AuthorizationServerRecordStore, clock: Clock, graceMs: number) {
    this.#records = records;
    this.#clock = clock;
    this.#graceMs = graceMs;
  }

  async keep(request: RefreshRequest, grantId: string, body: unknown): Promise<void> {
    const { refreshToken: id, clientId, target } = request;
    const expiresAt = this.#clock.now() + this.#graceMs;
    await this.#records.put({ kind, id, grantId, expiresAt, content: JSON.stringify({ clientId, target, body }) });
  }

  /** The answer, `foreign` when somebody else, or another question, got it, or undefined. */
  async find({ refreshToken, clientId, target }: RefreshRequest): Promise<{ readonly body: unknown } | "foreign" | undefined> {
    const record = await this.#records.get(kind, refreshToken, this.#clock.now());
    if (record === undefined) return undefined;
    const kept = JSON.parse(record.content) as { clientId: string; target: string; body: unknown };
    return kept.clientId === clientId && kept.target === target ? { body: kept.body } : "foreign";
  }

  /** The same, waiting a little for whoever is about to give it. */
  async wait(request: RefreshRequest): Promise<{ readonly body: unknown } | "foreign" | undefined> {
    const givenUpAt = this.#clock.monotonic() + longestWaitMs;
    for (;;) {
      const found = await this.find(request);
      if (found !== undefined || this.#clock.monotonic() >= givenUpAt) return found;
      await sleep(this.#clock, lookAgainMs);
    }
  }
}
