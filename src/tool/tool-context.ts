import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { ApiSettings } from "./api.ts";
import { createApiFetch } from "./api-fetch.ts";
import type { CallHost } from "./call-host.ts";
import { describeLoginSession } from "./login-session-status.ts";
import type { ToolContext } from "./tool.ts";

/**
 * What one running call may use, made of what its connection lends it. The access token stays behind `fetch`.
 * `apis` are the addresses that `fetch` serves; `clockNote` says in words when this machine's clock is wrong.
 */
export function createToolContext(
  host: CallHost,
  apis: readonly ApiSettings[],
  services: { readonly clock: Clock; readonly logger: Logger; readonly clockNote?: () => string | undefined },
): ToolContext {
  // The principal never changes in the life of a record; the profile is taken as it was when the call began.
  const { principal, profile } = host.loginSession();
  return {
    principal: { issuer: principal.issuer, subject: principal.subject, name: profile.name, email: profile.email },
    signal: host.signal,
    fetch: createApiFetch(host, apis, services),
    progress: (progress, total, message) => host.progress(progress, total, message),
    log: (message, fields) => host.log(message, fields),
    status: async () => describeLoginSession(host.loginSession(), host.clients(), services.clockNote?.()),
    signOut: () => host.signOut(),
  };
}
