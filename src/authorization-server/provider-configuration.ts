import type { AdapterFactory, Configuration, ErrorOut, errors, interactionPolicy, JWK, KoaContextWithOIDC } from "oidc-provider";
import { normalizeClientMetadata } from "./client-metadata.ts";
import { metadataDocumentBytes, type ProviderFetch } from "./metadata-document-fetch.ts";
import { mcpScope, type Resources } from "./resources.ts";
import { signingAlgorithm } from "./signing-keys.ts";

/** Where the consent page lives; what follows is the name of the authorization request. */
const consentPath = "/oauth/consent/";

/** The paths of the endpoints. */
export const endpoints = {
  authorization: "/oauth/authorize",
  token: "/oauth/token",
  registration: "/oauth/register",
  revocation: "/oauth/revoke",
  jwks: "/oauth/jwks",
  metadata: "/.well-known/oauth-authorization-server",
} as const;

export interface Lifetimes {
  readonly accessTokenSeconds: number;
  /** Counted from the last rotation. */
  readonly refreshTokenSeconds: number;
}

export interface ProviderSettings {
  readonly adapter: AdapterFactory;
  readonly key: JWK;
  readonly resources: Resources;
  readonly lifetimes: Lifetimes;
  readonly policy: readonly interactionPolicy.Prompt[];
  /** Told apart from those of other servers on this host: cookies ignore ports. */
  readonly cookieName: (purpose: "session" | "interaction" | "resume") => string;
  readonly fetch: ProviderFetch;
  readonly mayFetch: () => boolean;
  /** Whether the login session of this handle can be used. */
  readonly isUsable: (handle: string) => Promise<boolean>;
  readonly invalidTarget: () => errors.OIDCProviderError;
  readonly invalidMetadata: (description: string) => errors.OIDCProviderError;
  readonly renderError: (context: KoaContextWithOIDC, out: ErrorOut) => void;
}

/** How long a user may take to consent and sign in. */
export const interactionSeconds = 15 * 60;

/**
 * oidc-provider set up as the authorization server of MCP clients (RFC 9700): authorization code with PKCE, rotation at
 * each refresh, JWT access tokens (RFC 9068). Every hook whose default prints a notice is given.
 */
export function providerConfiguration(settings: ProviderSettings): Configuration {
  const { resources, lifetimes } = settings;
  const { metadata: _metadata, ...routes } = endpoints;
  return {
    adapter: settings.adapter,
    jwks: { keys: [settings.key] },
    routes,
    scopes: [mcpScope],
    claims: {},
    responseTypes: ["code"],
    subjectTypes: ["public"],
    clientAuthMethods: ["none", "client_secret_basic", "client_secret_post"],
    clientDefaults: { id_token_signed_response_alg: signingAlgorithm },
    extraClientMetadata: {
      properties: ["latchkey"],
      validator: (_context, _key, _value, metadata) => normalizeClientMetadata(metadata, settings.invalidMetadata),
    },
    pkce: { required: () => true },
    cookies: {
      names: {
        session: settings.cookieName("session"),
        interaction: settings.cookieName("interaction"),
        resume: settings.cookieName("resume"),
      },
    },
    // Foreign pages are looked after before a request gets here.
    clientBasedCORS: () => false,
    fetch: (url, options) => settings.fetch(String(url), options ?? {}),
    fetchResponseBodyLimits: { "client_id metadata document": metadataDocumentBytes },
    // A grant is of one login session, and its account is that login session.
    findAccount: async (_context, handle) =>
      (await settings.isUsable(handle)) ? { accountId: handle, claims: () => ({ sub: handle }) } : undefined,
    interactions: { url: (_context, interaction) => `${consentPath}${interaction.uid}`, policy: [...settings.policy] },
    loadExistingGrant: async (context) => {
      const grantId = context.oidc.result?.consent?.grantId;
      return grantId === undefined ? undefined : context.oidc.provider.Grant.find(grantId);
    },
    expiresWithSession: () => false,
    // MCP clients do not ask for offline_access.
    issueRefreshToken: (_context, client) => client.grantTypeAllowed("refresh_token"),
    rotateRefreshToken: () => true,
    revokeGrantPolicy: () => true,
    renderError: settings.renderError,
    ttl: {
      AccessToken: lifetimes.accessTokenSeconds,
      RefreshToken: lifetimes.refreshTokenSeconds,
      AuthorizationCode: 60,
      Grant: lifetimes.refreshTokenSeconds,
      Interaction: interactionSeconds,
      Session: interactionSeconds,
      IdToken: 60,
    },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      registration: { enabled: true, initialAccessToken: false, issueRegistrationAccessToken: false },
      clientIdMetadataDocument: { enabled: true, ack: "draft-02", allowFetch: () => settings.mayFetch(), allowClient: () => true },
      revocation: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context, _client, oneOf) => oneOf?.[0] ?? resources.usual,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, indicator) => {
          const audience = resources.find(indicator);
          if (audience === undefined) throw settings.invalidTarget();
          return {
            scope: mcpScope,
            audience,
            accessTokenTTL: lifetimes.accessTokenSeconds,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: signingAlgorithm } },
          };
        },
      },
    },
  };
}
