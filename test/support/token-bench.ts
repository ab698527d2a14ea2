import type { Audit, AuditEvent } from "../../src/audit/audit.ts";
import type { Clock } from "../../src/clock.ts";
import { LatchkeyError } from "../../src/errors.ts";
import { Heartbeat } from "../../src/heartbeat/heartbeat.ts";
import { type Logger, silentLogger } from "../../src/logger.ts";
import type { AccessTokenEntry, LoginSession, LoginSessionId } from "../../src/session/login-session.ts";
import { LoginSessions, type WatchedLoginSession } from "../../src/session/login-sessions.ts";
import { refreshTokenHasher } from "../../src/session/random.ts";
import type { ReplyJournal } from "../../src/session/reply-journal.ts";
import type { ImportIntentStore, LoginSessionStore } from "../../src/session/store.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { Imports } from "../../src/token/imports.ts";
import { Issuers } from "../../src/token/issuers.ts";
import { LoginSessionLocks } from "../../src/token/login-session-locks.ts";
import { Logins } from "../../src/token/logins.ts";
import { Logout } from "../../src/token/logout.ts";
import { Maintenance } from "../../src/token/maintenance.ts";
import type { AuthorizationServerPolicy, TokenPolicy } from "../../src/token/ports.ts";
import { RefreshFlights } from "../../src/token/refresh-flights.ts";
import { RevocationDebts } from "../../src/token/revocation-debts.ts";
import type { TokenCore } from "../../src/token/token-core.ts";
import { type AcquireOptions, TokenService } from "../../src/token/token-service.ts";
import { UnheldTokens } from "../../src/token/unheld-tokens.ts";
import { History } from "./history.ts";
import { ManualClock } from "./manual-clock.ts";
import { ModelAuthorizationServer, type ModelOptions } from "./model-authorization-server.ts";

/** One process of Latchkey without its outside: everything between the store and the authorization server. */
export interface Replica {
  readonly core: TokenCore;
  readonly flights: RefreshFlights;
  readonly tokens: TokenService;
  readonly logins: Logins;
  readonly logout: Logout;
  readonly imports: Imports;
  /** Not started. */
  readonly heartbeat: Heartbeat;
  readonly debts: RevocationDebts;
  readonly maintenance: Maintenance;
  readonly events: AuditEvent[];
  /** The login sessions whose calls were to be aborted while the store was away. */
  readonly abortedCalls: LoginSessionId[];
  /** Watches, or throws when the login session is gone. */
  watch(record: LoginSession): Promise<WatchedLoginSession>;
}

export interface ReplicaOptions {
  readonly clock: Clock;
  readonly server: ModelAuthorizationServer;
  readonly store: MemoryStore;
  readonly loginSessions?: LoginSessionStore;
  readonly importIntents?: ImportIntentStore;
  readonly owner?: string;
  readonly journal?: ReplyJournal;
  readonly incarnation?: () => string;
  readonly authorizationServer?: Partial<AuthorizationServerPolicy>;
  readonly policy?: Partial<TokenPolicy>;
  readonly random?: () => number;
  readonly concurrencyPerIssuer?: number;
  /** Default: no limit. */
  readonly refreshesPerSecondPerIssuer?: number;
  readonly logger?: Logger;
  readonly heartbeat?: { readonly intervalMs?: number; readonly concurrency?: number; readonly leaseMs?: number };
}

const day = 86_400;

export function makeReplica(options: ReplicaOptions): Replica {
  const { clock, server, store } = options;
  const events: AuditEvent[] = [];
  const abortedCalls: LoginSessionId[] = [];
  const audit: Audit = { record: (event) => void events.push(event) };
  const random = options.random ?? (() => 0.5);
  const policy: AuthorizationServerPolicy = {
    name: "main",
    issuer: server.issuer,
    defaultTarget: { scopes: [] },
    rotation: "auto",
    lostReply: "present",
    sharedGrant: "wait",
    introspection: "auto",
    ...options.authorizationServer,
  };
  const loginSessions = options.loginSessions ?? store.loginSessions;
  const logger = options.logger ?? silentLogger;
  const services: Omit<TokenCore, "unheld"> = {
    sessions: new LoginSessions(loginSessions, logger),
    server,
    issuers: new Issuers([policy], {
      clock,
      audit,
      random,
      concurrencyPerIssuer: options.concurrencyPerIssuer ?? 16,
      refreshesPerSecondPerIssuer: options.refreshesPerSecondPerIssuer,
    }),
    locks: new LoginSessionLocks(),
    clock,
    logger,
    audit,
    random,
    hash: refreshTokenHasher(Buffer.from("a key for tests")),
    policy: { idleLimitSeconds: 14 * day, tombstoneSeconds: day, ...options.policy },
    owner: options.owner ?? "replica-1",
    journal: options.journal,
    incarnation: options.incarnation,
  };
  const core: TokenCore = { ...services, unheld: new UnheldTokens(services) };
  const flights = new RefreshFlights(core);
  const debts = new RevocationDebts(core);
  const logins = new Logins(core);
  const maintenance = new Maintenance(core, flights, debts, store.connectionKeys);
  return {
    core,
    flights,
    debts,
    events,
    abortedCalls,
    tokens: new TokenService(core, flights),
    logins,
    logout: new Logout(core, debts, (record) => void abortedCalls.push(record)),
    imports: new Imports(core, server.importPort(), logins, options.importIntents ?? store.importIntents),
    maintenance,
    heartbeat: new Heartbeat({
      store: loginSessions,
      maintenance,
      clock,
      logger,
      intervalMs: 250,
      concurrency: 32,
      leaseMs: 30_000,
      ...options.heartbeat,
    }),
    watch: async (record) => {
      const watched = await core.sessions.watch(record.id);
      if (watched === undefined) throw new Error("the login session is gone");
      return watched;
    },
  };
}

/** One replica on a memory store and a model authorization server, under a clock that stands still until it is moved. */
export interface TokenBench {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  readonly server: ModelAuthorizationServer;
  readonly history: History;
  readonly one: Replica;
  /** One more process on the same store and server. */
  another(owner: string, options?: Partial<ReplicaOptions>): Replica;
  /** A login session that is watched by replica `one`. */
  signIn(subject?: string, sid?: string): Promise<{ readonly record: LoginSession; readonly login: WatchedLoginSession }>;
}

export function makeBench(model: Partial<ModelOptions> = {}, replica: Partial<ReplicaOptions> = {}): TokenBench {
  const clock = new ManualClock();
  const store = new MemoryStore(() => clock.now());
  const server = new ModelAuthorizationServer({ now: () => clock.now(), ...model });
  const history = new History(store.loginSessions, server);
  const one = makeReplica({ clock, server, store, ...replica });
  return {
    clock,
    store,
    server,
    history,
    one,
    another: (owner, options) => makeReplica({ clock, server, store, ...replica, owner, ...options }),
    signIn: async (subject = "alice", sid) => {
      const record = await one.logins.start(server.signIn(subject, "main", sid), { kind: "demo" });
      return { record, login: await one.watch(record) };
    },
  };
}

/** An access token of the login's own target from replica `replica`, or the error: a call that never rejects. */
export async function tryAcquire(
  replica: Replica,
  login: WatchedLoginSession,
  options: AcquireOptions = {},
): Promise<AccessTokenEntry | LatchkeyError> {
  try {
    return await replica.tokens.acquire(login, { scopes: [] }, options);
  } catch (error) {
    if (error instanceof LatchkeyError) return error;
    throw error;
  }
}

/** Holds what passes `wait` until it is let go. */
export class Hold {
  readonly #waiting: (() => void)[] = [];
  /** False: everything passes. */
  on = true;

  wait(): Promise<void> {
    if (!this.on) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** Lets the first pass. */
  letOne(): void {
    this.#waiting.shift()?.();
  }

  /** Lets the one pass that came last. */
  letLast(): void {
    this.#waiting.pop()?.();
  }

  /** Lets all pass that wait now. */
  letGo(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Lets all pass, and whoever comes later. */
  open(): void {
    this.on = false;
    this.letGo();
  }
}
