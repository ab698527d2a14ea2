import type { Audit } from "../audit/audit.ts";
import { type Clock, sleep, type Timer } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { ClientSeen, TransportKind } from "../mcp/served-connection.ts";
import type { ServerFactory } from "../mcp/server-factory.ts";
import type { Credential } from "../session/authenticator.ts";
import type { LoginSession, LoginSessionId } from "../session/login-session.ts";
import type { LoginSessions, WatchedLoginSession } from "../session/login-sessions.ts";
import { ClientsSeen } from "./clients-seen.ts";
import { type Binding, type CloseReason, Connection } from "./connection.ts";
import { RemovedKeys } from "./removed-keys.ts";
import type { Wire } from "./wire.ts";

export interface ConnectionSettings {
  /** Open connections in this process. */
  readonly maxConnections: number;
  readonly maxConnectionsPerLoginSession: number;
  /** A connection without a running call and an open stream is closed after this time. */
  readonly idleLimitSeconds: number;
  /** Open streams show signs of life, and limits are checked, this often. */
  readonly keepAliveSeconds: number;
  /** An open stream is closed this long after its newest credential has expired. */
  readonly credentialGraceSeconds: number;
  /** What the ids of connections end in, after a dot; undefined: nothing. */
  readonly replica?: string | undefined;
}

const defaultConnectionSettings: ConnectionSettings = {
  maxConnections: 10_000,
  maxConnectionsPerLoginSession: 100,
  idleLimitSeconds: 30 * 60,
  keepAliveSeconds: 15,
  credentialGraceSeconds: 5 * 60,
};

export interface ConnectionRegistryOptions {
  readonly loginSessions: LoginSessions;
  readonly servers: ServerFactory;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
  readonly settings?: Partial<ConnectionSettings> | undefined;
}

export interface OpenRequest {
  readonly transport: TransportKind;
  readonly loginSessionId: LoginSessionId;
  /** Undefined: nothing that ends before the login session. */
  readonly credential?: Credential | undefined;
  /** Where the client is, for the audit; undefined: on this machine. */
  readonly address?: string | undefined;
  /** stdio alone: opens for an ended login session too, and stays open when it ends. */
  readonly survivesEnd?: boolean | undefined;
  readonly makeWire: (connection: Connection) => Wire;
}

export type OpenOutcome =
  | { readonly kind: "opened"; readonly connection: Connection }
  /** The login session has ended, or there is none. */
  | { readonly kind: "login_ended" }
  /** The login session needs a new sign-in, and the credential is one that a client can sign in again with. */
  | { readonly kind: "login_required" }
  /** The connection key was removed meanwhile. */
  | { readonly kind: "key_removed" }
  | { readonly kind: "full" | "login_session_full"; readonly retryAfterSeconds: number }
  | { readonly kind: "closing" };

/** Connections that somebody else keeps: the single requests of the modern era. */
export interface OtherConnections {
  countByLoginSession(id: LoginSessionId): number;
  clientsOf(id: LoginSessionId): readonly ClientSeen[];
  closeByKey(id: LoginSessionId, keyId: string): void;
  abortCalls(id: LoginSessionId): void;
}

/**
 * All connections of this process, by id and by login session. It opens them within the limits, follows the login
 * sessions, closes what is idle or ended, and knows which clients were there.
 */
export class ConnectionRegistry {
  readonly #options: ConnectionRegistryOptions;
  readonly #settings: ConnectionSettings;
  readonly #byId = new Map<string, Connection>();
  readonly #byLoginSession = new Map<LoginSessionId, Set<Connection>>();
  /** Connections by the second in which they are looked at, so that their work never falls on one moment. */
  readonly #slots: readonly Set<Connection>[];
  readonly #slotOf = new WeakMap<Connection, Set<Connection>>();
  readonly #clientsSeen = new ClientsSeen();
  readonly #removedKeys = new RemovedKeys();
  readonly #stopFollowing: () => void;
  #others: OtherConnections | undefined;
  #opening = 0;
  #opened = 0;
  #tickNumber = 0;
  #timer: Timer | undefined;
  #isClosing = false;

  constructor(options: ConnectionRegistryOptions) {
    this.#options = options;
    this.#settings = { ...defaultConnectionSettings, ...options.settings };
    this.#slots = Array.from({ length: Math.max(1, Math.round(this.#settings.keepAliveSeconds)) }, () => new Set<Connection>());
    this.#stopFollowing = options.loginSessions.onChange((next, previous) => this.#follow(next, previous));
  }

  /** How many connections are open. */
  get size(): number {
    return this.#byId.size;
  }

  /** From now on it speaks for these too. */
  join(others: OtherConnections): void {
    this.#others = others;
  }

  countByLoginSession(id: LoginSessionId): number {
    return (this.#byLoginSession.get(id)?.size ?? 0) + (this.#others?.countByLoginSession(id) ?? 0);
  }

  /** The clients on connections of a login session in the last 15 minutes, closed ones included; the latest first. */
  clientsOf(id: LoginSessionId): readonly ClientSeen[] {
    const present = [...(this.#byLoginSession.get(id) ?? [])].map(clientOf).filter((client) => client !== undefined);
    return this.#clientsSeen.list(id, [...present, ...(this.#others?.clientsOf(id) ?? [])], this.#options.clock.now());
  }

  /** A client was here and has gone: it is remembered as long as the login session lives. */
  leftBy(login: WatchedLoginSession, client: ClientSeen | undefined): void {
    if (client === undefined || login.current().state === "ended") return;
    this.#clientsSeen.add(login.id, client, this.#options.clock.now());
    this.#arm();
  }

  /** How many entries each map holds, for the test of I16. */
  sizes(): Readonly<Record<string, number>> {
    return {
      connections: this.#byId.size,
      loginSessions: this.#byLoginSession.size,
      scheduled: this.#slots.reduce((sum, slot) => sum + slot.size, 0),
      clientsSeen: this.#clientsSeen.size,
      removedKeys: this.#removedKeys.size,
      opening: this.#opening,
    };
  }

  /**
   * Opens a connection that is bound to a login session. A login session that has ended, or ends meanwhile at any
   * interleaving, gets none (R3). At the limit of a login session its longest idle connection makes room: clients
   * rarely say good-bye. Throws LatchkeyError `store_unavailable`.
   */
  async open(request: OpenRequest): Promise<OpenOutcome> {
    if (this.#isClosing) return { kind: "closing" };
    if (this.#byId.size + this.#opening >= this.#settings.maxConnections) return { kind: "full", retryAfterSeconds: 30 };
    this.#opening += 1;
    try {
      const login = await this.#options.loginSessions.watch(request.loginSessionId);
      if (login === undefined) return { kind: "login_ended" };
      // From here on without waiting: whoever ends this login session from now on finds the connection.
      const refusal = this.#refuse(request, login.current());
      if (refusal !== undefined) {
        login.release();
        return refusal;
      }
      const connection = new Connection({
        transport: request.transport,
        replica: this.#settings.replica,
        login,
        credential: request.credential,
        survivesEnd: request.survivesEnd ?? false,
        makeWire: request.makeWire,
        servers: this.#options.servers,
        clock: this.#options.clock,
        clients: (id) => this.clientsOf(id),
        onClosed: (closed, reason) => this.#closed(closed, reason),
      });
      login.touch(this.#options.clock.now());
      this.#register(connection, request.address, { loginSessionId: login.id, handle: login.current().handle });
      return { kind: "opened", connection };
    } finally {
      this.#opening -= 1;
    }
  }

  /**
   * Binds the connection of a profile, which was made elsewhere, to the login session that its profile has now, and follows that
   * from here on. False: that has ended, at whatever interleaving (R3), or nothing is opened any more. Throws LatchkeyError
   * `forbidden` as `Connection.bind`, and `store_unavailable`.
   */
  async adopt(connection: Connection, id: LoginSessionId): Promise<boolean> {
    const login = await this.#options.loginSessions.watch(id);
    if (login === undefined) return false;
    if (this.#isClosing || !connection.isOpen || login.current().state === "ended" || connection.binding?.loginSessionId === id) {
      login.release();
      return connection.binding?.loginSessionId === id && login.current().state !== "ended";
    }
    const before = connection.binding;
    try {
      connection.bind(login);
    } catch (error) {
      login.release();
      throw error;
    }
    if (before !== undefined) this.#forget(connection, before);
    this.#register(connection, undefined, { loginSessionId: id, handle: login.current().handle });
    return true;
  }

  /** A connection that was adopted has closed. */
  leave(connection: Connection, reason: CloseReason): void {
    this.#closed(connection, reason);
  }

  /** The open connection with this id on this transport. Whoever asks checks its binding. */
  find(transport: TransportKind, id: string): Connection | undefined {
    const connection = this.#byId.get(id);
    return connection?.transport === transport ? connection : undefined;
  }

  /**
   * A connection key was removed: closes every connection on which it was presented, also one on which another key was
   * presented since. Whoever had the key may hold a stream of it. From now on requests that came with it just before
   * get nothing either. The client of another key begins anew.
   */
  closeByKey(id: LoginSessionId, keyId: string): void {
    this.#removedKeys.add(id, keyId, this.#options.clock.monotonic());
    for (const connection of [...(this.#byLoginSession.get(id) ?? [])]) if (connection.hasUsedKey(keyId)) connection.close("key_removed");
    this.#others?.closeByKey(id, keyId);
    this.#arm();
  }

  /** Aborts what runs for a login session that could not be ended; its connections stay. */
  abortCalls(id: LoginSessionId): void {
    for (const connection of [...(this.#byLoginSession.get(id) ?? [])]) connection.signOutFailed();
    this.#others?.abortCalls(id);
  }

  /** Whether the credential's key was removed here a short time ago: the request that brings it was authenticated before. */
  isKeyRemoved(credential: Credential): boolean {
    return credential.kind === "connection_key" && this.#removedKeys.has(credential.loginSessionId, credential.keyId);
  }

  /** Opens nothing any more, and waits until every running call is answered, or the time is up. */
  async drain(limitMs: number): Promise<void> {
    this.#isClosing = true;
    const stop = new AbortController();
    const settled = Promise.all([...this.#byId.values()].map((connection) => connection.settled()));
    await Promise.race([settled, sleep(this.#options.clock, limitMs, stop.signal)]);
    stop.abort();
  }

  /** Closes every connection; calls that still run are aborted. Nothing is opened afterwards. */
  close(): void {
    this.#isClosing = true;
    for (const connection of [...this.#byId.values()]) connection.close("shutdown");
    this.#stopFollowing();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #refuse(request: OpenRequest, login: LoginSession): Exclude<OpenOutcome, { kind: "opened" }> | undefined {
    const { transport, address } = request;
    if (this.#isClosing) return { kind: "closing" };
    if (login.state === "ended" && request.survivesEnd !== true) return { kind: "login_ended" };
    if (request.credential !== undefined && this.isKeyRemoved(request.credential)) return { kind: "key_removed" };
    if (login.state === "login_required" && request.credential?.kind === "access_token") return { kind: "login_required" };
    if ((this.#byLoginSession.get(login.id)?.size ?? 0) < this.#settings.maxConnectionsPerLoginSession) return undefined;
    const idle = [...(this.#byLoginSession.get(login.id) ?? [])].filter((connection) => !connection.isActive);
    const [longestIdle] = idle.sort((a, b) => a.lastActiveAt - b.lastActiveAt);
    if (longestIdle !== undefined) {
      longestIdle.close("replaced");
      return undefined;
    }
    this.#options.audit.record({ event: "connection_refused", login: login.handle, transport, address, reason: "too_many_connections" });
    return { kind: "login_session_full", retryAfterSeconds: 30 };
  }

  #register(connection: Connection, address: string | undefined, { loginSessionId, handle }: Binding): void {
    this.#byId.set(connection.id, connection);
    const ofLoginSession = this.#byLoginSession.get(loginSessionId) ?? new Set();
    this.#byLoginSession.set(loginSessionId, ofLoginSession.add(connection));
    this.#opened += 1;
    this.#slotOf.get(connection)?.delete(connection);
    const slot = this.#slots[this.#opened % this.#slots.length];
    if (slot !== undefined) this.#slotOf.set(connection, slot.add(connection));
    this.#arm();
    this.#options.audit.record({
      event: "connection_opened",
      login: handle,
      transport: connection.transport,
      connection: connection.label,
      address,
    });
  }

  #forget(connection: Connection, { loginSessionId }: Binding): void {
    const ofLoginSession = this.#byLoginSession.get(loginSessionId);
    ofLoginSession?.delete(connection);
    if (ofLoginSession?.size === 0) this.#byLoginSession.delete(loginSessionId);
  }

  #closed(connection: Connection, reason: CloseReason): void {
    const { binding } = connection;
    // Never bound: nobody was signed in.
    if (binding === undefined) return;
    const { handle } = binding;
    this.#byId.delete(connection.id);
    this.#forget(connection, binding);
    this.#slotOf.get(connection)?.delete(connection);
    this.leftBy(connection.login, clientOf(connection));
    this.#options.audit.record({
      event: "connection_closed",
      login: handle,
      transport: connection.transport,
      connection: connection.label,
      client: connection.client?.name,
      reason,
    });
  }

  #follow(next: LoginSession, previous: LoginSession | undefined): void {
    if (next.state === "ended") {
      for (const connection of [...(this.#byLoginSession.get(next.id) ?? [])]) connection.loginEnded(next);
      this.#clientsSeen.forget(next.id);
    } else if (next.state === "login_required" && previous?.state !== "login_required") {
      for (const connection of [...(this.#byLoginSession.get(next.id) ?? [])]) connection.loginRequired(next);
    }
  }

  /** The timer runs only while there is something to look after. */
  #arm(): void {
    if (this.#timer !== undefined || this.#byId.size + this.#clientsSeen.size + this.#removedKeys.size === 0) return;
    this.#timer = this.#options.clock.schedule(1000, () => {
      this.#timer = undefined;
      this.#tick();
      this.#arm();
    });
  }

  #tick(): void {
    this.#tickNumber += 1;
    this.#clientsSeen.purge(this.#options.clock.now());
    this.#removedKeys.purge(this.#options.clock.monotonic());
    const { idleLimitSeconds, credentialGraceSeconds } = this.#settings;
    for (const connection of [...(this.#slots[this.#tickNumber % this.#slots.length] ?? [])]) {
      try {
        connection.tick(idleLimitSeconds * 1000, credentialGraceSeconds * 1000);
      } catch (error) {
        this.#options.logger.error("A connection could not be looked after.", { error, connection: connection.label });
      }
    }
  }
}

function clientOf(connection: Connection): ClientSeen | undefined {
  const { client, transport, lastSeenAt } = connection;
  return client === undefined ? undefined : { ...client, transport, lastSeenAt };
}
