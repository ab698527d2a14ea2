import { sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { ImportIntent } from "../session/import-intent.ts";
import type { LoginSession, RefreshTokenHash } from "../session/login-session.ts";
import { randomSecret } from "../session/random.ts";
import type { ImportIntentStore } from "../session/store.ts";
import { troubleText } from "./acquire-error.ts";
import type { GateTicket } from "./issuer-gate.ts";
import { settleMs } from "./times.ts";
import type { TokenCore } from "./token-core.ts";

/** The right to present a refresh token that was handed over. */
export interface ImportClaim {
  readonly kind: "ours";
  readonly intent: ImportIntent;
  /** The ticket of the gate, in hand since before the claim. */
  readonly ticket: GateTicket;
  /** Monotonic. */
  readonly claimedAt: number;
}

/** How long the one presentation of an import may take, from its claim. */
export const presentationMs = 20_000;
/** How often it looks whether another process that imports the same refresh token has finished. */
const pollMs = 250;
/** How long an intent is held beyond each look at a reply that cannot be verified yet. */
const verificationHoldMs = 60_000;

/** Lets one import at a time present a refresh token that was handed over, across processes (I1, I2). */
export class ImportClaims {
  readonly #core: TokenCore;
  readonly #intents: ImportIntentStore;

  constructor(core: TokenCore, intents: ImportIntentStore) {
    this.#core = core;
    this.#intents = intents;
  }

  /**
   * Writes the intent, with the ticket of the gate in hand, so that its time does not run in the queue. Whoever loses
   * waits for what the winner makes of it, and claims once the winner has let go or is gone. Rejects with LatchkeyError,
   * retryable `authorization_server_unavailable` and `store_unavailable`; then nothing is claimed.
   */
  async claim(
    authorizationServer: string,
    hash: RefreshTokenHash,
  ): Promise<ImportClaim | { readonly kind: "known"; readonly loginSession: LoginSession }> {
    const { clock, issuers } = this.#core;
    const { gate, policy } = issuers.mustGet(authorizationServer);
    const owner = randomSecret();
    const giveUpAt = clock.monotonic() + presentationMs + 2 * settleMs;
    for (;;) {
      if (gate.closedForMs > 0)
        throw unavailable(`${troubleText(policy.issuer, gate.lastFailure)} Nothing was used up; try again later.`, gate.closedForMs);
      const ticket = await gate.enter("user", clock.now()).entered;
      const tried = await this.#try(hash, owner, ticket);
      if (tried !== "held") return tried;
      if (clock.monotonic() >= giveUpAt)
        throw unavailable("This refresh token is being imported by another request. Try the same import again.", settleMs);
      await sleep(clock, pollMs);
    }
  }

  /** Lets the next one present. It never throws: at worst the intent stands until it expires. */
  async release(intent: ImportIntent): Promise<void> {
    await this.#intents.release(intent).catch((error: unknown) => {
      this.#core.logger.debug("The intent of an import could not be removed; it expires by itself.", { error });
    });
  }

  /** The reply is in hand, so nobody else may present: while it is looked at again, the intent lives on. It never throws. */
  async hold(intent: ImportIntent): Promise<void> {
    const now = this.#core.clock.now();
    await this.#intents.claim({ ...intent, expiresAt: now + verificationHoldMs }, now).catch((error: unknown) => {
      this.#core.logger.warn("The intent of an import could not be written again.", { error });
    });
  }

  async #try(
    hash: RefreshTokenHash,
    owner: string,
    ticket: GateTicket,
  ): Promise<ImportClaim | { readonly kind: "known"; readonly loginSession: LoginSession } | "held"> {
    const { clock, sessions } = this.#core;
    const now = clock.now();
    const claimedAt = clock.monotonic();
    const intent: ImportIntent = { hash, owner, expiresAt: now + presentationMs + settleMs };
    let ours = false;
    try {
      const claimed = await this.#intents.claim(intent, now);
      // Read again: whoever held the intent before us may have finished.
      const loginSession = await sessions.getByRefreshTokenHash(hash);
      if (loginSession !== undefined) return { kind: "known", loginSession };
      ours = claimed;
      return claimed ? { kind: "ours", intent, ticket, claimedAt } : "held";
    } finally {
      if (!ours) {
        ticket.leave({ kind: "neutral" });
        // Also when the claim seems to have failed: it may have been written all the same.
        await this.release(intent);
      }
    }
  }
}

function unavailable(message: string, waitMs: number): LatchkeyError {
  return new LatchkeyError("authorization_server_unavailable", message, {
    retryable: true,
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
  });
}
