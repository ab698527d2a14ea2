import { sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { LoginSession } from "../session/login-session.ts";
import type { KeptImport } from "../session/reply-journal.ts";
import { type ImportResult, importRefused, importUnavailable, knownImport } from "./import-answers.ts";
import type { ImportClaims } from "./import-claims.ts";
import type { Logins } from "./logins.ts";
import type { ImportPort, RevocableToken, Verification, VerifiedLogin, VerifiedReply } from "./ports.ts";
import { tokensOf } from "./raw-tokens.ts";
import { backoffMs } from "./times.ts";
import type { TokenCore } from "./token-core.ts";
import { tokensOfLogin } from "./unheld-tokens.ts";

/** How often a reply that cannot be verified yet, and is nowhere but in memory, is tried before its tokens are given up. */
const verificationTries = 12;
/** The same for a login session that cannot be stored. */
const storeTries = 8;
/** How long after its arrival a reply that the journal keeps is tried. */
const keptTriesMs = 24 * 3600 * 1000;

/** What the settlement works with. */
export interface ImportSettlementServices {
  readonly core: TokenCore;
  readonly port: ImportPort;
  readonly logins: Logins;
  readonly claims: ImportClaims;
  /** Aborted: nothing is tried again. */
  readonly stopped: AbortSignal;
}

/** Takes the reply to an import to its end: a login session, or tokens that are dropped or revoked. */
export class ImportSettlement {
  readonly #core: TokenCore;
  readonly #port: ImportPort;
  readonly #logins: Logins;
  readonly #claims: ImportClaims;
  readonly #stopped: AbortSignal;

  constructor({ core, port, logins, claims, stopped }: ImportSettlementServices) {
    this.#core = core;
    this.#port = port;
    this.#logins = logins;
    this.#claims = claims;
    this.#stopped = stopped;
  }

  /**
   * The reply is in hand: it is kept before anything looks at it, until there is a login session of it or its tokens are owed
   * (I4). Throws LatchkeyError as `Imports.importLogin`.
   */
  async settle(kept: KeptImport): Promise<ImportResult> {
    const { authorizationServer, principal, profile, refreshToken, sentAt } = kept;
    const isKept = await this.#keep(kept);
    try {
      const tokens = await this.#identify(kept, isKept);
      const login: VerifiedLogin = {
        authorizationServer,
        principal: { ...principal, sid: tokens.sid ?? principal.sid },
        profile: tokens.profile ?? profile,
        tokens: { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken },
        obtainedAt: sentAt,
      };
      const loginSession = await this.#store(login, kept, isKept);
      // Also one that an earlier process, or a try without an acknowledgement, has made of this very reply.
      if (!isMadeOf(loginSession, login)) return await this.#yield(loginSession, login, kept);
      this.#core.audit.record({ event: "login_imported", login: loginSession.handle, issuer: principal.issuer });
      return { created: true, loginSession };
    } finally {
      // The next process goes on with what is kept: until then nobody else may present.
      if (!this.#stopped.aborted) {
        await this.#core.journal?.settle(kept.id);
        await this.#claims.release(kept.intent);
      }
    }
  }

  /** False: it is in memory only. */
  async #keep(kept: KeptImport): Promise<boolean> {
    const { journal, logger } = this.#core;
    if (journal === undefined) return false;
    try {
      await journal.keep(kept);
      return true;
    } catch (error) {
      logger.error("The reply of an import could not be kept on the local disk. Until it is stored, it is in memory only.", { error });
      return false;
    }
  }

  /** The reply must not be lost: while it cannot be verified, it is tried again. */
  async #identify(kept: KeptImport, isKept: boolean): Promise<VerifiedReply> {
    const { authorizationServer, principal } = kept;
    for (let tries = 0; ; tries += 1) {
      const verification: Verification = await this.#port
        .identify(authorizationServer, principal, kept)
        .catch((cause: unknown) => ({ kind: "unavailable" as const, problem: "unexpected", cause }));
      switch (verification.kind) {
        case "verified":
          return verification.tokens;
        case "identity_mismatch":
          this.#core.audit.record({ event: "identity_mismatch", issuer: principal.issuer, problem: verification.problem });
          await this.#core.unheld.revoke(authorizationServer, verification.revocable);
          throw importRefused(this.#core, [
            `refresh_token belongs to another user than id_token, as far as can be told: ${verification.problem}`,
          ]);
        case "unreadable":
          throw importUnavailable("The authorization server's reply could not be read.");
        case "unavailable":
          if (!this.#isTriedAgain(kept, isKept, tries, verificationTries)) {
            await this.#giveUp(kept, isKept, tokensOf(kept.body));
            throw importUnavailable("The authorization server's reply could not be verified.", verification.cause);
          }
          await this.#claims.hold(kept.intent);
          await sleep(this.#core.clock, backoffMs(tries, this.#core.random, 500, 30_000), this.#stopped);
      }
    }
  }

  /**
   * Makes the login session, or gives the one that is there of the same refresh token. The refresh token that was handed in is
   * spent by now: while the store cannot be reached, it is tried again (I4).
   */
  async #store(login: VerifiedLogin, kept: KeptImport, isKept: boolean): Promise<LoginSession> {
    const { sessions, clock, random } = this.#core;
    let isTaken = false;
    for (let tries = 0; ; tries += 1) {
      try {
        // A second record of one refresh token would spend it twice.
        const stored = await sessions.getByRefreshTokenHash(kept.intent.hash);
        return stored ?? (await this.#logins.start(login, { kind: "import" }, kept.refreshToken));
      } catch (error) {
        // The store has taken the record of another import since that look: the next look finds it.
        const isConflict = error instanceof LatchkeyError && error.code === "conflict";
        isTaken ||= isConflict;
        if (!this.#isTriedAgain(kept, isKept, tries, storeTries)) {
          // Revoked, these tokens would take the other's with them.
          if (!isTaken) await this.#giveUp(kept, isKept, tokensOfLogin(login));
          throw error;
        }
        await sleep(clock, isConflict ? 0 : backoffMs(tries, random, 250, 5_000), this.#stopped);
        await this.#claims.hold(kept.intent);
      }
    }
  }

  /**
   * Another import has made a login session of the same refresh token: one import, and its own tokens are of the same family.
   * While that lives they are dropped, never revoked (RFC 7009, section 2.1: that would end the whole grant). Revoked only if it has ended.
   */
  async #yield(known: LoginSession, login: VerifiedLogin, { intent, principal }: KeptImport): Promise<ImportResult> {
    const { audit, unheld } = this.#core;
    const tokens = tokensOfLogin(login);
    if (known.state === "ended") {
      audit.record({ event: "late_reply_revoked", login: known.handle, tokens: tokens.length });
      await unheld.revoke(login.authorizationServer, tokens);
    } else audit.record({ event: "late_reply_dropped", login: known.handle, generation: known.generation, state: known.state });
    return knownImport(this.#core, known, intent.hash, principal, "meanwhile");
  }

  /** Whether a reply that could not be brought further is tried again. Otherwise its tokens are given up. */
  #isTriedAgain({ receivedAt }: KeptImport, isKept: boolean, tries: number, mostTries: number): boolean {
    if (this.#stopped.aborted) return false;
    return tries < mostTries || (isKept && this.#core.clock.now() < receivedAt + keptTriesMs);
  }

  /** Of a reply that is given up. When the process ends, the journal has it. */
  async #giveUp(kept: KeptImport, isKept: boolean, tokens: readonly RevocableToken[]): Promise<void> {
    if (isKept && this.#stopped.aborted) return;
    await this.#core.unheld.revoke(kept.authorizationServer, tokens);
  }
}

/** Whether a login session was made of this very reply. Once it was refreshed, nobody can tell: then it counts as another's. */
function isMadeOf(record: LoginSession, { tokens }: VerifiedLogin): boolean {
  return record.accessTokens.some(({ accessToken }) => accessToken === tokens.accessToken);
}
