/** What the page calls a login session's state: a label, a tone, and a sentence where one is needed. */
export function describeState(session, now) {
  const failing = session.failures > 0 && session.lastFailure !== undefined;
  switch (session.state) {
    case "live":
    case "refreshing":
      if (failing) {
        const times = session.failures === 1 ? "The last refresh failed" : `The last ${session.failures} refreshes failed`;
        return {
          label: "Refresh failing",
          tone: "warn",
          text: `${times}: ${failure(session.lastFailure.kind)}. ${served(session, now)} It is tried again by itself.`,
        };
      }
      if (isOver(session, now))
        return { label: "Expired", tone: "warn", text: "The access token has ended; the next one is being fetched." };
      return session.state === "live" ? { label: "Live", tone: "good" } : { label: "Refreshing", tone: "good" };
    case "uncertain":
      return {
        label: "Uncertain",
        tone: "warn",
        text: `The answer to a refresh was lost. ${served(session, now)} Latchkey tries to save the login by itself.`,
      };
    case "login_required":
      return { label: "Sign-in needed", tone: "bad", text: reason(session.reason) };
    case "ended":
      return { label: "Ended", tone: "off", text: reason(session.reason) };
    default:
      return { label: session.state, tone: "off" };
  }
}

/** Why a login session needs a sign-in or has ended. */
export function reason(code) {
  return (
    {
      grant_dead: "The authorization server does not accept this login any more: it expired there, or was revoked.",
      lost_reply: "The answer to a refresh was lost on the way, and with it the new refresh token.",
      refused: "The authorization server keeps refusing to refresh this login.",
      identity: "The authorization server answered with tokens of another user. Nothing of them was used.",
      idle: "It was not used for a long time.",
      absolute_limit: "It reached the longest time that a login may last here.",
      logout: "It was signed out.",
      backchannel_logout: "The authorization server signed it out.",
      administrator: "An administrator ended it.",
      import_owner: "The service that brought this login has ended it.",
      grant_ended: "The access of the application that it was made for has ended.",
    }[code] ?? "The server gave no reason that this page knows."
  );
}

/** What is known of the revocation after a sign-out. */
export function revocation(state) {
  return (
    {
      done: "Its tokens are revoked at the authorization server.",
      none: "Its tokens are being revoked at the authorization server.",
      pending: "Its tokens could not be revoked at the authorization server yet; Latchkey goes on trying.",
      shared: "Another login shares the grant at the authorization server, so its tokens are revoked when the last of them signs out.",
      unsupported: "The authorization server cannot revoke tokens; the last access token ends by itself.",
      expired: "Its tokens have ended by themselves.",
    }[state] ?? ""
  );
}

/** How a login session came to be. */
export function origin({ origin: kind, client }) {
  if (kind === "mcp_client") return client === undefined ? "MCP client" : `MCP client: ${client}`;
  return { browser: "Browser", import: "Imported by a service", demo: "Demo", local: "Local profile" }[kind] ?? kind;
}

/** Who it is, in one line. */
export function displayName(user) {
  return user.name ?? user.email ?? user.subject;
}

/** The authorization server without its scheme. */
export function issuerHost(issuer) {
  return URL.canParse(issuer) ? new URL(issuer).host : issuer;
}

function failure(kind) {
  return (
    {
      not_sent: "the authorization server cannot be reached",
      refused: "the authorization server refused it for now",
      server_error: "the authorization server answered with an error",
      ambiguous: "the answer was lost on the way",
      grant_dead: "the authorization server does not accept the login any more",
      client_broken: "the authorization server does not accept Latchkey itself; its operator has to look at the client's settings",
      unverified: "the reply could not be verified yet",
    }[kind] ?? kind
  );
}

function served(session, now) {
  return isOver(session, now) ? "No access token is served until one works." : "The access token is served to its end.";
}

function isOver(session, now) {
  return session.accessTokenExpires === undefined || Date.parse(session.accessTokenExpires) <= now;
}
