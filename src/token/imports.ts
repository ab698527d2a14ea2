import { sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { LoginSession, RefreshToken, RefreshTokenHash } from "../session/login-session.ts";
import type { KeptImport } from "../session/reply-journal.ts";
import type { ImportIntentStore } from "../session/store.ts";
import { verdictOf } from "./failure-settlement.ts";
import { type ImportClaim, ImportClaims, presentationMs } from "./import-claims.ts";
import type { Logins } from "./logins.ts";
import type {
  ImportCheck,
  ImportPort,
  RawReply,
  RefreshOutcome,
  RevocableToken,
  Verification,
  VerifiedLogin,
  VerifiedReply,
} from "./ports.ts";
import { tokensOf } from "./raw-tokens.ts";
import { backoffMs } from "./times.ts";
import type { TokenCore } from "./token-core.ts";
import { tokensOfLogin } from "./unheld-tokens.ts";

/** What a trusted backend hands over. The access token is not needed: the import gets its own. */
export interface ImportRequest {
  readonly idToken: string;
  readonly refreshToken: string;
  readonly accessToken?: string | undefined;
}

export interface ImportResult {
  /** False: this refresh token was known as the current one of that login session. */
  readonly created: boolean;
  readonly loginSession: LoginSession;
}

type AcceptedCheck = Extract<ImportCheck, { kind: "ok" }>;

/** How often a reply that cannot be verified yet, and is nowhere but in memory, is tried before its tokens are given up. */
const verificationTries = 12;
/** The same for a login session that cannot be stored. */
const storeTries = 8;
/** How long after its arrival a reply that the journal keeps is tried. */
const keptTriesMs = 24 * 3600 * 1000;
/** How long a caller waits. The import goes on without it, and a retry joins it. */
const callerLimitMs = 60_000;

interface RunningImport {
  /** Undefined: an earlier process has checked it. */
  readonly idToken: string | undefined;
  readonly result: Promise<ImportResult>;
}

/** Takes logins over from a trusted backend. */
export class Imports {
  readonly #core: TokenCore;
  readonly #port: ImportPort;
  readonly #logins: Logins;
  readonly #claims: ImportClaims;
  readonly #running = new Map<RefreshTokenHash, RunningImport>();
  readonly #stopped = new AbortController();

  constructor(core: TokenCore, port: ImportPort, logins: Logins, intents: ImportIntentStore) {
    this.#core = core;
    this.#port = port;
    this.#logins = logins;
    this.#claims = new ImportClaims(core, intents);
  }

  /**
   * Checks the ID token, refreshes at once, compares the subject, and only then makes a login session. The same refresh
   * token twice at one time is one import, in two processes as well. Throws LatchkeyError `invalid_request` (with `details.problems`; nothing is
   * made), `conflict` (the refresh token is spent; `details.login` is the login session that it became), retryable
   * `authorization_server_unavailable` (also when it takes long: try the same again), and `store_unavailable`.
   */
  importLogin(request: ImportRequest): Promise<ImportResult> {
    const refreshToken = request.refreshToken as RefreshToken;
    const hash = this.#core.hash(refreshToken);
    const running = this.#running.get(hash);
    if (running !== undefined) {
      if (running.idToken === request.idToken) return this.#await(running.result.then((result) => ({ ...result, created: false })));
      // Another ID token has to be checked by itself: it may be somebody else's.
      const again = (): Promise<ImportResult> => this.importLogin(request);
      return this.#await(running.result.then(again, again));
    }
    return this.#await(this.#run(hash, request.idToken, () => this.#import(request, refreshToken, hash)));
  }

  /**
   * Goes on with an import whose reply an earlier process has kept: verifies it, and makes the login session. Nothing is
   * presented. Rejects as `importLogin`; then its tokens are revoked, or the journal still has it.
   */
  resume(kept: KeptImport): Promise<ImportResult> {
    const { hash } = kept.intent;
    return this.#run(hash, undefined, async () => {
      // Whoever retries the import must not present the spent token.
      await this.#claims.hold(kept.intent);
      return this.#finish(kept);
    });
  }

  /** Tries nothing again from now on. What the journal keeps is left to the next process. */
  stop(): void {
    this.#stopped.abort();
  }

  /** How many imports are under way. */
  get size(): number {
    return this.#running.size;
  }

  #run(hash: RefreshTokenHash, idToken: string | undefined, work: () => Promise<ImportResult>): Promise<ImportResult> {
    const result = work().finally(() => {
      if (this.#running.get(hash) === running) this.#running.delete(hash);
    });
    const running = { idToken, result };
    this.#running.set(hash, running);
    return result;
  }

  async #await(result: Promise<ImportResult>): Promise<ImportResult> {
    const limit = new AbortController();
    try {
      const first = await Promise.race([result, sleep(this.#core.clock, callerLimitMs, limit.signal)]);
      if (first !== undefined) return first;
      throw unavailable("The import is still under way. Try the same import again.", undefined);
    } finally {
      limit.abort();
    }
  }

  async #import(request: ImportRequest, refreshToken: RefreshToken, hash: RefreshTokenHash): Promise<ImportResult> {
    const known = await this.#core.sessions.getByRefreshTokenHash(hash);
    const check = await this.#check(request);
    if (known !== undefined) return this.#known(known, hash, check);
    const claimed = await this.#claims.claim(check.authorizationServer, hash);
    if (claimed.kind === "known") return this.#known(claimed.loginSession, hash, check, true);
    const { sentAt, receivedAt, body } = await this.#present(check, refreshToken, claimed);
    const { authorizationServer, principal, profile } = check;
    const { intent } = claimed;
    return this.#finish({
      kind: "import",
      id: intent.owner,
      intent,
      refreshToken,
      authorizationServer,
      principal,
      profile,
      sentAt,
      receivedAt,
      body,
    });
  }

  /** The reply is in hand: it is kept before anything looks at it, until there is a login session of it or its tokens are owed (I4). */
  async #finish(kept: KeptImport): Promise<ImportResult> {
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
      this.#core.audit.record({ event: "login_imported", login: loginSession.handle, issuer: principal.issuer });
      return { created: true, loginSession };
    } finally {
      // The next process goes on with what is kept: until then nobody else may present.
      if (!this.#stopped.signal.aborted) {
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

  /** Whether a reply that could not be brought further is tried again. Otherwise its tokens are given up. */
  #isTriedAgain({ receivedAt }: KeptImport, isKept: boolean, tries: number, mostTries: number): boolean {
    if (this.#stopped.signal.aborted) return false;
    return tries < mostTries || (isKept && this.#core.clock.now() < receivedAt + keptTriesMs);
  }

  /** Of a reply that is given up. When the process ends, the journal has it. */
  async #giveUp(kept: KeptImport, isKept: boolean, tokens: readonly RevocableToken[]): Promise<void> {
    if (isKept && this.#stopped.signal.aborted) return;
    await this.#core.unheld.revoke(kept.authorizationServer, tokens);
  }

  /** The refresh token is known here: who asks must still show a valid ID token of the same user. */
  #known(known: LoginSession, hash: RefreshTokenHash, check: AcceptedCheck, madeMeanwhile = false): ImportResult {
    if (known.principal.issuer !== check.principal.issuer || known.principal.subject !== check.principal.subject)
      throw this.#refused(["refresh_token belongs to another user than id_token"]);
    const serves = known.state !== "ended" && known.state !== "login_required";
    // Another process imported the same at the same time: one import, as within one process.
    if (serves && (known.refreshTokenHash === hash || (madeMeanwhile && known.importedRefreshTokenHash === hash)))
      return { created: false, loginSession: known };
    throw new LatchkeyError(
      "conflict",
      serves
        ? "This refresh token was imported before and has been spent since: the login session in `login` lives on from it."
        : "This refresh token belongs to a login session that is over. Sign the user in again and import the new tokens.",
      { details: { login: known.handle, state: known.state } },
    );
  }

  async #check(request: ImportRequest): Promise<AcceptedCheck> {
    const check = await this.#port.checkImport({ idToken: request.idToken, accessToken: request.accessToken });
    switch (check.kind) {
      case "ok":
        return check;
      case "rejected":
        throw this.#refused(check.problems);
      case "unavailable":
        throw unavailable("The ID token could not be checked, because the authorization server cannot be reached.", check.cause);
    }
  }

  /** The refresh token that was handed in is spent by now: while the store cannot be reached, it is tried again (I4). */
  async #store(login: VerifiedLogin, kept: KeptImport, isKept: boolean): Promise<LoginSession> {
    const { sessions, clock, random } = this.#core;
    for (let tries = 0; ; tries += 1) {
      try {
        // Stored already, by an earlier process or without an acknowledgement? A second record of one refresh token would spend it twice.
        const stored = await sessions.getByRefreshTokenHash(kept.intent.hash);
        return stored ?? (await this.#logins.start(login, { kind: "import" }, kept.refreshToken));
      } catch (error) {
        if (!this.#isTriedAgain(kept, isKept, tries, storeTries)) {
          await this.#giveUp(kept, isKept, tokensOfLogin(login));
          throw error;
        }
        await sleep(clock, backoffMs(tries, random, 250, 5_000), this.#stopped.signal);
        await this.#claims.hold(kept.intent);
      }
    }
  }

  async #present(check: AcceptedCheck, refreshToken: RefreshToken, { intent, ticket, claimedAt }: ImportClaim): Promise<RawReply> {
    const issuer = this.#core.issuers.mustGet(check.authorizationServer);
    // This process may have stood still since the claim: what has no time left must not be sent beside another's.
    const leftMs = presentationMs - (this.#core.clock.monotonic() - claimedAt);
    if (leftMs <= 0) {
      ticket.leave({ kind: "neutral" });
      await this.#claims.release(intent);
      throw unavailable("The import took too long. Nothing was used up; try the same import again.", undefined);
    }
    this.#core.audit.record({ event: "refresh_presented", issuer: check.principal.issuer, generation: 0, reason: "import" });
    const outcome = await this.#core.server
      .refresh({
        authorizationServer: check.authorizationServer,
        refreshToken,
        target: issuer.policy.defaultTarget,
        timeoutMs: leftMs,
      })
      .catch((cause: unknown): RefreshOutcome => ({ kind: "ambiguous", cause }));
    ticket.leave(outcome.kind === "rotated" ? { kind: "healthy" } : verdictOf(outcome));
    if (outcome.kind === "rotated") return outcome.reply;
    // After an ambiguous answer the request may still be on its way: the intent stands until its time is over.
    if (outcome.kind !== "ambiguous") await this.#claims.release(intent);
    this.#core.audit.record({ event: "import_refused", issuer: check.principal.issuer, kind: outcome.kind, cause: outcome.cause });
    switch (outcome.kind) {
      case "grant_dead":
        throw this.#refused([
          "refresh_token is not valid: the authorization server says that it has expired, was revoked or was used before",
        ]);
      case "refused":
        throw this.#refused([
          `refresh_token was refused by the authorization server${outcome.errorCode === undefined ? "" : ` (${outcome.errorCode})`}`,
        ]);
      case "not_sent":
      case "server_error":
      case "client_broken":
        throw unavailable(
          "The authorization server could not refresh the login. Nothing was used up; try the same import again.",
          outcome.cause,
        );
      case "ambiguous":
        throw unavailable("The authorization server did not answer properly. Try the same import again.", outcome.cause);
    }
  }

  /** The reply is in hand and must not be lost: while it cannot be verified, it is tried again. */
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
          throw this.#refused([`refresh_token belongs to another user than id_token, as far as can be told: ${verification.problem}`]);
        case "unreadable":
          throw unavailable("The authorization server's reply could not be read.", undefined);
        case "unavailable":
          if (!this.#isTriedAgain(kept, isKept, tries, verificationTries)) {
            await this.#giveUp(kept, isKept, tokensOf(kept.body));
            throw unavailable("The authorization server's reply could not be verified.", verification.cause);
          }
          await this.#claims.hold(kept.intent);
          await sleep(this.#core.clock, backoffMs(tries, this.#core.random, 500, 30_000), this.#stopped.signal);
      }
    }
  }

  #refused(problems: readonly string[]): LatchkeyError {
    this.#core.audit.record({ event: "import_refused", problems: problems.length });
    return new LatchkeyError("invalid_request", `The import was refused: ${problems.join("; ")}.`, { details: { problems } });
  }
}

function unavailable(message: string, cause: unknown): LatchkeyError {
  return new LatchkeyError("authorization_server_unavailable", message, { retryable: true, retryAfterSeconds: 5, cause });
}
