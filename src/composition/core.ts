import { type Audit, loggingAudit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import { presetByIssuer } from "../config/presets.ts";
import type { Config } from "../config/schema.ts";
import { Heartbeat } from "../heartbeat/heartbeat.ts";
import { ReplicaPresence } from "../heartbeat/replica-presence.ts";
import type { Logger } from "../logger.ts";
import type { ServerFactory } from "../mcp/server-factory.ts";
import { AuthorizationServers } from "../oidc/authorization-servers.ts";
import { LoginSessions } from "../session/login-sessions.ts";
import { randomSecret } from "../session/random.ts";
import type { Store } from "../session/store.ts";
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
import { ConnectionRegistry } from "../transport/connection-registry.ts";
import type { OpenedStore } from "./open-store.ts";
import { type BehindServers, composeServers, type ServersOptions } from "./servers.ts";
import { authorizationServerPolicies, authorizationServerSettings, tokenPolicy } from "./settings.ts";

export interface CoreOptions extends ServersOptions {
  /** It is closed with the core. */
  readonly opened: OpenedStore;
  /** The one that all who share the store go by. */
  readonly clock: Clock;
  /** The environment, for its proxies (HTTPS_PROXY, NO_PROXY). Default: none. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Made with `composeServers` before; default: they are made here. */
  readonly servers?: ServerFactory | undefined;
  /** False: for a task that is over soon, so that nothing is refreshed meanwhile. Default true. */
  readonly background?: boolean | undefined;
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
  readonly behindServers: BehindServers;
  readonly audit: Audit;
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
  const behindServers: BehindServers = {
    tokens,
    endLoginSession: (id) => logout.end(id, "logout"),
    clockNote: (authorizationServer) => authorizationServers.clockNote(authorizationServer),
  };
  const servers = options.servers ?? composeServers(options, () => behindServers);
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
  const ready =
    options.background === false
      ? Promise.resolve()
      : Promise.all([replay.start(), presence.start()]).then(() => {
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
    behindServers,
    audit,
    heartbeat,
    ready,
    close: async (limitMs) => {
      isClosing = true;
      replay.stop();
      imports.stop();
      // What the heartbeat works on is drained below, within the limit.
      void heartbeat.stop();
      await Promise.all([maintenance.drain(limitMs), logins.drain(limitMs)]);
      core.unheld.stop();
      await presence.stop();
      sessions.close();
      await store.close();
    },
  };
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
