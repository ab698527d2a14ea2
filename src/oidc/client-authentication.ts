import { type ClientAuth, ClientSecretPost, modifyAssertion, None, PrivateKeyJwt } from "openid-client";
import { readClientKey } from "./client-key.ts";
import type { AuthorizationServerSettings, ClientAuthenticationMethod } from "./settings.ts";

/** Each assertion is used once and at once. */
const assertionLifetimeSeconds = 60;

/** What a way of authenticating may depend on besides the settings. */
export interface AuthenticationSurroundings {
  /** `token_endpoint_auth_methods_supported`. */
  readonly announced: readonly string[] | undefined;
  readonly tokenEndpoint: string | undefined;
  /** What its clock shows, as far as that is known, in seconds since the epoch: assertions are dated by it, not by ours. */
  readonly serverTimeSeconds: number;
}

/**
 * How the client authenticates (RFC 6749, section 2.3): as configured; else with its key, if it has one; else not at all
 * without a secret; else basic, unless discovery announces methods, post among them and basic not.
 */
function clientAuthenticationMethod(
  settings: AuthorizationServerSettings,
  announced: readonly string[] | undefined,
): ClientAuthenticationMethod {
  if (settings.clientAuthentication !== undefined) return settings.clientAuthentication;
  if (settings.clientKey !== undefined) return "private_key_jwt";
  if (settings.clientSecret === undefined) return "none";
  const postOnly = announced?.includes("client_secret_post") === true && !announced.includes("client_secret_basic");
  return postOnly ? "client_secret_post" : "client_secret_basic";
}

/** The way of authenticating, for openid-client. */
export function clientAuthentication(settings: AuthorizationServerSettings, surroundings: AuthenticationSurroundings): ClientAuth {
  switch (clientAuthenticationMethod(settings, surroundings.announced)) {
    case "none":
      return None();
    case "client_secret_basic":
      return basic(settings);
    case "client_secret_post":
      return ClientSecretPost(settings.clientSecret ?? "");
    case "private_key_jwt":
      return privateKeyJwt(settings, surroundings);
  }
}

/**
 * openid-client's own basic also encodes "-", "_" and "." (its right by RFC 6749, section 2.3.1), which servers that do not
 * decode take for another client. This is the form encoding of the URL standard: those stay, and most ids and secrets are
 * the same for both kinds of server.
 */
function basic({ clientSecret = "", clientSecretEncoding }: AuthorizationServerSettings): ClientAuth {
  const encode = clientSecretEncoding === "raw" ? (text: string) => text : formEncoded;
  return (_server, client, _body, headers) => {
    const credentials = Buffer.from(`${encode(client.client_id)}:${encode(clientSecret)}`, "utf8");
    headers.set("authorization", `Basic ${credentials.toString("base64")}`);
  };
}

function formEncoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

/** RFC 7523, section 2.2. */
function privateKeyJwt(settings: AuthorizationServerSettings, surroundings: AuthenticationSurroundings): ClientAuth {
  const read = readClientKey(settings.clientKey ?? "", settings.clientKeyId);
  // Checked at the start, so it cannot happen; without a key the server says what it thinks of the client.
  if (read.kind === "unusable") return None();
  return PrivateKeyJwt(
    { key: read.key, ...(read.keyId === undefined ? {} : { kid: read.keyId }) },
    {
      [modifyAssertion]: (_header, payload) => {
        const { tokenEndpoint, serverTimeSeconds } = surroundings;
        const now = Math.floor(serverTimeSeconds);
        Object.assign(payload, { iat: now, nbf: now, exp: now + assertionLifetimeSeconds });
        if (settings.clientAssertionAudience === "token_endpoint" && tokenEndpoint !== undefined) payload.aud = tokenEndpoint;
      },
    },
  );
}
