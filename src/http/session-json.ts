import type { LoginSession } from "../session/login-session.ts";

/** A login session as the API shows it: times in ISO 8601, the public handle as id, no token. */
export interface SessionJson {
  readonly id: string;
  readonly issuer: string;
  readonly subject: string;
  readonly name?: string | undefined;
  readonly email?: string | undefined;
  readonly state: LoginSession["state"];
  readonly reason?: string | undefined;
  readonly reasonSince?: string | undefined;
  readonly created: string;
  readonly lastRefresh?: string | undefined;
  /** While it is live: when it is refreshed, or tried again. */
  readonly nextRefresh?: string | undefined;
  readonly accessTokenExpires?: string | undefined;
  /** Refreshes that failed since the last one that worked. */
  readonly failures: number;
  readonly lastFailure?: { readonly kind: string; readonly at: string } | undefined;
  readonly connections: number;
  readonly origin: string;
  /** The MCP client that it was made for, by its own name. */
  readonly client?: string | undefined;
  readonly revocation: string;
  /** A sentence, when this machine's clock and the authorization server's are far apart. */
  readonly clock?: string | undefined;
}

/** `connections`: how many are bound to it now, in this process. `clock`: what is to be said of the clocks. */
export function sessionJson(record: LoginSession, connections: number, clock?: string | undefined): SessionJson {
  const { health, reason } = record;
  const serves = record.state !== "login_required" && record.state !== "ended";
  return {
    id: record.handle,
    issuer: record.principal.issuer,
    subject: record.principal.subject,
    name: record.profile.name,
    email: record.profile.email,
    state: record.state,
    reason: reason?.code,
    reasonSince: iso(reason?.at),
    created: new Date(record.createdAt).toISOString(),
    lastRefresh: iso(health.lastRefreshAt),
    // What is due after the end is the revocation, no refresh.
    nextRefresh: serves ? iso(record.nextDueAt) : undefined,
    accessTokenExpires: iso(latestExpiry(record)),
    failures: health.failures,
    lastFailure:
      health.lastFailure === undefined ? undefined : { kind: health.lastFailure.kind, at: new Date(health.lastFailure.at).toISOString() },
    connections,
    origin: record.origin.kind,
    client: record.origin.kind === "mcp_client" ? (record.origin.clientName ?? record.origin.clientId) : undefined,
    revocation: record.revocation,
    clock,
  };
}

/** Of several access tokens the one that lives longest says until when something is served without a refresh. */
function latestExpiry(record: LoginSession): number | undefined {
  return record.accessTokens.length === 0 ? undefined : Math.max(...record.accessTokens.map((entry) => entry.expiresAt));
}

function iso(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString();
}
