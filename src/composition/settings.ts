import type { Config } from "../config/schema.ts";
import type { AuthorizationServerSettings } from "../oidc/settings.ts";
import type { AuthorizationServerPolicy, TokenPolicy } from "../token/ports.ts";
import type { ApiSettings } from "../tool/api.ts";

// The configuration, cut up into what each folder wants to know.

/** An API and the authorization server whose access tokens it takes. */
export interface BoundApi extends ApiSettings {
  readonly authorizationServer: string;
}

export function authorizationServerSettings(config: Config): readonly AuthorizationServerSettings[] {
  return Object.entries(config.authorizationServers).map(([name, server]) => ({
    ...server,
    name,
    resource: resourceOf(config, name),
    oneGrantPerUser: server.sharedGrant === "user",
  }));
}

export function authorizationServerPolicies(config: Config): readonly AuthorizationServerPolicy[] {
  return Object.entries(config.authorizationServers).map(([name, server]) => ({
    name,
    issuer: server.issuer,
    defaultTarget: { resource: resourceOf(config, name), scopes: [] },
    refreshTokenLifetimeSeconds: server.refreshTokenLifetimeSeconds,
    reuseLeewaySeconds: server.reuseLeewaySeconds,
    rotation: server.rotation,
    lostReply: server.lostReply,
    sharedGrant: server.sharedGrant === "revoke" ? "revoke" : "wait",
    introspection: server.introspection,
  }));
}

export function tokenPolicy(config: Config): TokenPolicy {
  return { ...config.session, timeoutSeconds: config.refresh.timeoutSeconds };
}

export function boundApis(config: Config): readonly BoundApi[] {
  return Object.entries(config.apis).map(([name, api]) => {
    const authorizationServer = api.authorizationServer ?? onlyServer(config);
    return { ...api, name, authorizationServer, resource: api.resource ?? resourceOf(config, authorizationServer) };
  });
}

/** The resource that a login asks for: the configured one, else that of the APIs if they agree on one. */
function resourceOf(config: Config, name: string): string | undefined {
  const configured = config.authorizationServers[name]?.resource;
  if (configured !== undefined) return configured;
  const apis = Object.values(config.apis).filter((api) => (api.authorizationServer ?? onlyServer(config)) === name);
  const resources = new Set(apis.map((api) => api.resource));
  const [only] = resources;
  return resources.size === 1 ? only : undefined;
}

/** With several authorization servers the configuration's check has made sure that each API names its own. */
function onlyServer(config: Config): string {
  return Object.keys(config.authorizationServers)[0] ?? "";
}
