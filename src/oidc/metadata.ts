import type { ServerMetadata } from "openid-client";
import { addressProblem } from "./endpoint-address.ts";
import { nonEmptyString } from "./json.ts";
import type { AuthorizationServerSettings, EndpointName } from "./settings.ts";
import { settingPath } from "./unavailable.ts";

/** What is known of an authorization server: discovery (OpenID Connect Discovery 1.0, RFC 8414), with the settings above it. */
export interface Metadata {
  readonly issuer: string;
  readonly endpoints: { readonly [name in EndpointName]?: string | undefined };
  /** Endpoints that the discovery document names and that cannot be used, with the reason. */
  readonly badEndpoints: { readonly [name in EndpointName]?: string | undefined };
  readonly clientAuthenticationMethods: readonly string[] | undefined;
  readonly idTokenAlgorithms: readonly string[] | undefined;
  /** RFC 9207: the redirect back carries `iss`. */
  readonly sendsIssuerParameter: boolean;
}

/** An endpoint, or the problem with it, which names the setting that supplies it. */
export type Endpoint = { readonly kind: "known"; readonly address: string } | { readonly kind: "missing"; readonly problem: string };

/** The members of a discovery document, by our names. */
const members: Readonly<Record<EndpointName, string>> = {
  authorization: "authorization_endpoint",
  deviceAuthorization: "device_authorization_endpoint",
  token: "token_endpoint",
  revocation: "revocation_endpoint",
  introspection: "introspection_endpoint",
  endSession: "end_session_endpoint",
  userinfo: "userinfo_endpoint",
  jwks: "jwks_uri",
};
const names: readonly EndpointName[] = [
  "authorization",
  "deviceAuthorization",
  "token",
  "revocation",
  "introspection",
  "endSession",
  "userinfo",
  "jwks",
];

/** Reads a discovery document as loosely as it can be: anything but the issuer may be absent, and settings go before it. */
export function readMetadata(settings: AuthorizationServerSettings, document: Readonly<Record<string, unknown>>): Metadata {
  const endpoints: { [name in EndpointName]?: string } = {};
  const badEndpoints: { [name in EndpointName]?: string } = {};
  for (const name of names) {
    const address = settings.endpoints?.[name] ?? nonEmptyString(document[members[name]]);
    if (address === undefined) continue;
    const problem = addressProblem(address);
    if (problem === undefined) endpoints[name] = address;
    else badEndpoints[name] = problem;
  }
  return {
    issuer: settings.issuer,
    endpoints,
    badEndpoints,
    clientAuthenticationMethods: strings(document.token_endpoint_auth_methods_supported),
    idTokenAlgorithms: strings(document.id_token_signing_alg_values_supported),
    sendsIssuerParameter: document.authorization_response_iss_parameter_supported === true,
  };
}

/** Looks an endpoint up; a missing one comes with the words that help. */
export function findEndpoint(settings: AuthorizationServerSettings, metadata: Metadata, name: EndpointName): Endpoint {
  const address = metadata.endpoints[name];
  if (address !== undefined) return { kind: "known", address };
  const bad = metadata.badEndpoints[name];
  const setting = settingPath(settings, `endpoints.${name}`);
  return {
    kind: "missing",
    problem:
      bad === undefined
        ? `its discovery document has no ${members[name]}; set ${setting}`
        : `the ${members[name]} of its discovery document ${bad}; set ${setting}`,
  };
}

/** The metadata in the form that openid-client takes. */
export function asServerMetadata(metadata: Metadata): ServerMetadata {
  const endpoints = Object.fromEntries(
    names.flatMap((name) => (metadata.endpoints[name] === undefined ? [] : [[members[name], metadata.endpoints[name]]])),
  );
  return { ...endpoints, issuer: metadata.issuer, authorization_response_iss_parameter_supported: metadata.sendsIssuerParameter };
}

function strings(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : undefined;
}
