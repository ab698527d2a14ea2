import { allowInsecureRequests, Configuration, customFetch } from "openid-client";
import { clientAuthentication } from "./client-authentication.ts";
import { isPlainHttp } from "./endpoint-address.ts";
import type { HttpRequest } from "./http-exchange.ts";
import { asServerMetadata, type Metadata } from "./metadata.ts";
import type { AuthorizationServerSettings } from "./settings.ts";

/** A request as openid-client forms it, client authentication included. It holds secrets. */
export type FormedRequest = Omit<HttpRequest, "timeoutMs">;

/** What openid-client made of a call. */
export type Forming =
  | { readonly kind: "formed"; readonly request: FormedRequest }
  /** openid-client found a reason not to ask. */
  | { readonly kind: "refused"; readonly thrown: unknown };

/** openid-client's view of an authorization server and its client. A new one for each use: cheap, and nothing is shared. */
export function openidConfiguration(settings: AuthorizationServerSettings, metadata: Metadata, serverTimeSeconds = 0): Configuration {
  const authenticate = clientAuthentication(settings, {
    announced: metadata.clientAuthenticationMethods,
    tokenEndpoint: metadata.endpoints.token,
    serverTimeSeconds,
  });
  const configuration = new Configuration(asServerMetadata(metadata), settings.clientId, undefined, authenticate);
  // Safe: every address was checked before it came into the metadata; plain http is loopback.
  if (Object.values(metadata.endpoints).some((address) => address !== undefined && isPlainHttp(address)))
    allowInsecureRequests(configuration);
  return configuration;
}

/**
 * Lets openid-client form the request of a call and takes the request before it is sent. The call never sees an answer:
 * its checks throw the rotated refresh token away when one of them fails, so the answer is read here, after it is kept.
 */
export async function formRequest(
  settings: AuthorizationServerSettings,
  metadata: Metadata,
  serverTimeSeconds: number,
  call: (configuration: Configuration) => Promise<unknown>,
): Promise<Forming> {
  const configuration = openidConfiguration(settings, metadata, serverTimeSeconds);
  let formed: FormedRequest | undefined;
  configuration[customFetch] = (url, { method, headers, body }) => {
    formed = {
      url,
      method: method === "GET" ? "GET" : "POST",
      headers,
      body: body === undefined || body === null ? undefined : String(body),
    };
    return Promise.reject(new Error("taken"));
  };
  try {
    await call(configuration);
  } catch (thrown) {
    if (formed === undefined) return { kind: "refused", thrown };
  }
  return formed === undefined ? { kind: "refused", thrown: undefined } : { kind: "formed", request: formed };
}
