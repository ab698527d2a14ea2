import { LatchkeyError } from "../errors.ts";
import type { EndedReason, FailureKind, LoginRequiredReason, LoginSession } from "../session/login-session.ts";
import type { FlightResult } from "./flight-result.ts";
import type { Issuer } from "./issuers.ts";

const reasons: Readonly<Record<LoginRequiredReason | EndedReason, string>> = {
  grant_dead: "the authorization server does not accept its refresh token any more",
  lost_reply: "the reply to its last refresh was lost on the way",
  refused: "the authorization server keeps refusing to refresh it",
  identity: "the authorization server answered a refresh with somebody else's tokens",
  idle: "it was not used for a long time",
  absolute_limit: "it has reached its longest permitted age",
  logout: "the user signed out",
  backchannel_logout: "the authorization server signed the user out",
  administrator: "an administrator ended it",
  import_owner: "the application that brought it in ended it",
  grant_ended: "the access of the application that it was made for has ended",
};

/** Why a login session serves nothing any more, in words for a person. */
function reasonText(code: LoginRequiredReason | EndedReason | undefined): string {
  return code === undefined ? "it is over" : reasons[code];
}

/** `login_required` or `login_ended`, with the reason and the public handle. */
export function deadLoginError(record: LoginSession): LatchkeyError {
  const code = record.reason?.code;
  const details = { login: record.handle, reason: code };
  if (record.state === "ended")
    return new LatchkeyError("login_ended", `This login session has ended: ${reasonText(code)}. Sign in again to get a new one.`, {
      details,
    });
  return new LatchkeyError("login_required", `This login session needs a new sign-in: ${reasonText(code)}.`, { details });
}

/** Why there is no access token right now although the login session lives. */
export function acquireError(record: LoginSession, issuer: Issuer, failure: FlightResult["failure"], waitMs: number): LatchkeyError {
  if (failure?.errorCode === "invalid_scope" || failure?.errorCode === "invalid_target") return insufficientScopeError(record, issuer);
  const retryAfterSeconds = Math.max(1, Math.ceil(Math.max(waitMs, (failure?.retryAfterSeconds ?? 0) * 1000) / 1000));
  const options = { retryable: true, retryAfterSeconds, details: { login: record.handle } };
  return new LatchkeyError(
    "authorization_server_unavailable",
    `${sentence(record, issuer, failure)} The login is kept; try again later.`,
    options,
  );
}

/** The login session is well, but its access tokens are not good for what was asked for. */
export function insufficientScopeError(record: LoginSession, issuer: Issuer): LatchkeyError {
  const message = `The authorization server ${issuer.policy.issuer} does not grant this login session what the API needs.`;
  return new LatchkeyError("insufficient_scope", message, { details: { login: record.handle } });
}

function sentence(record: LoginSession, issuer: Issuer, failure: FlightResult["failure"]): string {
  const kind = issuer.gate.paused ? "client_broken" : (failure?.kind ?? lastFailureOf(record, issuer));
  return troubleText(issuer.policy.issuer, kind);
}

/** A closed gate speaks for itself; what this login session met last may be of another kind, and long ago. */
function lastFailureOf(record: LoginSession, { gate }: Issuer): FailureKind | undefined {
  const own = record.health.lastFailure?.kind;
  return gate.closedForMs > 0 || own === "not_sent" ? (gate.lastFailure ?? own) : own;
}

/** What is wrong with the authorization server, in a sentence for a person. */
export function troubleText(server: string, kind: FailureKind | undefined): string {
  switch (kind) {
    case "client_broken":
      return `The authorization server ${server} refuses Latchkey's own client credentials: check clientId and clientSecret in the configuration.`;
    case "not_sent":
      return `The authorization server ${server} cannot be reached, so the access token could not be refreshed.`;
    case "server_error":
      return `The authorization server ${server} answered with an error of its own, so the access token could not be refreshed.`;
    case "refused":
      return `The authorization server ${server} refused to refresh the access token for now.`;
    case "ambiguous":
      return `The authorization server ${server} did not answer a refresh properly, and it is not known whether the refresh took place.`;
    case "unverified":
      return `The reply of the authorization server ${server} could not be verified yet.`;
    case "grant_dead":
    case undefined:
      return `The access token could not be refreshed at the authorization server ${server}.`;
  }
}
