import { type Answer, jsonAnswer, redirectAnswer } from "./answer.ts";
import type { EndpointRequest, ServerState } from "./server-state.ts";
import { signingAlgorithms } from "./signing.ts";

export const deviceGrantType = "urn:ietf:params:oauth:grant-type:device_code";

/** Where things are, below the issuer's path. */
export const endpointPaths = {
  authorize: "/authorize",
  device_authorization: "/device-authorization",
  device: "/device",
  token: "/token",
  jwks: "/jwks",
  introspection: "/introspect",
  revocation: "/revoke",
  userinfo: "/userinfo",
  end_session: "/end-session",
  moved_discovery: "/moved/openid-configuration",
} as const;

/** The discovery document. `moved`: asked for at the address that the redirect leads to. */
export function discoveryEndpoint(state: ServerState, { plan }: EndpointRequest, moved: boolean): Answer {
  const issuer = state.issuer();
  if (plan.get("discovery_redirect") !== undefined && !moved) return redirectAnswer(`${issuer}${endpointPaths.moved_discovery}`);
  const methods = [...new Set(state.clients.map((client) => client.authentication?.method ?? "none"))];
  return jsonAnswer(200, {
    issuer,
    authorization_endpoint: `${issuer}${endpointPaths.authorize}`,
    device_authorization_endpoint: `${issuer}${endpointPaths.device_authorization}`,
    token_endpoint: `${issuer}${endpointPaths.token}`,
    jwks_uri: `${issuer}${endpointPaths.jwks}`,
    introspection_endpoint: `${issuer}${endpointPaths.introspection}`,
    ...(plan.get("revocation")?.says === "absent" ? {} : { revocation_endpoint: `${issuer}${endpointPaths.revocation}` }),
    userinfo_endpoint: `${issuer}${endpointPaths.userinfo}`,
    end_session_endpoint: `${issuer}${endpointPaths.end_session}`,
    response_types_supported: ["code"],
    grant_types_supported: ["authorization_code", "refresh_token", deviceGrantType],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: signingAlgorithms,
    token_endpoint_auth_methods_supported: methods,
    code_challenge_methods_supported: ["S256"],
    scopes_supported: ["openid", "profile", "offline_access"],
    authorization_response_iss_parameter_supported: true,
    ...plan.get("discovery_fields")?.fields,
  });
}
