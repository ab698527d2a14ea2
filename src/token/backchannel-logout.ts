import type { Audit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { LoginSession } from "../session/login-session.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import type { UsedIdStore } from "../session/store.ts";
import type { Logout } from "./logout.ts";
import type { LogoutToken, LogoutTokenPort } from "./ports.ts";

export interface BackchannelLogoutParts {
  readonly tokens: LogoutTokenPort;
  readonly sessions: Pick<LoginSessions, "listByUser" | "listBySid">;
  readonly logout: Pick<Logout, "end">;
  readonly usedIds: UsedIdStore;
  readonly clock: Clock;
  readonly audit: Audit;
}

/** Ends login sessions because the authorization server says that its user has signed out there (OIDC Back-Channel Logout 1.0). */
export class BackchannelLogout {
  readonly #parts: BackchannelLogoutParts;

  constructor(parts: BackchannelLogoutParts) {
    this.#parts = parts;
  }

  /**
   * Ends what the logout token names: with a `sid` the login sessions of that session alone, else all of the subject. After it returns, none
   * of them serves a token (I12). Throws LatchkeyError `invalid_request` for a token that is refused, a used one included, and
   * `store_unavailable` or `authorization_server_unavailable` when it could not be done or checked: then the same token may come again.
   */
  async receive(logoutToken: string): Promise<void> {
    const { tokens, usedIds, clock, audit } = this.#parts;
    const check = await tokens.checkLogoutToken(logoutToken);
    if (check.kind === "unavailable")
      throw new LatchkeyError(
        "authorization_server_unavailable",
        "The keys of the logout token's issuer cannot be fetched now. Try again.",
        {
          retryable: true,
          cause: check.cause,
        },
      );
    if (check.kind === "rejected") throw this.#refuse(check.problems);
    const { token } = check;
    // First the end, which can be repeated, then the mark: a failure between them must not leave a retry refused and a login session alive.
    // A token that comes again ends nothing that it does not name: sign-ins after it are left alone.
    const ended = await this.#end(token);
    const { issuer, clientId, jti, expiresAt } = token;
    const id = JSON.stringify([issuer, clientId, jti]);
    if (!(await usedIds.use({ kind: "logout_token", id, expiresAt }, clock.now()))) throw this.#refuse(["it was used already"], issuer);
    audit.record({ event: "backchannel_logout", issuer, ended });
  }

  async #end(token: LogoutToken): Promise<number> {
    const { logout } = this.#parts;
    const named = (await this.#find(token)).filter((record) => isNamed(record, token) && record.state !== "ended");
    const results = await Promise.allSettled(named.map(({ id }) => logout.end(id, "backchannel_logout")));
    for (const result of results) if (result.status === "rejected" && !isGone(result.reason)) throw result.reason;
    return named.length;
  }

  #find({ issuer, subject, sid }: LogoutToken): Promise<readonly LoginSession[]> {
    const { sessions } = this.#parts;
    if (subject !== undefined) return sessions.listByUser(issuer, subject);
    return sid === undefined ? Promise.resolve([]) : sessions.listBySid(issuer, sid);
  }

  #refuse(problems: readonly string[], issuer?: string): LatchkeyError {
    this.#parts.audit.record({ event: "backchannel_logout_refused", issuer, problems });
    return new LatchkeyError("invalid_request", `The logout token is refused: ${problems.join("; ")}.`, { details: { problems } });
  }
}

function isNamed({ principal, repairedAt, createdAt }: LoginSession, { clientId, sid, endsSignInsUntil }: LogoutToken): boolean {
  if (principal.clientId !== clientId || (repairedAt ?? createdAt) > endsSignInsUntil) return false;
  // A login without a session of its own at the authorization server goes with any of its user.
  return sid === undefined || principal.sid === sid || !hasOwnSid(principal.sid);
}

/** A space begins no `sid`: it stands for the grant that all logins of a user share. */
function hasOwnSid(sid: string | undefined): boolean {
  return sid !== undefined && !sid.startsWith(" ");
}

function isGone(error: unknown): boolean {
  return error instanceof LatchkeyError && error.code === "not_found";
}
