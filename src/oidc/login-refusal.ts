import { LatchkeyError } from "../errors.ts";
import { safeText } from "./safe-text.ts";
import type { AuthorizationServerSettings } from "./settings.ts";
import { settingPath, unavailable } from "./unavailable.ts";

/** LatchkeyError `login_failed`. `problem` is a sentence without its full stop; `remedy` a sentence. */
export function loginFailed(problem: string, remedy: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError("login_failed", `${problem}. ${remedy}`, { cause });
}

/** The remedy that mostly helps. */
export const signInAgain = "Sign in again.";

/** The error with which the authorization server sent the browser back (RFC 6749, section 4.1.2.1; OIDC Core 3.1.2.6). */
export function refusedByRedirect(settings: AuthorizationServerSettings, parameters: URLSearchParams): LatchkeyError {
  const code = safeText(parameters.get("error"))?.slice(0, 40) ?? "unknown";
  const description = safeText(parameters.get("error_description"));
  const said = description === undefined ? code : `${code}: ${description}`;
  const { issuer } = settings;
  switch (code) {
    case "access_denied":
      return loginFailed(
        `The sign-in was cancelled, or ${issuer} refused it (${said})`,
        "Sign in again, or ask its administrator for access.",
      );
    case "login_required":
    case "consent_required":
    case "interaction_required":
    case "account_selection_required":
      return loginFailed(`${issuer} wants to ask you something first (${said})`, signInAgain);
    case "invalid_scope":
      return loginFailed(`${issuer} does not give the scopes that were asked for (${said})`, `Check ${settingPath(settings, "scopes")}.`);
    case "temporarily_unavailable":
    case "server_error":
      return unavailable(settings, { problem: `it could not do the sign-in (${said})` });
    // An open set: the codes of extensions as well.
    default:
      return loginFailed(
        `${issuer} refused the sign-in (${said})`,
        `Check ${settingPath(settings, "clientId")} and how this client is registered there, its redirect URI above all.`,
      );
  }
}
