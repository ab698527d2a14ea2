/** The endpoints that discovery gives and that settings can supply or override. */
export type EndpointName = "authorization" | "token" | "revocation" | "introspection" | "endSession" | "userinfo" | "jwks";

/** The names of OpenID Connect Core, section 9. */
export type ClientAuthenticationMethod = "none" | "client_secret_basic" | "client_secret_post";

/** One authorization server as the configuration describes it. The composition root maps the configuration to this. */
export interface AuthorizationServerSettings {
  /** Its name in the configuration; messages name settings by it. */
  readonly name: string;
  /** Compared character by character with the discovery document and with ID tokens. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret?: string | undefined;
  /** Undefined: `none` without a secret, else what discovery announces, basic first. */
  readonly clientAuthentication?: ClientAuthenticationMethod | undefined;
  /** What a login asks for. `openid` is added where it is missing. */
  readonly scopes: readonly string[];
  /** RFC 8707. */
  readonly resource?: string | undefined;
  /** Undefined: `consent` when the scopes have `offline_access`, else none. An empty string: none. */
  readonly prompt?: string | undefined;
  /** Override or supply what discovery lacks. */
  readonly endpoints?: { readonly [name in EndpointName]?: string | undefined } | undefined;
  readonly clockToleranceSeconds: number;
  /** For each request but a refresh, which brings its own limit. */
  readonly requestTimeoutSeconds: number;
  /** Added to the authorization request; a parameter of the protocol itself cannot be replaced by one. */
  readonly extraAuthorizationParameters?: Readonly<Record<string, string>> | undefined;
}
