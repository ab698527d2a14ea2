import type { LoginSession } from "../session/login-session.ts";
import type { CallHost } from "./call-host.ts";
import type { LoginSessionStatus } from "./tool.ts";

/** How a login session stands, for its own user: times in ISO 8601, no token, no internal id. */
export function describeLoginSession(
  session: LoginSession,
  clients: ReturnType<CallHost["clients"]>,
  clockNote?: string | undefined,
): LoginSessionStatus {
  return {
    login: session.handle,
    state: session.state,
    reason: session.reason?.code,
    accessTokenExpiresAt: iso(latestExpiry(session)),
    lastRefreshAt: iso(session.health.lastRefreshAt),
    nextRefreshAt: iso(nextRefreshAt(session)),
    note: note(session),
    clock: clockNote,
    clients: clients.map(({ name, version, transport, lastSeenAt }) => ({
      name,
      version,
      transport,
      lastSeenAt: new Date(lastSeenAt).toISOString(),
    })),
  };
}

/** Several APIs, several access tokens: the one that lives longest says until when something is served without a refresh. */
function latestExpiry(session: LoginSession): number | undefined {
  return session.accessTokens.reduce<number | undefined>((latest, { expiresAt }) => Math.max(latest ?? expiresAt, expiresAt), undefined);
}

function nextRefreshAt(session: LoginSession): number | undefined {
  switch (session.state) {
    case "live":
    case "refreshing":
    case "uncertain":
      return session.nextDueAt;
    case "login_required":
    case "ended":
      // What is still due then is the revocation, no refresh.
      return undefined;
  }
}

function note(session: LoginSession): string | undefined {
  const { lastFailure, failures } = session.health;
  switch (session.state) {
    case "live":
    case "refreshing":
      if (lastFailure === undefined || failures === 0) return undefined;
      return `The last ${failures === 1 ? "refresh" : `${failures} refreshes`} failed (${lastFailure.kind}); it is tried again by itself.`;
    case "uncertain":
      return "The answer to a refresh was lost. The access token is served until it ends; Latchkey tries to save the login by itself.";
    case "login_required":
      return "The user has to sign in again; the link stands in the error of any tool that needs the login.";
    case "ended":
      return "This login session has ended. Sign in again for a new one.";
  }
}

function iso(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString();
}
