import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CancelledNotificationSchema,
  InitializeRequestSchema,
  type JSONRPCMessage,
  type JSONRPCNotification,
  type JSONRPCRequest,
  type RequestId,
} from "@modelcontextprotocol/sdk/types.js";
import type { Clock, Timer } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { ClientInfo, ClientSeen, RunningCall, ServedConnection, TransportKind } from "../mcp/served-connection.ts";
import type { ServerFactory } from "../mcp/server-factory.ts";
import type { Credential } from "../session/authenticator.ts";
import type { LoginSession, LoginSessionHandle, LoginSessionId } from "../session/login-session.ts";
import type { WatchedLoginSession } from "../session/login-sessions.ts";
import { randomSecret } from "../session/random.ts";
import { type ClientMessage, isAnswer, rpcCodes, rpcError } from "./message.ts";
import { ModernSide } from "./modern-side.ts";
import { type Call, RunningCalls } from "./running-calls.ts";
import { modernClientOf, shownClient } from "./shown-client.ts";
import type { Wire } from "./wire.ts";

export type CloseReason =
  | "client"
  | "idle"
  | "login_ended"
  | "credential_expired"
  | "key_removed"
  | "slow_reader"
  | "replaced"
  | "shutdown";

/** Which login session a connection acts for. Set once (B3); that of a profile's connection when the profile gets another one. */
export interface Binding {
  readonly loginSessionId: LoginSessionId;
  readonly handle: LoginSessionHandle;
}

export interface ConnectionOptions {
  readonly transport: TransportKind;
  /** See `ConnectionSettings`. */
  readonly replica?: string | undefined;
  /** Undefined: it is bound later, to a profile's login session. */
  readonly login: WatchedLoginSession | undefined;
  /** See `ServedConnection.admit`. */
  readonly admit?: ServedConnection["admit"];
  /** What it was opened with; undefined: nothing that ends before its login session. */
  readonly credential: Credential | undefined;
  /** stdio alone: a login session that ends leaves the connection open, and its tools say so. */
  readonly survivesEnd: boolean;
  readonly makeWire: (connection: Connection) => Wire;
  readonly servers: ServerFactory;
  readonly clock: Clock;
  readonly clients: (id: LoginSessionId) => readonly ClientSeen[];
  readonly onClosed: (connection: Connection, reason: CloseReason) => void;
}

/** So long a call that has ended its login session may take over its answer. */
const lastAnswerLimitMs = 10_000;

/**
 * One client's connection: the binding to its login session, its own MCP server (B2), and its running calls. It is
 * what stands between a wire and the SDK, and it decides what may still be delivered.
 */
export class Connection implements ServedConnection {
  /**
   * 256 random bits. It finds the connection and authorises nothing (B6). The replica's name at its end is for load
   * balancers: nothing here reads it.
   */
  readonly id: string;
  readonly label = `c_${randomSecret().slice(0, 8)}`;
  readonly transport: TransportKind;
  readonly admit: ServedConnection["admit"];
  #login: WatchedLoginSession | undefined;
  readonly #options: ConnectionOptions;
  readonly #wire: Wire;
  readonly #sdk: Transport;
  /** stdio alone, where one pipe may speak either era. */
  readonly #modern: ModernSide | undefined;
  readonly #calls = new RunningCalls();
  #state: "open" | "ending" | "closed" = "open";
  #client: ClientInfo | undefined;
  #protocolVersion: string | undefined;
  #credentialExpiresAt: number;
  /** The connection keys that were presented on it, by their public ids. */
  readonly #keyIds = new Set<string>();
  #lastActiveAt: number;
  #lastSeenAt: number;
  #lastAnswerTimer: Timer | undefined;

  constructor(options: ConnectionOptions) {
    const { transport, login, servers, clock, credential } = options;
    this.#options = options;
    this.id = options.replica === undefined ? randomSecret() : `${randomSecret()}.${options.replica}`;
    this.transport = transport;
    this.admit = options.admit;
    this.#login = login;
    this.#credentialExpiresAt = credential?.expiresAt ?? Number.POSITIVE_INFINITY;
    if (credential?.kind === "connection_key") this.#keyIds.add(credential.keyId);
    this.#lastActiveAt = clock.monotonic();
    this.#lastSeenAt = clock.now();
    this.#sdk = {
      start: async () => {},
      send: async (message, sendOptions) => this.#send(message, sendOptions),
      close: async () => this.close("client"),
    };
    this.#wire = options.makeWire(this);
    // The SDK installs its callbacks before it first waits, so the connection is ready at once.
    void servers.create(this).connect(this.#sdk);
    if (transport === "stdio") this.#modern = new ModernSide({ connection: this, servers, send: (message) => this.#send(message) });
  }

  get login(): WatchedLoginSession {
    if (this.#login === undefined) throw new LatchkeyError("login_required", "Nobody has signed in yet.");
    return this.#login;
  }

  /** Undefined: it waits for its first login. */
  get binding(): Binding | undefined {
    return this.#login && { loginSessionId: this.#login.id, handle: this.#login.current().handle };
  }

  /**
   * Binds the connection of a profile to the login session that its profile has now. Throws LatchkeyError `forbidden` for
   * another user than the first (B2): then nothing has changed.
   */
  bind(login: WatchedLoginSession): void {
    const [before, after] = [this.#login?.current().principal, login.current().principal];
    if (before !== undefined && (before.issuer !== after.issuer || before.subject !== after.subject))
      throw new LatchkeyError("forbidden", "This connection belongs to another user.");
    this.#login?.release();
    this.#login = login;
    login.touch(this.#options.clock.now());
  }

  /** False once nothing is accepted from the client any more. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  get client(): ClientInfo | undefined {
    return this.#client;
  }

  /** The revision that `initialize` settled on; undefined before. */
  get protocolVersion(): string | undefined {
    return this.#protocolVersion;
  }

  /** Whether a call waits for its answer or a stream is open. */
  get isActive(): boolean {
    return this.#calls.openCount > 0 || this.#wire.holdsStream;
  }

  /** When the client was last heard of, on the monotonic clock. */
  get lastActiveAt(): number {
    return this.#lastActiveAt;
  }

  /** The same in milliseconds since the epoch; now, while a stream is open. */
  get lastSeenAt(): number {
    return this.#wire.holdsStream ? this.#options.clock.now() : this.#lastSeenAt;
  }

  clients(): readonly ClientSeen[] {
    return this.#login === undefined ? [] : this.#options.clients(this.#login.id);
  }

  call(id: RequestId): RunningCall | undefined {
    return this.#calls.get(id);
  }

  /** A request of this login session was authenticated: renews the right to open streams, and counts as use. */
  accept(credential: Credential | undefined): void {
    const { clock } = this.#options;
    if (credential?.kind === "connection_key") this.#keyIds.add(credential.keyId);
    // The later one: a request with the older credential may arrive after one with the newer.
    this.#credentialExpiresAt = Math.max(this.#credentialExpiresAt, credential?.expiresAt ?? Number.POSITIVE_INFINITY);
    this.#lastActiveAt = clock.monotonic();
    this.#lastSeenAt = clock.now();
    this.#login?.touch(this.#lastSeenAt);
  }

  /** Whether this connection key was presented on it. */
  hasUsedKey(keyId: string): boolean {
    return this.#keyIds.has(keyId);
  }

  /** A stream to the client has closed: from now on the connection may be idle. */
  streamClosed(): void {
    this.#lastActiveAt = this.#options.clock.monotonic();
    this.#lastSeenAt = this.#options.clock.now();
  }

  /**
   * The id of a request among `messages` that may not be taken in: a call that still runs has it, or it stands twice
   * among them (F49). Ask before `deliver`, without waiting in between.
   */
  takenId(messages: readonly ClientMessage[]): RequestId | undefined {
    const fresh = new Set<RequestId>();
    for (const { kind, message } of messages) {
      if (kind !== "request") continue;
      if (this.#calls.get(message.id) !== undefined || fresh.has(message.id)) return message.id;
      fresh.add(message.id);
    }
    return undefined;
  }

  /** Hands messages of the client to the connection's server. Nothing once it is not open. */
  deliver(messages: readonly ClientMessage[]): void {
    for (const item of messages) {
      if (this.#state !== "open") return;
      // The SDK would take the id of a cancelled call for free while the call still runs: we cancel.
      if (item.kind === "notification" && item.message.method === "notifications/cancelled") {
        this.#cancel(item.message);
        continue;
      }
      const isModern = this.#modern?.takes(item) === true;
      if (item.kind === "request") this.#begin(item.message);
      if (isModern) this.#modern?.deliver(item);
      else this.#sdk.onmessage?.(item.message);
    }
  }

  /** Resolves when no call waits for an answer. */
  settled(): Promise<void> {
    return this.#calls.settled();
  }

  /** Called every `keepAliveSeconds`. */
  tick(idleLimitMs: number, credentialGraceMs: number): void {
    const { clock } = this.#options;
    const login = this.#login?.current();
    // A connection that survives was told once; what it has taken in since is answered by its profile.
    if (login?.state === "ended" && !this.#options.survivesEnd) this.loginEnded(login);
    if (this.isOpen && this.isActive && clock.now() >= this.#credentialExpiresAt + credentialGraceMs) this.#credentialRanOut();
    if (this.isOpen && !this.isActive && clock.monotonic() - this.#lastActiveAt >= idleLimitMs) this.close("idle");
    this.#wire.keepAlive();
  }

  /**
   * The login session has ended: running calls are aborted, their clients told, and the connection closes; nothing
   * else is delivered but the answer to the call that asked for the end (B9).
   */
  loginEnded(login: LoginSession): void {
    if (this.#state !== "open") return;
    this.#failCalls(this.#options.servers.deadLoginError(login), login);
    if (this.#options.survivesEnd) return;
    if (this.#calls.openCount === 0) {
      this.close("login_ended");
      return;
    }
    this.#state = "ending";
    this.#wire.close(new Set(this.#calls.open().map(({ id }) => id)));
    this.#lastAnswerTimer = this.#options.clock.schedule(lastAnswerLimitMs, () => this.close("login_ended"));
  }

  /** The login session needs a new sign-in: running calls are aborted, the connection stays. */
  loginRequired(login: LoginSession): void {
    this.#failCalls(this.#options.servers.deadLoginError(login), login);
  }

  /** Somebody signed out and the store could not be reached: running calls are aborted, the login session and the connection live. */
  signOutFailed(): void {
    const problem = "This call was stopped by a sign-out, which the store then could not take: the login session goes on. Sign out again.";
    this.#failCalls(new LatchkeyError("cancelled", problem), this.#login?.current());
  }

  /** Ends the connection. Running calls are aborted and their clients told where that can be. Twice does nothing. */
  close(reason: CloseReason): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#failCalls(closeError(reason), this.#login?.current(), "all");
    this.#lastAnswerTimer?.cancel();
    this.#wire.close(new Set());
    this.#sdk.onclose?.();
    this.#modern?.close();
    this.#login?.release();
    this.#options.onClosed(this, reason);
  }

  #begin(request: JSONRPCRequest): void {
    this.#calls.begin(request);
    const modernClient = this.#modern && modernClientOf(request);
    if (modernClient !== undefined) this.#client = modernClient;
    if (request.method !== "initialize") return;
    const initialize = InitializeRequestSchema.safeParse(request);
    if (!initialize.success) return;
    this.#client = shownClient(initialize.data.params.clientInfo);
  }

  #cancel(notification: JSONRPCNotification): void {
    const cancelled = CancelledNotificationSchema.safeParse(notification);
    const id = cancelled.success ? cancelled.data.params.requestId : undefined;
    const call = id === undefined ? undefined : this.#calls.get(id);
    // The answer to the call that ends the login session is owed, whatever the client thinks by now.
    if (call === undefined || call.keepsAnswer || !this.#calls.giveUp(call)) return;
    this.#wire.drop(call.id);
    this.#endStream(call);
    call.abort(new LatchkeyError("cancelled", "The client cancelled this call."));
  }

  #send(message: JSONRPCMessage, options?: TransportSendOptions): void {
    if (this.#state === "closed") return;
    if (!isAnswer(message)) {
      const about = options?.relatedRequestId;
      const isWanted = this.#state === "open" && (about === undefined || this.#calls.get(about)?.isOpen === true);
      const isSent = isWanted && this.#wire.send(message, about);
      // The SDK waits for the answer to a request of its own: it must know that none will come.
      if (!isSent && "id" in message) throw new Error("The client cannot be reached.");
      return;
    }
    const call = message.id === undefined ? undefined : this.#calls.end(message.id);
    if (call === undefined) return;
    if (call.method === "initialize") this.#noticeInitialized(message);
    this.#wire.send(message, call.id);
    this.#lastActiveAt = this.#options.clock.monotonic();
    this.#closeAfterLastAnswer();
  }

  #noticeInitialized(answer: JSONRPCMessage): void {
    if (!("result" in answer)) return;
    const { protocolVersion } = answer.result;
    if (typeof protocolVersion === "string") this.#protocolVersion = protocolVersion;
  }

  #closeAfterLastAnswer(): void {
    if (this.#state === "ending" && this.#calls.openCount === 0) this.close("login_ended");
  }

  /** Answers running calls with an error, here and now, whatever their tools do; then tells the tools. */
  #failCalls(error: LatchkeyError, login: LoginSession | undefined, which: "all" | "unkept" = "unkept"): void {
    const failed = this.#calls.open().filter((call) => which === "all" || !call.keepsAnswer);
    for (const call of failed) {
      if (!this.#calls.giveUp(call)) continue;
      const { id } = call;
      if (call.method === "tools/call") this.#wire.send({ jsonrpc: "2.0", id, result: this.#options.servers.failedCall(error, login) }, id);
      else this.#wire.send(rpcErrorMessage(id, error), id);
      this.#endStream(call);
    }
    for (const call of failed) call.abort(error);
  }

  /** The SDK never answers what listens: its id is free at once. */
  #endStream(call: Call): void {
    if (!call.isStream) return;
    this.#calls.end(call.id);
    this.#modern?.stopListening(call.id);
  }

  #credentialRanOut(): void {
    const error = new LatchkeyError("unauthorized", "The credential of this connection has expired. Present a new one.");
    this.#failCalls(error, this.#login?.current());
    this.#wire.endStreams();
  }
}

function rpcErrorMessage(id: RequestId, error: LatchkeyError): JSONRPCMessage {
  return { ...rpcError(id, rpcCodes.refused, error.message, { code: error.code }), id };
}

function closeError(reason: CloseReason): LatchkeyError {
  switch (reason) {
    case "shutdown":
      return new LatchkeyError("cancelled", "The server is shutting down. Connect again and repeat the call.", { retryable: true });
    case "client":
    case "idle":
    case "replaced":
    case "slow_reader":
    case "credential_expired":
      return new LatchkeyError("cancelled", "The connection was closed while the call was running.");
    case "key_removed":
      return new LatchkeyError("unauthorized", "The connection key of this connection was removed.");
    case "login_ended":
      return new LatchkeyError("login_ended", "The login session of this connection has ended.");
  }
}
