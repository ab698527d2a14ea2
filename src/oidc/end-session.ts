import { buildEndSessionUrl } from "openid-client";
import type { AuthorizationServer } from "./authorization-server.ts";
import { openidConfiguration } from "./formed-request.ts";

/** Where the browser comes back to after the logout, and with what. */
export interface EndSessionRequest {
  readonly idToken: string | undefined;
  readonly postLogoutRedirectUri: string;
  readonly state?: string | undefined;
}

/**
 * Address to send the browser to for RP-Initiated Logout 1.0; undefined without an end-session endpoint, or while discovery
 * fails: the logout here is done either way. It holds the ID token as its hint: for the browser's redirect alone, never for a log.
 */
export async function endSessionUrl(server: AuthorizationServer, request: EndSessionRequest): Promise<string | undefined> {
  const looked = await server.look();
  if (looked.kind === "unavailable" || looked.metadata.endpoints.endSession === undefined) return undefined;
  return buildEndSessionUrl(openidConfiguration(server.settings, looked.metadata), {
    post_logout_redirect_uri: request.postLogoutRedirectUri,
    ...(request.idToken === undefined ? {} : { id_token_hint: request.idToken }),
    ...(request.state === undefined ? {} : { state: request.state }),
  }).href;
}
