import type { AdapterFactory, Configuration, errors, JWK } from "oidc-provider";
import type { DemoClients } from "./demo-clients.ts";
import { loginPath } from "./login-form.ts";
import { providerPages } from "./provider-pages.ts";
import { checkUserName, claimsOf } from "./users.ts";

export interface ProviderSettings {
  readonly adapter: AdapterFactory;
  readonly keys: readonly JWK[];
  readonly clients: DemoClients;
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
  /** Told apart from those of other servers on this host: cookies ignore ports. */
  readonly cookiePrefix: string;
  readonly invalidTarget: () => errors.OIDCProviderError;
}

/** What an access token for the sample API may carry; asked for and granted as they are. */
const apiScopes = "openid profile email offline_access notes";
const minute = 60;
const year = 365 * 24 * 60 * minute;

/**
 * oidc-provider set up as a strict authorization server (RFC 9700): PKCE, rotation at each refresh, one grant and one
 * `sid` per login. Every hook whose default prints a notice to stdout is given.
 */
export function providerConfiguration(settings: ProviderSettings): Configuration {
  const { clients } = settings;
  return {
    adapter: settings.adapter,
    jwks: { keys: settings.keys },
    scopes: ["openid", "offline_access", "profile", "email"],
    claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
    responseTypes: ["code"],
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "none"],
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    cookies: {
      names: {
        session: `${settings.cookiePrefix}_session`,
        interaction: `${settings.cookiePrefix}_interaction`,
        resume: `${settings.cookiePrefix}_resume`,
      },
    },
    clientBasedCORS: () => false,
    findAccount: (_context, id) => {
      if (checkUserName(id).kind === "rejected") return undefined;
      return { accountId: id, claims: () => ({ ...claimsOf(id) }) };
    },
    interactions: { url: (_context, interaction) => `${loginPath}${interaction.uid}` },
    // Never the grant of an earlier login: revoking one would end the other.
    loadExistingGrant: async (context) => {
      const grantId = context.oidc.result?.consent?.grantId;
      return grantId === undefined ? undefined : context.oidc.provider.Grant.find(grantId);
    },
    expiresWithSession: (context, source) => {
      // oidc-provider names the session only for clients with back-channel logout; ours are told in any case. This is
      // the last hook before the code is stored.
      const { session, client } = context.oidc;
      if (session !== undefined && client !== undefined) source.sid = session.sidFor(client.clientId);
      return false;
    },
    // With and without offline_access: MCP clients do not ask for it.
    issueRefreshToken: (_context, client) => client.grantTypeAllowed("refresh_token"),
    rotateRefreshToken: () => true,
    renderError: providerPages.failed,
    ttl: {
      AccessToken: settings.accessTokenSeconds,
      RefreshToken: settings.refreshTokenSeconds,
      AuthorizationCode: minute,
      DeviceCode: 10 * minute,
      IdToken: 60 * minute,
      Interaction: 60 * minute,
      // The records drop grants and sessions with the last token of their login; this only has to be longer.
      Grant: 10 * year,
      Session: year,
      ClientCredentials: minute,
    },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      userinfo: { enabled: true },
      revocation: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
      introspection: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: { enabled: true, logoutSource: providerPages.askLogout, postLogoutSuccessSource: providerPages.loggedOut },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: providerPages.askDeviceCode,
        userCodeConfirmSource: providerPages.confirmDeviceCode,
        successSource: providerPages.deviceConnected,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context, _client, oneOf) => oneOf ?? clients.apiUrl ?? [],
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, indicator) => {
          if (clients.apiUrl === undefined || !sameAddress(indicator, clients.apiUrl)) throw settings.invalidTarget();
          return {
            scope: apiScopes,
            audience: clients.apiUrl,
            accessTokenTTL: settings.accessTokenSeconds,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: "ES256" } },
          };
        },
      },
    },
  };
}

function sameAddress(one: string, other: string): boolean {
  return URL.parse(one)?.href === URL.parse(other)?.href;
}
