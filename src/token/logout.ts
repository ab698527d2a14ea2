import { sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { EndedReason, IdToken, LoginSession, LoginSessionId, RevocationAnswer } from "../session/login-session.ts";
import { revocationAnswer } from "../session/login-session.ts";
import { applyChange } from "./apply-change.ts";
import { tokensOf } from "./raw-tokens.ts";
import { end, storedReplies } from "./record-changes.ts";
import type { RevocationDebts } from "./revocation-debts.ts";
import type { TokenCore } from "./token-core.ts";

export interface EndOptions {
  /** How long the answer may wait for the first try of the revocation. Default 0. */
  readonly waitForRevocationMs?: number | undefined;
}

export interface EndResult {
  readonly loginSession: LoginSession;
  readonly revocation: RevocationAnswer;
  /** For RP-initiated logout; only the call that really ended the login session gets it. */
  readonly idToken: IdToken | undefined;
}

/** Ends login sessions: here first, then at the authorization server. */
export class Logout {
  readonly #core: TokenCore;
  readonly #debts: RevocationDebts;
  readonly #abortCalls: (id: LoginSessionId) => void;

  /** `abortCalls`: aborts what runs in this process for a login session, and leaves its connections open. */
  constructor(core: TokenCore, debts: RevocationDebts, abortCalls: (id: LoginSessionId) => void) {
    this.#core = core;
    this.#debts = debts;
    this.#abortCalls = abortCalls;
  }

  /**
   * Ends the login session: after it returns, no token is served and no refresh is started (I12), and what it held is
   * revoked or owed. It never waits for a refresh that is under way. Ending twice gives the same answer.
   * Throws LatchkeyError `not_found`, or `store_unavailable`; then nothing was ended, but calls that run here are aborted.
   */
  async end(id: LoginSessionId, reason: EndedReason, options: EndOptions = {}): Promise<EndResult> {
    let idToken: IdToken | undefined;
    let endedNow = false;
    const record = await applyChange(this.#core, id, (current) => {
      endedNow = current.state !== "ended";
      if (!endedNow) return undefined;
      idToken = current.idToken;
      return end(
        current,
        reason,
        this.#core.clock.now(),
        storedReplies(current).flatMap(({ body }) => tokensOf(body)),
      );
    }).catch((error: unknown) => {
      // Whoever signs out wants an end to what runs: that much can be done without the store.
      if (error instanceof LatchkeyError && error.code === "store_unavailable") this.#abortCalls(id);
      throw error;
    });
    if (record === undefined) throw new LatchkeyError("not_found", "There is no such login session.");
    if (endedNow) {
      this.#core.audit.record({ event: "login_ended", login: record.handle, issuer: record.principal.issuer, reason });
      await this.#firstTry(id, options.waitForRevocationMs ?? 0);
    }
    const after = (await this.#core.sessions.get(id).catch(() => undefined)) ?? record;
    return { loginSession: after, revocation: revocationAnswer(after.revocation), idToken };
  }

  /** The debts are paid in the background; the caller waits a little, if it wants to, so that the answer can say `done`. */
  async #firstTry(id: LoginSessionId, waitMs: number): Promise<void> {
    const paid = this.#debts.pay(id).catch((error: unknown) => {
      this.#core.logger.warn("A revocation could not be tried; it stays owed.", { error });
    });
    if (waitMs <= 0) return;
    const stop = new AbortController();
    await Promise.race([paid, sleep(this.#core.clock, waitMs, stop.signal)]);
    stop.abort();
  }
}
