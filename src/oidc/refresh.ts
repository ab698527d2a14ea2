import { refreshTokenGrant } from "openid-client";
import type { Clock } from "../clock.ts";
import type { AccessTokenTarget } from "../session/login-session.ts";
import type { RefreshOutcome, RefreshRequest } from "../token/ports.ts";
import { AnswerFault } from "./answer-fault.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { findEndpoint } from "./metadata.ts";
import { classifyRefresh } from "./refresh-outcome.ts";
import type { AuthorizationServerSettings } from "./settings.ts";
import type { Failure } from "./unavailable.ts";

/**
 * Presents a refresh token once (RFC 6749, section 6): one POST on a connection of its own, never sent again, over after
 * `timeoutMs` with discovery counted in. A reply is given back as it came, before anything was checked. Never rejects.
 */
export async function refresh(server: AuthorizationServer, request: RefreshRequest): Promise<RefreshOutcome> {
  const { settings } = server;
  const { clock } = server.services;
  const deadline = clock.monotonic() + request.timeoutMs;
  const looked = await within(clock, request.timeoutMs, server.look());
  if (looked === "late") return notSent(server, { problem: "its discovery document did not come in time" });
  if (looked.kind === "unavailable") {
    const outcome = notSent(server, looked.failure);
    // It can be reached, and says that it is not well.
    return looked.failure.cause instanceof AnswerFault ? { ...outcome, kind: "server_error" } : outcome;
  }
  const endpoint = findEndpoint(settings, looked.metadata, "token");
  if (endpoint.kind === "missing") return notSent(server, endpoint);
  const parameters = targetParameters(settings, request.target);
  const forming = await server.form(looked.metadata, (configuration) => refreshTokenGrant(configuration, request.refreshToken, parameters));
  // openid-client's errors may quote what it was given: they are not kept, not even as a cause.
  if (forming.kind === "refused") return notSent(server, { problem: "the refresh request could not be formed" });
  const exchange = await server.send({ ...forming.request, timeoutMs: Math.max(1, deadline - clock.monotonic()) });
  return classifyRefresh(exchange, settings.deadGrantCodes);
}

/** A target without a resource is the login's: it names the same resource again (RFC 8707, section 2.2). */
function targetParameters(settings: AuthorizationServerSettings, target: AccessTokenTarget): Record<string, string> {
  const resource = (settings.resourceParameter ?? "always") === "always" ? (target.resource ?? settings.resource) : undefined;
  const scopes = settings.refreshScope === "omit" ? [] : target.scopes;
  return {
    ...(resource === undefined ? {} : { resource }),
    ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
  };
}

function notSent(server: AuthorizationServer, failure: Failure): Extract<RefreshOutcome, { kind: "not_sent" }> {
  return { kind: "not_sent", retryAfterSeconds: failure.retryAfterSeconds, cause: server.unavailable(failure) };
}

function within<T>(clock: Clock, delayMs: number, work: Promise<T>): Promise<T | "late"> {
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(delayMs, () => resolve("late"));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
