import type { ClientMetadata } from "oidc-provider";

export const webClientId = "latchkey-demo";
export const nativeClientId = "latchkey-demo-cli";

/** What the authorization server has to know of the other parts of the demo. */
export interface Registration {
  /** Where logins may come back to. */
  readonly redirectUris?: readonly string[] | undefined;
  /** Where a browser may be sent to after the logout. */
  readonly postLogoutRedirectUris?: readonly string[] | undefined;
  /** The sample API's address: the audience of access tokens. Without one they are opaque, and good for userinfo alone. */
  readonly apiUrl?: string | undefined;
}

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";
const common = { response_types: ["code"], id_token_signed_response_alg: "ES256" } as const;
const grants = ["authorization_code", "refresh_token", deviceGrant];

/** The two clients of the demo: Latchkey's server, which has a secret, and its command line, which has none. */
export class DemoClients {
  readonly clientSecret: string;
  readonly #redirectUris = new Set<string>();
  readonly #postLogoutRedirectUris = new Set<string>();
  #apiUrl: string | undefined;

  constructor(clientSecret: string) {
    this.clientSecret = clientSecret;
  }

  get apiUrl(): string | undefined {
    return this.#apiUrl;
  }

  /** Adds redirect URIs to those known; the API's address replaces the one before. */
  register(registration: Registration): void {
    for (const uri of registration.redirectUris ?? []) this.#redirectUris.add(uri);
    for (const uri of registration.postLogoutRedirectUris ?? []) this.#postLogoutRedirectUris.add(uri);
    this.#apiUrl = registration.apiUrl ?? this.#apiUrl;
  }

  find(id: string): ClientMetadata | undefined {
    if (id === webClientId) {
      return {
        ...common,
        client_id: id,
        client_name: "Latchkey (demo)",
        client_secret: this.clientSecret,
        grant_types: grants,
        redirect_uris: [...this.#redirectUris],
        post_logout_redirect_uris: [...this.#postLogoutRedirectUris],
      };
    }
    if (id === nativeClientId) {
      return {
        ...common,
        client_id: id,
        client_name: "Latchkey command line (demo)",
        application_type: "native",
        token_endpoint_auth_method: "none",
        grant_types: grants,
        // Any port: RFC 8252, section 7.3.
        redirect_uris: ["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"],
      };
    }
    return undefined;
  }
}
