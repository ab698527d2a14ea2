import { sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { IdToken, LoginOrigin, LoginSession, LoginSessionHandle, LoginSessionId, RefreshToken } from "../session/login-session.ts";
import { newHandle, newLoginSessionId } from "../session/random.ts";
import { applyChange } from "./apply-change.ts";
import { probeIntrospection } from "./introspection-probe.ts";
import { liveDueAt } from "./limits.ts";
import type { VerifiedLogin } from "./ports.ts";
import { newEntry, replacedDebts } from "./record-changes.ts";
import type { TokenCore } from "./token-core.ts";
import { tokensOfLogin } from "./unheld-tokens.ts";

/** Makes login sessions out of verified logins. */
export class Logins {
  readonly #core: TokenCore;
  readonly #probes = new Set<Promise<void>>();

  constructor(core: TokenCore) {
    this.#core = core;
  }

  /** Waits until what is asked of authorization servers after logins has its answers, at most `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    if (this.#probes.size === 0) return;
    const stop = new AbortController();
    await Promise.race([Promise.all(this.#probes), sleep(this.#core.clock, limitMs, stop.signal)]);
    stop.abort();
  }

  /** A new login session, live. `consumed`: the refresh token that was given for these tokens. Throws LatchkeyError `login_failed` without a refresh token, and `store_unavailable`. */
  async start(login: VerifiedLogin, origin: LoginOrigin, consumed?: RefreshToken): Promise<LoginSession> {
    const now = this.#core.clock.now();
    const isTrusted = this.#core.issuers.mustGet(login.authorizationServer).introspectionTrusted;
    const content: LoginSession = {
      ...this.#content(login, now),
      id: newLoginSessionId(),
      handle: newHandle(),
      authorizationServer: login.authorizationServer,
      principal: login.principal,
      origin,
      createdAt: now,
      epoch: 1,
      generation: 1,
      version: 1,
      importedRefreshTokenHash: consumed === undefined ? undefined : this.#core.hash(consumed),
      consumedRefreshTokenHash: consumed === undefined || consumed === login.tokens.refreshToken ? undefined : this.#core.hash(consumed),
      observed: { rotation: "unknown", introspection: isTrusted ? "trusted" : "unknown" },
      revocation: "none",
      debts: [],
    };
    const record = { ...content, nextDueAt: liveDueAt(this.#core, content, now) };
    await this.#core.sessions.insert(record);
    this.#core.issuers.mustGet(record.authorizationServer).gate.reopen();
    this.#core.audit.record({ event: "login_completed", login: record.handle, issuer: login.principal.issuer, origin: origin.kind });
    this.#probe(record.id);
    return record;
  }

  /**
   * Replaces the tokens of a login session by those of a new sign-in of the same principal; what is bound to it carries
   * on. Throws LatchkeyError `forbidden` for another principal (the new tokens are revoked, the record stays as it was),
   * `login_ended` for an ended one and `not_found` (both revoke the new tokens), `store_unavailable`.
   */
  async repair(handle: LoginSessionHandle, login: VerifiedLogin): Promise<LoginSession> {
    const found = await this.#core.sessions.getByHandle(handle);
    if (found === undefined) return this.#refuse(handle, login, "not_found");
    if (!isSamePrincipal(found, login)) return this.#refuse(handle, login, "forbidden");
    let ended = false;
    const record = await applyChange(this.#core, found.id, (current) => {
      ended = current.state === "ended";
      if (ended) return undefined;
      const now = this.#core.clock.now();
      // The family that is replaced is owed; it is paid at once, or at the end where both may be of one grant (F23).
      const debts = replacedDebts(current, now).filter((debt) => debt.token !== login.tokens.refreshToken);
      const next: LoginSession = {
        ...current,
        ...this.#content(login, now),
        principal: login.principal,
        epoch: current.epoch + 1,
        generation: current.generation + 1,
        version: current.version + 1,
        repairedAt: now,
        consumedRefreshTokenHash: current.refreshTokenHash,
        debts,
        revocation: debts.length > 0 ? "pending" : current.revocation,
      };
      return { ...next, nextDueAt: liveDueAt(this.#core, next, now) };
    });
    if (record === undefined || ended) return this.#refuse(handle, login, "login_ended");
    this.#core.audit.record({ event: "login_repaired", login: handle, issuer: login.principal.issuer, epoch: record.epoch });
    this.#probe(record.id);
    return record;
  }

  #probe(id: LoginSessionId): void {
    const probe = probeIntrospection(this.#core, id);
    this.#probes.add(probe);
    void probe.then(() => this.#probes.delete(probe));
  }

  async #refuse(handle: LoginSessionHandle, login: VerifiedLogin, code: "forbidden" | "login_ended" | "not_found"): Promise<never> {
    this.#core.audit.record({ event: "login_refused", login: handle, issuer: login.principal.issuer, code });
    await this.#core.unheld.revoke(login.authorizationServer, tokensOfLogin(login));
    throw new LatchkeyError(code, refusalText[code]);
  }

  /** The fields that a sign-in decides. */
  #content(
    login: VerifiedLogin,
    now: number,
  ): Omit<
    LoginSession,
    | "id"
    | "handle"
    | "authorizationServer"
    | "principal"
    | "origin"
    | "createdAt"
    | "epoch"
    | "generation"
    | "version"
    | "observed"
    | "revocation"
    | "debts"
  > {
    const { tokens } = login;
    const refreshToken = mustHaveRefreshToken(tokens.refreshToken);
    const issuer = this.#core.issuers.mustGet(login.authorizationServer);
    const refreshSeconds =
      tokens.refreshExpiresInSeconds ?? issuer.policy.refreshTokenLifetimeSeconds ?? issuer.learntRefreshLifetimeSeconds;
    const refreshLifetimeMs = refreshSeconds === undefined ? undefined : refreshSeconds * 1000;
    const idToken: IdToken | undefined = tokens.idToken;
    return {
      state: "live",
      reason: undefined,
      profile: login.profile,
      lastUsedAt: now,
      refreshToken,
      refreshTokenHash: this.#core.hash(refreshToken),
      consumedRefreshTokenHash: undefined,
      refreshTokenExpiresAt: refreshLifetimeMs === undefined ? undefined : login.obtainedAt + refreshLifetimeMs,
      accessTokens: [newEntry(issuer.policy.defaultTarget, tokens, login.obtainedAt, [])],
      idToken,
      pending: undefined,
      queued: undefined,
      attempts: [],
      health: { lastRefreshAt: now, failures: 0, refusals: 0 },
      incarnation: this.#core.incarnation?.(),
    };
  }
}

function isSamePrincipal(record: LoginSession, login: VerifiedLogin): boolean {
  const { issuer, subject, clientId } = record.principal;
  return login.principal.issuer === issuer && login.principal.subject === subject && login.principal.clientId === clientId;
}

const refusalText = {
  forbidden: "You signed in as somebody else. This login session belongs to another user and stays as it was; sign in as that user.",
  login_ended: "This login session has ended and cannot be repaired. Sign in for a new one.",
  not_found: "There is no such login session. Sign in for a new one.",
} as const;

function mustHaveRefreshToken(token: RefreshToken | undefined): RefreshToken {
  if (token !== undefined) return token;
  throw new LatchkeyError(
    "login_failed",
    'The authorization server gave no refresh token, so the login could not be kept alive. Ask for the scope "offline_access" (and prompt "consent") in the configuration, and allow refresh tokens for this client.',
  );
}
