import { buildAuthorizationUrl, calculatePKCECodeChallenge, randomNonce, randomPKCECodeVerifier, randomState } from "openid-client";
import type { AuthorizationServer } from "./authorization-server.ts";
import { openidConfiguration } from "./formed-request.ts";
import { findEndpoint } from "./metadata.ts";
import type { AuthorizationServerSettings } from "./settings.ts";

/** What one login asks for beyond the settings. */
export interface LoginRequest {
  readonly redirectUri: string;
  /** Added to the configured one. */
  readonly prompt?: string | undefined;
  readonly loginHint?: string | undefined;
}

/** A login that begins: where to send the browser, and what to keep until it comes back. All but the url is secret. */
export interface BegunLogin {
  readonly url: string;
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/**
 * Builds an authorization request: code flow with PKCE S256 (RFC 7636), state and nonce. Throws LatchkeyError
 * `authorization_server_unavailable`.
 */
export async function beginLogin(server: AuthorizationServer, request: LoginRequest): Promise<BegunLogin> {
  const { settings } = server;
  const metadata = await server.mustLook();
  const endpoint = findEndpoint(settings, metadata, "authorization");
  if (endpoint.kind === "missing") throw server.unavailable(endpoint);
  const [state, nonce, codeVerifier] = [randomState(), randomNonce(), randomPKCECodeVerifier()];
  const prompt = promptOf(settings, request.prompt);
  // Ours come last: an extra parameter must not replace state or challenge.
  const parameters: Record<string, string> = {
    ...settings.extraAuthorizationParameters,
    ...(settings.resource === undefined || settings.resourceParameter === "never" ? {} : { resource: settings.resource }),
    ...(request.loginHint === undefined ? {} : { login_hint: request.loginHint }),
    ...(prompt === undefined ? {} : { prompt }),
    client_id: settings.clientId,
    response_type: "code",
    redirect_uri: new URL(request.redirectUri).href,
    scope: scopeOf(settings),
    state,
    nonce,
    code_challenge: await calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: "S256",
  };
  const url = buildAuthorizationUrl(openidConfiguration(settings, metadata), parameters);
  return { url: url.href, state, nonce, codeVerifier };
}

/** The scopes of a login, `openid` among them. */
export function scopeOf({ scopes }: AuthorizationServerSettings): string {
  return [...new Set(scopes.includes("openid") ? scopes : ["openid", ...scopes])].join(" ");
}

/** Many servers drop `offline_access` silently unless consent is asked for (OIDC Core 11), so it stays in with whatever else is asked for. */
function promptOf(settings: AuthorizationServerSettings, asked: string | undefined): string | undefined {
  const configured = settings.prompt ?? (settings.scopes.includes("offline_access") ? "consent" : "");
  const words = new Set(`${asked ?? ""} ${configured}`.split(" ").filter((word) => word !== ""));
  // OIDC Core 3.1.2.1: none goes with nothing else.
  if (asked === "none") return "none";
  return words.size === 0 ? undefined : [...words].join(" ");
}
