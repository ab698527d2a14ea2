import { LatchkeyError } from "../errors.ts";
import type { LoginSession, Principal, RefreshTokenHash } from "../session/login-session.ts";
import type { TokenCore } from "./token-core.ts";

/** What an import gives. */
export interface ImportResult {
  /** False: the login session was there already, by an earlier import of the same refresh token or by one at the same time. */
  readonly created: boolean;
  readonly loginSession: LoginSession;
}

/** How a refresh token came to be known here: before this import, or by another one while it was under way. */
export type KnownSince = "before" | "meanwhile";

/**
 * The answer where a login session of this refresh token is there already: it, to its user alone. Throws LatchkeyError
 * `invalid_request` for another user, and `conflict` when it is over or has spent the refresh token since.
 */
export function knownImport(
  core: TokenCore,
  known: LoginSession,
  hash: RefreshTokenHash,
  principal: Principal,
  since: KnownSince,
): ImportResult {
  if (known.principal.issuer !== principal.issuer || known.principal.subject !== principal.subject)
    throw importRefused(core, ["refresh_token belongs to another user than id_token"]);
  const serves = known.state !== "ended" && known.state !== "login_required";
  // Two imports of the same at the same time are one import, in two processes as within one.
  if (serves && (known.refreshTokenHash === hash || (since === "meanwhile" && known.importedRefreshTokenHash === hash)))
    return { created: false, loginSession: known };
  throw new LatchkeyError(
    "conflict",
    serves
      ? "This refresh token was imported before and has been spent since: the login session in `login` lives on from it."
      : "This refresh token belongs to a login session that is over. Sign the user in again and import the new tokens.",
    { details: { login: known.handle, state: known.state } },
  );
}

/** LatchkeyError `invalid_request` with `details.problems`: nothing is made. */
export function importRefused(core: TokenCore, problems: readonly string[]): LatchkeyError {
  core.audit.record({ event: "import_refused", problems: problems.length });
  return new LatchkeyError("invalid_request", `The import was refused: ${problems.join("; ")}.`, { details: { problems } });
}

/** Retryable LatchkeyError `authorization_server_unavailable`. */
export function importUnavailable(message: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError("authorization_server_unavailable", message, { retryable: true, retryAfterSeconds: 5, cause });
}
