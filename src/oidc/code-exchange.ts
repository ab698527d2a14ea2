import { AuthorizationResponseError, authorizationCodeGrant } from "openid-client";
import type { RawReply } from "../token/ports.ts";
import { AnswerFault } from "./answer-fault.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { readErrorReply } from "./error-reply.ts";
import type { FormedRequest } from "./formed-request.ts";
import type { HttpAnswer } from "./http-exchange.ts";
import { loginFailed, refusedByRedirect, signInAgain } from "./login-refusal.ts";
import { findEndpoint, type Metadata } from "./metadata.ts";
import { retryAfterSeconds } from "./retry-after.ts";

/** What came back with the browser, and what was kept when the login began. */
export interface LoginCallback {
  /** As the browser called it. */
  readonly callbackUrl: URL;
  readonly redirectUri: string;
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/**
 * Checks the redirect back (state, `iss` of RFC 9207) and changes the code for tokens (RFC 6749, section 4.1.3). Gives
 * the answer as it came. Throws LatchkeyError `login_failed` or `authorization_server_unavailable`.
 */
export async function exchangeCode(server: AuthorizationServer, callback: LoginCallback): Promise<RawReply> {
  const metadata = await server.mustLook();
  const endpoint = findEndpoint(server.settings, metadata, "token");
  if (endpoint.kind === "missing") throw server.unavailable(endpoint);
  const request = await formExchange(server, metadata, callback);
  const exchange = await server.send({ ...request, timeoutMs: server.requestTimeoutMs });
  if (exchange.kind !== "answered") throw server.unavailable({ problem: exchange.fault.message, cause: exchange.fault });
  // Some servers send their errors with 200.
  if (exchange.status !== 200 || readErrorReply(exchange).code !== undefined) throw exchangeRefused(server, exchange);
  if (exchange.bodyFault !== undefined) throw server.unavailable({ problem: exchange.bodyFault.message, cause: exchange.bodyFault });
  return { sentAt: exchange.sentAt, receivedAt: exchange.receivedAt, body: exchange.body };
}

async function formExchange(server: AuthorizationServer, metadata: Metadata, callback: LoginCallback): Promise<FormedRequest> {
  const { settings } = server;
  // The address that the authorization server knows: behind a proxy the browser may have called another one.
  const returned = new URL(callback.redirectUri);
  returned.search = callback.callbackUrl.search;
  const { resource } = settings;
  const parameters: Record<string, string> = resource === undefined || settings.resourceParameter === "never" ? {} : { resource };
  const forming = await server.form(metadata, (configuration) =>
    authorizationCodeGrant(configuration, returned, { expectedState: callback.state, pkceCodeVerifier: callback.codeVerifier }, parameters),
  );
  if (forming.kind === "formed") return forming.request;
  if (forming.thrown instanceof AuthorizationResponseError) throw refusedByRedirect(settings, returned.searchParams);
  throw loginFailed(callbackProblem(server, metadata, returned.searchParams, callback.state), signInAgain);
}

/** Why openid-client refused the redirect. Its own error holds the code, so it is neither shown nor kept. */
function callbackProblem(server: AuthorizationServer, metadata: Metadata, parameters: URLSearchParams, state: string): string {
  const { issuer } = server.settings;
  const sent = parameters.get("iss");
  if (parameters.get("state") !== state) return "The browser came back with a state that does not belong to this sign-in";
  if (sent === null && metadata.sendsIssuerParameter)
    return `The browser came back without the iss parameter that ${issuer} announces (RFC 9207)`;
  if (sent !== null && sent !== issuer) return `The browser was sent back by another authorization server than ${issuer} (iss parameter)`;
  if (!parameters.has("code")) return "The browser came back without an authorization code";
  return "The browser came back with parameters that do not make sense together";
}

function exchangeRefused(server: AuthorizationServer, answer: HttpAnswer): Error {
  const { settings } = server;
  const { code } = readErrorReply(answer);
  const cause = new AnswerFault("the token endpoint", answer, code);
  if (answer.status >= 500 || answer.status === 408 || answer.status === 429)
    return server.unavailable({ problem: cause.message, retryAfterSeconds: retryAfterSeconds(answer.headers, answer.receivedAt), cause });
  if (code === "invalid_grant")
    return loginFailed(`${settings.issuer} does not accept the authorization code: it has expired or was used before`, signInAgain, cause);
  if (code === "invalid_client" || code === "unauthorized_client" || answer.status === 401)
    return loginFailed(
      `${settings.issuer} does not accept this client (${code ?? answer.status})`,
      `Check clientId, clientSecret (or clientKey) and clientAuthentication of authorizationServers.${settings.name}.`,
      cause,
    );
  return loginFailed(
    `${settings.issuer} refused the sign-in (${code ?? answer.status})`,
    "Sign in again; if it stays so, look at its log.",
    cause,
  );
}
