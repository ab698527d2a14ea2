import { readFileSync } from "node:fs";
import { McpAuthorizationServer } from "../authorization-server/mcp-authorization-server.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { htmlDocument } from "../http/html-page.ts";
import { type Listener, listen } from "../http/listen.ts";
import { createWebApp } from "../http/web-server.ts";
import type { DemoControls } from "../http/web-services.ts";
import type { Logger } from "../logger.ts";
import { BearerAuthenticator, ConnectionKeyAuthenticator } from "../session/authenticator.ts";
import { BackchannelLogout } from "../token/backchannel-logout.ts";
import type { Tool } from "../tool/tool.ts";
import { createClientAddress } from "../transport/client-address.ts";
import { createHostCheck } from "../transport/host-check.ts";
import { McpHttp } from "../transport/http-mcp.ts";
import { type Core, composeCore } from "./core.ts";
import { type OpenedStore, openStore } from "./open-store.ts";

export interface HttpServerOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  /** See `CoreOptions.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly tools?: readonly Tool[] | undefined;
  readonly demo?: DemoControls | undefined;
  /** A listener that is open already; default: one is opened as `config.server` says. */
  readonly listener?: Listener | undefined;
}

/** A server that accepts requests. */
export interface HttpServer {
  /** The origin that users and clients know. */
  readonly publicUrl: string;
  readonly core: Core;
  /** Takes nothing new, lets running calls and refreshes finish, then closes. Twice does the same once. */
  close(): Promise<void>;
}

/** How long running calls, and then running refreshes, may take when the server closes. */
export const drainSeconds = 10;
const closeGraceMs = 1_000;

/** Opens the listener of the configuration. Throws LatchkeyError `configuration_invalid` when the address cannot be had. */
export function openListener(config: Config, clock: Clock): Promise<Listener> {
  const { host, port, tls } = config.server;
  const files = tls === undefined ? undefined : { cert: readFileSync(tls.certificateFile), key: readFileSync(tls.keyFile) };
  return listen({ host, port, clock, tls: files });
}

/** Starts the web server with everything behind it. Throws LatchkeyError `configuration_invalid`. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { config, clock } = options;
  const listener = options.listener ?? (await openListener(config, clock));
  const publicUrl = config.server.publicUrl ?? listener.url;
  let opened: OpenedStore | undefined;
  try {
    opened = await openStore(config, options);
    const shared = { ...options, clock: opened.clock ?? clock };
    const core = composeCore({
      ...shared,
      opened,
      loginLink: (repair) => (repair === undefined ? `${publicUrl}/login` : `${publicUrl}/login?repair=${repair}`),
    });
    await core.ready;
    return serve(shared, listener, publicUrl, core);
  } catch (error) {
    await opened?.store.close();
    await listener.close(0);
    throw error;
  }
}

function serve(options: HttpServerOptions, listener: Listener, publicUrl: string, core: Core): HttpServer {
  const { config, clock, logger, demo } = options;
  const { audit, sessions, registry, store, logins, imports, logout, authorizationServers } = core;
  const closing = new AbortController();
  const hostCheck = createHostCheck({ publicUrl, allowedHosts: [], corsOrigins: config.server.corsOrigins });
  const clientAuthorization = new McpAuthorizationServer({
    publicUrl,
    records: store.authorizationServerRecords,
    usedIds: store.usedIds,
    sessions,
    logins,
    logout,
    lifetimes: { accessTokenSeconds: config.server.clientAccessTokenSeconds, refreshTokenSeconds: config.session.idleLimitSeconds },
    clock,
    logger,
    audit,
    errorPage: (problem, code) =>
      htmlDocument({ title: "This did not work", text: [problem, `Error code: ${code}.`, "Begin again in the application."], links: [] }),
  });
  const clientAddress = createClientAddress(config.server.trustedProxies);
  const mcp = new McpHttp({
    registry,
    authenticator: new BearerAuthenticator(clientAuthorization.authenticator, new ConnectionKeyAuthenticator(store.connectionKeys, clock)),
    loginSessions: sessions,
    checkHost: hostCheck,
    clientAddress,
    clock,
    logger,
    audit,
    modern: {
      servers: core.servers,
      maxExchanges: config.limits.maxConnections,
      maxExchangesPerLoginSession: config.limits.maxConnectionsPerLogin,
    },
    settings: { maxBodyBytes: config.limits.bodyBytes, drainSeconds, challenge: (path) => clientAuthorization.challenge(path) },
  });
  const servers = Object.entries(config.authorizationServers).map(([name, { issuer }]) => ({ name, issuer }));
  const app = createWebApp({
    settings: { publicUrl, authorizationServers: servers, importSecret: config.import?.secret, keysPerLogin: config.limits.keysPerLogin },
    services: {
      clock,
      logger,
      audit,
      sessions,
      store,
      logins,
      imports,
      logout,
      backchannelLogout: new BackchannelLogout({ tokens: authorizationServers, sessions, logout, usedIds: store.usedIds, clock, audit }),
      loginServers: authorizationServers,
      clientAuthorization,
      connectionsOf: (id) => registry.countByLoginSession(id),
      closeConnectionsOfKey: (id, keyId) => registry.closeByKey(id, keyId),
      mcp,
      hostCheck,
      clientAddress,
      closing: closing.signal,
      demo,
    },
  });
  listener.serve(app);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    void core.heartbeat.stop();
    closing.abort();
    clientAuthorization.close();
    // New connections are refused from here on, while what runs comes to its end.
    const listenerClosed = listener.close(drainSeconds * 1000 + closeGraceMs);
    await mcp.close();
    const [{ cut }] = await Promise.all([listenerClosed, core.close(drainSeconds * 1000)]);
    if (cut) logger.warn("requests cut off at the end", { drainSeconds });
  };
  return {
    publicUrl,
    core,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}
