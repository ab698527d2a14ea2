import { sleep } from "../clock.ts";
import type { RefreshToken, RefreshTokenHash } from "../session/login-session.ts";
import type { KeptImport } from "../session/reply-journal.ts";
import type { ImportIntentStore } from "../session/store.ts";
import { verdictOf } from "./failure-settlement.ts";
import { type ImportResult, importRefused, importUnavailable, knownImport } from "./import-answers.ts";
import { type ImportClaim, ImportClaims, presentationMs } from "./import-claims.ts";
import { ImportSettlement } from "./import-settlement.ts";
import type { Logins } from "./logins.ts";
import type { ImportCheck, ImportPort, RawReply, RefreshOutcome } from "./ports.ts";
import type { TokenCore } from "./token-core.ts";

/** What a trusted backend hands over. The access token is not needed: the import gets its own. */
export interface ImportRequest {
  readonly idToken: string;
  readonly refreshToken: string;
  readonly accessToken?: string | undefined;
}

type AcceptedCheck = Extract<ImportCheck, { kind: "ok" }>;

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
  readonly #claims: ImportClaims;
  readonly #settlement: ImportSettlement;
  readonly #running = new Map<RefreshTokenHash, RunningImport>();
  readonly #stopped = new AbortController();

  constructor(core: TokenCore, port: ImportPort, logins: Logins, intents: ImportIntentStore) {
    this.#core = core;
    this.#port = port;
    this.#claims = new ImportClaims(core, intents);
    this.#settlement = new ImportSettlement({ core, port, logins, claims: this.#claims, stopped: this.#stopped.signal });
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
      return this.#settlement.settle(kept);
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
      throw importUnavailable("The import is still under way. Try the same import again.");
    } finally {
      limit.abort();
    }
  }

  async #import(request: ImportRequest, refreshToken: RefreshToken, hash: RefreshTokenHash): Promise<ImportResult> {
    const known = await this.#core.sessions.getByRefreshTokenHash(hash);
    const check = await this.#check(request);
    if (known !== undefined) return knownImport(this.#core, known, hash, check.principal, "before");
    const claimed = await this.#claims.claim(check.authorizationServer, hash);
    if (claimed.kind === "known") return knownImport(this.#core, claimed.loginSession, hash, check.principal, "meanwhile");
    const { sentAt, receivedAt, body } = await this.#present(check, refreshToken, claimed);
    const { authorizationServer, principal, profile } = check;
    const { intent } = claimed;
    return this.#settlement.settle({
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

  async #check(request: ImportRequest): Promise<AcceptedCheck> {
    const check = await this.#port.checkImport({ idToken: request.idToken, accessToken: request.accessToken });
    switch (check.kind) {
      case "ok":
        return check;
      case "rejected":
        throw importRefused(this.#core, check.problems);
      case "unavailable":
        throw importUnavailable("The ID token could not be checked, because the authorization server cannot be reached.", check.cause);
    }
  }

  async #present(check: AcceptedCheck, refreshToken: RefreshToken, { intent, ticket, claimedAt }: ImportClaim): Promise<RawReply> {
    const issuer = this.#core.issuers.mustGet(check.authorizationServer);
    // This process may have stood still since the claim: what has no time left must not be sent beside another's.
    const leftMs = presentationMs - (this.#core.clock.monotonic() - claimedAt);
    if (leftMs <= 0) {
      ticket.leave({ kind: "neutral" });
      await this.#claims.release(intent);
      throw importUnavailable("The import took too long. Nothing was used up; try the same import again.");
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
        throw importRefused(this.#core, [
          "refresh_token is not valid: the authorization server says that it has expired, was revoked or was used before",
        ]);
      case "refused":
        throw importRefused(this.#core, [
          `refresh_token was refused by the authorization server${outcome.errorCode === undefined ? "" : ` (${outcome.errorCode})`}`,
        ]);
      case "not_sent":
      case "server_error":
      case "client_broken":
        throw importUnavailable(
          "The authorization server could not refresh the login. Nothing was used up; try the same import again.",
          outcome.cause,
        );
      case "ambiguous":
        throw importUnavailable("The authorization server did not answer properly. Try the same import again.", outcome.cause);
    }
  }
}
