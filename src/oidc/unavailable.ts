import { LatchkeyError } from "../errors.ts";
import type { AuthorizationServerSettings } from "./settings.ts";

/** What is known of a failed request to an authorization server. `problem` is a clause for people, without a secret. */
export interface Failure {
  readonly problem: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

/** LatchkeyError `authorization_server_unavailable`, retryable; its message names the issuer and the concrete problem. */
export function unavailable(settings: Pick<AuthorizationServerSettings, "issuer">, failure: Failure): LatchkeyError {
  const wait = failure.retryAfterSeconds;
  return new LatchkeyError(
    "authorization_server_unavailable",
    `The authorization server ${settings.issuer} cannot be used now: ${failure.problem}. Try again ${wait === undefined ? "in a moment" : `in ${wait} s`}.`,
    { retryable: true, ...(wait === undefined ? {} : { retryAfterSeconds: wait }), cause: failure.cause },
  );
}

/** Where a setting of this authorization server stands in the configuration. */
export function settingPath(settings: Pick<AuthorizationServerSettings, "name">, setting: string): string {
  return `authorizationServers.${settings.name}.${setting}`;
}
