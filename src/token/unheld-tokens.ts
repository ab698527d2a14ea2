import { sleep } from "../clock.ts";
import { randomSecret } from "../session/random.ts";
import type { KeptDebt } from "../session/reply-journal.ts";
import type { RevocableToken, VerifiedLogin } from "./ports.ts";
import { unknownAccessLifeMs, unknownRefreshLifeMs } from "./record-changes.ts";
import { backoffMs } from "./times.ts";
import type { TokenCore, UnheldRevocations } from "./token-core.ts";

/** So many debts wait in memory at one time. What comes beyond them is tried once, and again after a restart where there is a journal. */
const mostWaiting = 1_000;

/** What the token core is made of before this. */
export type UnheldTokensServices = Pick<TokenCore, "server" | "issuers" | "clock" | "random" | "audit" | "logger" | "journal">;

/**
 * Revokes tokens that arrived and that no login session holds: of a refused login, or of a reply whose record is gone. They
 * are kept in the journal until they are revoked, cannot be revoked, or have expired; without a journal, in memory (I4).
 */
export class UnheldTokens implements UnheldRevocations {
  readonly #services: UnheldTokensServices;
  readonly #waiting = new Set<string>();
  readonly #stopped = new AbortController();

  constructor(services: UnheldTokensServices) {
    this.#services = services;
  }

  get size(): number {
    return this.#waiting.size;
  }

  async revoke(authorizationServer: string, tokens: readonly RevocableToken[]): Promise<void> {
    if (tokens.length === 0) return;
    const { clock, journal, logger } = this.#services;
    const debt: KeptDebt = { kind: "debt", id: randomSecret(), authorizationServer, tokens, since: clock.now() };
    await journal?.keep(debt).catch((error: unknown) => {
      logger.error("Tokens that are to be revoked could not be kept on the local disk. Until then they are in memory only.", { error });
    });
    await this.resume(debt);
  }

  async resume(debt: KeptDebt): Promise<void> {
    const { journal, logger } = this.#services;
    const { left, waitMs } = await this.#try(debt, debt.tokens, 0);
    if (left.length === 0) await journal?.settle(debt.id);
    else if (this.#waiting.size < mostWaiting) void this.#payLater(debt, left, waitMs);
    else logger.error("Too many tokens wait for their revocation: these are not tried again before a restart.", { tokens: left.length });
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #payLater(debt: KeptDebt, tokens: readonly RevocableToken[], firstWaitMs: number): Promise<void> {
    const { clock, journal } = this.#services;
    const { signal } = this.#stopped;
    this.#waiting.add(debt.id);
    let left = tokens;
    let waitMs = firstWaitMs;
    for (let tries = 1; left.length > 0; tries += 1) {
      await sleep(clock, waitMs, signal);
      if (signal.aborted) return;
      ({ left, waitMs } = await this.#try(debt, left, tries));
    }
    this.#waiting.delete(debt.id);
    await journal?.settle(debt.id);
  }

  /** Each once. Gives those that are still to be revoked, and how long to wait for them. */
  async #try(
    { authorizationServer, since }: KeptDebt,
    tokens: readonly RevocableToken[],
    tries: number,
  ): Promise<{ readonly left: readonly RevocableToken[]; readonly waitMs: number }> {
    const { server, issuers, clock, random, audit } = this.#services;
    const { issuer } = issuers.mustGet(authorizationServer).policy;
    const left: RevocableToken[] = [];
    let waitMs = backoffMs(tries, random, 1_000, 300_000);
    for (const token of tokens) {
      const life = token.kind === "refresh_token" ? unknownRefreshLifeMs : unknownAccessLifeMs;
      if (clock.now() >= since + life) {
        audit.record({ event: "revocation_failed", issuer, token: token.kind, outcome: "expired" });
        continue;
      }
      const outcome = await server
        .revoke(authorizationServer, token)
        .catch((cause: unknown) => ({ kind: "unavailable" as const, retryAfterSeconds: undefined, cause }));
      if (outcome.kind === "unavailable") {
        left.push(token);
        waitMs = Math.max(waitMs, (outcome.retryAfterSeconds ?? 0) * 1000);
        // Said once, and not at each of hundreds of tries.
        if (tries === 0) audit.record({ event: "revocation_failed", issuer, token: token.kind, outcome: "unavailable" });
      } else audit.record({ event: "revocation_done", issuer, token: token.kind, outcome: outcome.kind });
    }
    return { left, waitMs };
  }
}

/** The tokens of a login that is not accepted, the refresh token first. */
export function tokensOfLogin({ tokens: { accessToken, refreshToken } }: VerifiedLogin): readonly RevocableToken[] {
  const access: RevocableToken = { kind: "access_token", token: accessToken };
  return refreshToken === undefined ? [access] : [{ kind: "refresh_token", token: refreshToken }, access];
}
