import { type Audit, silentAudit } from "../../src/audit/audit.ts";
import { Heartbeat } from "../../src/heartbeat/heartbeat.ts";
import { type Logger, silentLogger } from "../../src/logger.ts";
import { createServerFactory } from "../../src/mcp/server-factory.ts";
import type { RefreshToken, RefreshTokenHash } from "../../src/session/login-session.ts";
import { LoginSessions } from "../../src/session/login-sessions.ts";
import type { LoginSessionStore } from "../../src/session/store.ts";
import { deadLoginError } from "../../src/token/acquire-error.ts";
import { Imports } from "../../src/token/imports.ts";
import { Issuers } from "../../src/token/issuers.ts";
import { LoginSessionLocks } from "../../src/token/login-session-locks.ts";
import { Logins } from "../../src/token/logins.ts";
import { Logout } from "../../src/token/logout.ts";
import { Maintenance } from "../../src/token/maintenance.ts";
import type { AuthorizationServerPolicy, AuthorizationServerPort, ImportPort, TokenPolicy } from "../../src/token/ports.ts";
import { RefreshFlights } from "../../src/token/refresh-flights.ts";
import { RevocationDebts } from "../../src/token/revocation-debts.ts";
import type { TokenCore } from "../../src/token/token-core.ts";
import { TokenService } from "../../src/token/token-service.ts";
import { UnheldTokens } from "../../src/token/unheld-tokens.ts";
import type { CallHost } from "../../src/tool/call-host.ts";
import type { ToolContext } from "../../src/tool/tool.ts";
import { createToolContext } from "../../src/tool/tool-context.ts";
import { createToolTable } from "../../src/tool/tool-table.ts";
import { ConnectionRegistry } from "../../src/transport/connection-registry.ts";
import type { SimulatedAuthorizationServer } from "./simulated-authorization-server.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { StoreView } from "./simulated-store.ts";

/** What a replica of the simulation runs on. */
export interface ReplicaServices {
  readonly process: SimulatedProcess;
  readonly store: StoreView;
  /** The store of login sessions as the token service gets it: a mutant may stand in between. */
  readonly loginSessions: LoginSessionStore;
  readonly server: AuthorizationServerPort & ImportPort;
  readonly servers: readonly SimulatedAuthorizationServer[];
  readonly random: () => number;
  readonly policy: TokenPolicy;
  /** The one tool: it calls the API of the user who is signed in, and gives what the API says. */
  readonly callApi: (host: CallHost) => Promise<string>;
  readonly logger?: Logger;
  readonly audit?: Audit;
  /** A mutant may leave the heartbeat out. */
  readonly beats?: boolean;
}

/** One process of Latchkey: all of it but its sockets, put together as the composition does. */
export class SimulatedReplica {
  readonly process: SimulatedProcess;
  readonly store: StoreView;
  readonly core: TokenCore;
  readonly tokens: TokenService;
  readonly logins: Logins;
  readonly imports: Imports;
  readonly logout: Logout;
  readonly registry: ConnectionRegistry;
  readonly #flights: RefreshFlights;
  readonly #debts: RevocationDebts;
  readonly #heartbeat: Heartbeat;

  constructor(services: ReplicaServices) {
    const { process, store, loginSessions, server, random, policy } = services;
    const { clock, name } = process;
    const logger = services.logger ?? silentLogger;
    const audit = services.audit ?? silentAudit;
    const parts: Omit<TokenCore, "unheld"> = {
      sessions: new LoginSessions(loginSessions, logger),
      server,
      issuers: new Issuers(services.servers.map(policyOf), { clock, audit, random, concurrencyPerIssuer }),
      locks: new LoginSessionLocks(),
      clock,
      logger,
      audit,
      random,
      hash: hashOf,
      policy,
      owner: name,
    };
    const core: TokenCore = { ...parts, unheld: new UnheldTokens(parts) };
    this.process = process;
    this.store = store;
    this.core = core;
    this.#flights = new RefreshFlights(core);
    this.#debts = new RevocationDebts(core);
    this.tokens = new TokenService(core, this.#flights);
    this.logins = new Logins(core);
    this.logout = new Logout(core, this.#debts, () => {});
    this.imports = new Imports(core, server, this.logins, store.importIntents);
    const maintenance = new Maintenance(core, this.#flights, this.#debts, store.connectionKeys);
    this.registry = new ConnectionRegistry({
      loginSessions: core.sessions,
      servers: this.#serverFactory(services, logger),
      clock,
      logger,
      audit,
      // A tick of each connection's own every minute: a second's would be most of a run.
      settings: { keepAliveSeconds: 15, idleLimitSeconds: 1800, maxConnectionsPerLoginSession: 4 },
    });
    this.#heartbeat = new Heartbeat({
      store: loginSessions,
      maintenance,
      clock,
      logger,
      intervalMs: 1_000,
      concurrency: 256,
      leaseMs: 5_000,
    });
    if (services.beats ?? true) this.#heartbeat.start();
  }

  /** How many entries each map of this process holds, for I16. */
  sizes(): Readonly<Record<string, number>> {
    const { sessions, locks } = this.core;
    return {
      ...this.registry.sizes(),
      flights: this.#flights.size,
      locks: locks.size,
      debts: this.#debts.size,
      imports: this.imports.size,
      watched: sessions.watchedCount,
      unwrittenUses: sessions.unwrittenUses,
      heartbeat: this.#heartbeat.working,
    };
  }

  #serverFactory({ callApi }: ReplicaServices, logger: Logger): ReturnType<typeof createServerFactory> {
    const hosts = new WeakMap<ToolContext, CallHost>();
    const { clock } = this.process;
    const tool = {
      name: "call_api",
      description: "Calls the API as the signed-in user.",
      inputSchema: { type: "object" as const },
      run: async (_args: Readonly<Record<string, unknown>>, context: ToolContext) => {
        const host = hosts.get(context);
        if (host === undefined) throw new Error("a context that was not made here");
        return { content: [{ type: "text" as const, text: await callApi(host) }] };
      },
    };
    return createServerFactory({
      name: "latchkey",
      version: "simulation",
      tools: createToolTable([tool]),
      createContext: (host) => {
        const context = createToolContext(host, [], { clock, logger });
        hosts.set(context, host);
        return context;
      },
      tokens: this.tokens,
      endLoginSession: (id) => this.logout.end(id, "logout"),
      loginLink: () => undefined,
      deadLoginError,
      logger,
    });
  }
}

/** How many refreshes a replica may have under way at one authorization server. */
export const concurrencyPerIssuer = 16;

/** The simulated tokens are no secrets: as they are, one can read them in a trace. */
function hashOf(token: RefreshToken): RefreshTokenHash {
  return `h:${token}` as RefreshTokenHash;
}

function policyOf({ traits, issuer }: SimulatedAuthorizationServer): AuthorizationServerPolicy {
  return {
    name: traits.name,
    issuer,
    defaultTarget: { scopes: [] },
    rotation: "auto",
    lostReply: "present",
    sharedGrant: "wait",
    introspection: "auto",
    ...traits.policy,
  };
}
