import type { LoginSessionId } from "../session/login-session.ts";
import { applyChange } from "./apply-change.ts";
import type { TokenCore } from "./token-core.ts";

/** How long a server that did not say "active" is left alone. */
const probeAgainMs = 600_000;

/**
 * Asks once, after a login, whether introspection (RFC 7662) of a token that is surely current says so. Only then is its
 * word trusted later: a server that denies this client answers `active: false` to everything (F46). It also learns how
 * long refresh tokens live. It never throws.
 */
export async function probeIntrospection(core: TokenCore, id: LoginSessionId): Promise<void> {
  try {
    const record = await core.sessions.get(id);
    if (record === undefined || record.state !== "live" || record.refreshToken === undefined) return;
    const issuer = core.issuers.mustGet(record.authorizationServer);
    const now = core.clock.now();
    if (issuer.policy.introspection === "never" || issuer.introspectionTrusted) return;
    if (issuer.introspectionProbedAt !== undefined && now - issuer.introspectionProbedAt < probeAgainMs) return;
    issuer.introspectionProbedAt = now;
    const outcome = await core.server.introspect(record.authorizationServer, record.refreshToken);
    if (outcome.kind !== "active") return;
    issuer.introspectionTrusted = true;
    const { expiresAt } = outcome;
    if (expiresAt !== undefined) issuer.learntRefreshLifetimeSeconds = Math.max(1, Math.round((expiresAt - now) / 1000));
    await applyChange(core, id, (current) => {
      if (current.state === "ended" || current.state === "login_required") return undefined;
      // Written down: a process that starts later, when a reply is lost, must know it without asking about a token that may be spent.
      const trusted = { ...current, version: current.version + 1, observed: { ...current.observed, introspection: "trusted" as const } };
      const isAboutThis = current.generation === record.generation && current.state === "live";
      if (!isAboutThis || expiresAt === undefined || current.refreshTokenExpiresAt !== undefined)
        return current.observed.introspection === "trusted" ? undefined : trusted;
      const half = now + (expiresAt - now) / 2;
      const nextDueAt = Math.min(current.nextDueAt ?? half, half);
      return { ...trusted, refreshTokenExpiresAt: expiresAt, nextDueAt };
    });
  } catch (error) {
    core.logger.debug("Introspection could not be probed.", { error });
  }
}
