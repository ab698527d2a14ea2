/** The endpoints that discovery gives and that settings can supply or override. */
export type EndpointName =
  | "authorization"
  | "deviceAuthorization"
  | "token"
  | "revocation"
  | "introspection"
  | "endSession"
  | "userinfo"
  | "jwks";

/** The names of OpenID Connect Core, section 9. */
export type ClientAuthenticationMethod = "none" | "client_secret_basic" | "client_secret_post" | "private_key_jwt";

/** One authorization server as the configuration describes it. The composition root maps the configuration to this. */
export interface AuthorizationServerSettings {
  /** Its name in the configuration; messages name settings by it. */
  readonly name: string;
  /** Compared character by character with the discovery document and with ID tokens. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret?: string | undefined;
  /** Undefined: `private_key_jwt` with a key, `none` without a secret, else what discovery announces, basic first. */
  readonly clientAuthentication?: ClientAuthenticationMethod | undefined;
  /** For basic (RFC 6749, section 2.3.1). Undefined: form. */
  readonly clientSecretEncoding?: "form" | "raw" | undefined;
  /** The private key of `private_key_jwt`: PEM or JWK, as text. */
  readonly clientKey?: string | undefined;
  readonly clientKeyId?: string | undefined;
  /** Whom an assertion is for (RFC 7523, section 3). Undefined: the issuer. */
  readonly clientAssertionAudience?: "issuer" | "token_endpoint" | undefined;
  /** What a login asks for. `openid` is added where it is missing. */
  readonly scopes: readonly string[];
  /** RFC 8707. */
  readonly resource?: string | undefined;
  /** Where `resource` is sent: everywhere (undefined as well), at the login alone, or nowhere. */
  readonly resourceParameter?: "always" | "login" | "never" | undefined;
  /** Whether a refresh names scopes when somebody wants fewer than all. Undefined: it does. */
  readonly refreshScope?: "send" | "omit" | undefined;
  /** All logins of a user at this client are one grant there: revoking one ends them all. Undefined: no. */
  readonly oneGrantPerUser?: boolean | undefined;
  /** Error codes that mean what `invalid_grant` means, besides it. */
  readonly deadGrantCodes?: readonly string[] | undefined;
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
