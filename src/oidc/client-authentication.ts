import { type ClientAuth, ClientSecretBasic, ClientSecretPost, None } from "openid-client";
import type { AuthorizationServerSettings, ClientAuthenticationMethod } from "./settings.ts";

/**
 * How the client authenticates (RFC 6749, section 2.3): as configured; else not at all without a secret; else basic, unless
 * discovery announces methods, post among them and basic not.
 */
function clientAuthenticationMethod(
  settings: AuthorizationServerSettings,
  announced: readonly string[] | undefined,
): ClientAuthenticationMethod {
  if (settings.clientAuthentication !== undefined) return settings.clientAuthentication;
  if (settings.clientSecret === undefined) return "none";
  const postOnly = announced?.includes("client_secret_post") === true && !announced.includes("client_secret_basic");
  return postOnly ? "client_secret_post" : "client_secret_basic";
}

/** The way of authenticating, for openid-client. Basic percent-encodes id and secret first, as RFC 6749, section 2.3.1 demands. */
export function clientAuthentication(settings: AuthorizationServerSettings, announced: readonly string[] | undefined): ClientAuth {
  switch (clientAuthenticationMethod(settings, announced)) {
    case "none":
      return None();
    case "client_secret_basic":
      return ClientSecretBasic(settings.clientSecret ?? "");
    case "client_secret_post":
      return ClientSecretPost(settings.clientSecret ?? "");
  }
}
