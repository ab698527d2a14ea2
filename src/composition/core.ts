import { type Audit, loggingAudit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import { presetByIssuer } from "../config/presets.ts";
import type { Config } from "../config/schema.ts";
import { Heartbeat } from "../heartbeat/heartbeat.ts";
import { ReplicaPresence } from "../heartbeat/replica-presence.ts";
import type { Logger } from "../logger.ts";
import { createServerFactory, type ServerFactory } from "../mcp/server-factory.ts";
import { AuthorizationServers } from "../oidc/authorization-servers.ts";
import type { LoginSessionHandle } from "../session/login-session.ts";
import { LoginSessions } from "../session/login-sessions.ts";
import { randomSecret } from "../session/random.ts";
import type { Store } from "../session/store.ts";
import { deadLoginError } from "../token/acquire-error.ts";
import { Imports } from "../token/imports.ts";
import { Issuers } from "../token/issuers.ts";
import { JournalReplay } from "../token/journal-replay.ts";
import { LoginSessionLocks } from "../token/login-session-locks.ts";
import { Logins } from "../token/logins.ts";
import { Logout } from "../token/logout.ts";
import { Maintenance } from "../token/maintenance.ts";
import { RefreshFlights } from "../token/refresh-flights.ts";
import { RevocationDebts } from "../token/revocation-debts.ts";
import type { TokenCore } from "../token/token-core.ts";
import { TokenService } from "../token/token-service.ts";
import { UnheldTokens } from "../token/unheld-tokens.ts";
import { createHttpTool } from "../tool/http-tool.ts";
import { sessionTools } from "../tool/session-tools.ts";
import type { Tool, ToolTable } from "../tool/tool.ts";
import { createToolContext } from "../tool/tool-context.ts";
import { createToolTable } from "../tool/tool-table.ts";
import { ConnectionRegistry } from "../transport/connection-registry.ts";
import type { OpenedStore } from "./open-store.ts";
import { authorizationServerPolicies, authorizationServerSettings, boundApis, tokenPolicy } from "./settings.ts";
import { latchkeyVersion } from "./version.ts";

export interface CoreOptions {
  readonly config: Config;
  /** It is closed with the core. */
  readonly opened: OpenedStore;
  /** The one that all who share the store go by. */
  readonly clock: Clock;
  readonly logger: Logger;
  /** The environment, for its proxies (HTTPS_PROXY, NO_PROXY). Default: none. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Tools from code, besides those of the configuration. */
  readonly tools?: readonly Tool[] | undefined;
  /** Where a user signs in, to repair this login session or, without a handle, for a new one; undefined: nowhere. */
  readonly loginLink: (repair: LoginSessionHandle | undefined) => string | undefined;
}

/** How many login sessions the heartbeat looks after at one time; each issuer's gate lets fewer through. */
const heartbeatConcurrency = 256;
/** Short: whoever finds an authorization server crowded leaves, and comes back after it. */
const heartbeatLeaseMs = 5_000;

/** All of Latchkey but its wires: login sessions, token service, heartbeat, tools, and the servers of connections. */
export interface Core {
  readonly store: Store;
  readonly sessions: LoginSessions;
  readonly authorizationServers: AuthorizationServers;
  readonly tokens: TokenService;
  readonly logins: Logins;
  readonly imports: Imports;
  readonly logout: Logout;
  readonly registry: ConnectionRegistry;
  readonly servers: ServerFactory;
  readonly audit: Audit;
  readonly tools: ToolTable;
  readonly heartbeat: Heartbeat;
  /** Resolves when nothing that an earlier process left behind stands in the way: then it may be used. It never rejects. */
  readonly ready: Promise<void>;
  /** Lets what is under way come to its end, at most `limitMs`. Call it after the wires are closed. */
  close(limitMs: number): Promise<void>;
}

/** Throws LatchkeyError `configuration_invalid` when tools cannot be made or share a name. Nothing is started but the heartbeat. */
export function composeCore(options: CoreOptions): Core {
  const { config, clock, logger } = options;
  const audit = loggingAudit(logger);
  const { store, hashRefreshToken, journal } = options.opened;
  const sessions = new LoginSessions(store.loginSessions, logger);
  const authorizationServers = new AuthorizationServers(authorizationServerSettings(config), {
    clock,
    logger,
    audit,
    proxies: options.env,
  });
  logChosenPresets(config, logger);
  const random = (): number => Math.random();
  const { concurrencyPerIssuer, refreshesPerSecondPerIssuer, intervalSeconds } = config.heartbeat;
  const owner = randomSecret();
  const presence = new ReplicaPresence({ replicas: store.replicas, replica: owner, clock, logger });
  const services: Omit<TokenCore, "unheld"> = {
    sessions,
    server: authorizationServers,
    issuers: new Issuers(authorizationServerPolicies(config), {
      clock,
      audit,
      random,
      concurrencyPerIssuer,
      refreshesPerSecondPerIssuer,
      liveReplicas: () => presence.live,
    }),
    locks: new LoginSessionLocks(),
    clock,
    logger,
    audit,
    random,
    hash: hashRefreshToken,
    policy: tokenPolicy(config),
    journal,
    incarnation: () => store.incarnation(),
    owner,
  };
  const core: TokenCore = { ...services, unheld: new UnheldTokens(services) };
  sessions.onChange(
    (next) => core.issuers.noticeRefresh(next),
    () => core.issuers.isAnyTroubled,
  );
  const flights = new RefreshFlights(core);
  const debts = new RevocationDebts(core);
  const tokens = new TokenService(core, flights);
  const logins = new Logins(core);
  const logout = new Logout(core, debts, (id) => registry.abortCalls(id));
  const maintenance = new Maintenance(core, flights, debts, store.connectionKeys);
  const tools = toolTable(config, options.tools ?? []);
  const apis = boundApis(config);
  const servers = createServerFactory({
    name: "latchkey",
    title: "Latchkey",
    version: latchkeyVersion(),
    tools,
    // An API takes access tokens of one authorization server: a login session of another one cannot call it.
    createContext: (host) => {
      const { authorizationServer } = host.loginSession();
      const reachable = apis.filter((api) => api.authorizationServer === authorizationServer);
      return createToolContext(host, reachable, { clock, logger, clockNote: () => authorizationServers.clockNote(authorizationServer) });
    },
    tokens,
    endLoginSession: (id) => logout.end(id, "logout"),
    loginLink: options.loginLink,
    deadLoginError,
    logger,
  });
  const { maxConnections, maxConnectionsPerLogin, idleConnectionSeconds } = config.limits;
  const registry = new ConnectionRegistry({
    loginSessions: sessions,
    servers,
    clock,
    logger,
    audit,
    settings: {
      maxConnections,
      maxConnectionsPerLoginSession: maxConnectionsPerLogin,
      idleLimitSeconds: idleConnectionSeconds,
      replica: config.server.replica,
    },
  });
  const heartbeat = new Heartbeat({
    store: store.loginSessions,
    maintenance,
    clock,
    logger,
    intervalMs: intervalSeconds * 1000,
    concurrency: heartbeatConcurrency,
    leaseMs: heartbeatLeaseMs,
  });
  const imports = new Imports(core, authorizationServers, logins, store.importIntents);
  const replay = new JournalReplay(core, imports);
  let isClosing = false;
  // What is in the journal first: the heartbeat would take its attempts for lost and present a spent refresh token again.
  const ready = Promise.all([replay.start(), presence.start()]).then(() => {
    if (!isClosing) heartbeat.start();
  });
  return {
    store,
    sessions,
    authorizationServers,
    tokens,
    logins,
    imports,
    logout,
    registry,
    servers,
    audit,
    tools,
    heartbeat,
    ready,
    close: async (limitMs) => {
      isClosing = true;
      replay.stop();
      imports.stop();
      // What the heartbeat works on is drained below, within the limit.
      void heartbeat.stop();
      await maintenance.drain(limitMs);
      core.unheld.stop();
      await presence.stop();
      sessions.close();
      await store.close();
    },
  };
}

function toolTable(config: Config, own: readonly Tool[]): ToolTable {
  const apis = new Map(boundApis(config).map((api) => [api.name, api]));
  return createToolTable([...sessionTools, ...config.tools.map((tool) => createHttpTool(tool, apis)), ...own]);
}

/** A preset that nobody named is said once, so that nobody wonders where settings come from. */
function logChosenPresets(config: Config, logger: Logger): void {
  for (const [name, { preset, issuer }] of Object.entries(config.authorizationServers)) {
    const chosen = preset === "auto" ? presetByIssuer(issuer) : undefined;
    if (chosen !== undefined)
      logger.info("By its issuer an authorization server gets the settings of a preset; latchkey config print shows them.", {
        authorizationServer: name,
        preset: chosen,
      });
  }
}
