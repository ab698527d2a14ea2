import type { LogFields, Logger } from "../logger.ts";
import type { AccessTokenEntry, AccessTokenTarget, LoginSession, LoginSessionId, RevocationAnswer } from "../session/login-session.ts";
import type { WatchedLoginSession } from "../session/login-sessions.ts";
import type { BorrowedAccessToken, CallHost } from "../tool/call-host.ts";
import type { SignOutRevocation } from "../tool/tool.ts";
import type { ClientSeen, RunningCall, ServedConnection } from "./served-connection.ts";

/** Hands out access tokens: what a call needs of the token service. */
export interface AccessTokens {
  /** Throws or rejects as `TokenService.acquire`. */
  acquire(
    login: WatchedLoginSession,
    target: AccessTokenTarget,
    options?: { readonly rejected?: string | undefined; readonly signal?: AbortSignal | undefined },
  ): AccessTokenEntry | Promise<AccessTokenEntry>;
}

/** Ends a login session by the user's own wish. Throws LatchkeyError `store_unavailable`; then nothing was ended. */
export type EndLoginSession = (
  id: LoginSessionId,
) => Promise<{ readonly loginSession: LoginSession; readonly revocation: RevocationAnswer }>;

/** Sends one progress notification about a call. It never throws. */
export type SendProgress = (progress: number, total: number | undefined, message: string | undefined) => void;

export interface ConnectionCallHostOptions {
  readonly toolName: string;
  readonly connection: ServedConnection;
  readonly call: RunningCall;
  readonly tokens: AccessTokens;
  readonly endLoginSession: EndLoginSession;
  /** Undefined: the client did not ask for progress. */
  readonly sendProgress: SendProgress | undefined;
  readonly logger: Logger;
}

/** What a connection lends to one running call. Everything in it comes from the connection's own binding. */
export class ConnectionCallHost implements CallHost {
  readonly #options: ConnectionCallHostOptions;
  /** As it was when the call began: what the connection of a profile is bound to later is no business of this call. */
  readonly #login: WatchedLoginSession;
  #lastProgress = Number.NEGATIVE_INFINITY;

  constructor(options: ConnectionCallHostOptions) {
    this.#options = options;
    this.#login = options.connection.login;
  }

  get toolName(): string {
    return this.#options.toolName;
  }

  get signal(): AbortSignal {
    return this.#options.call.signal;
  }

  loginSession(): LoginSession {
    return this.#login.current();
  }

  async acquire(target: AccessTokenTarget, options: { readonly rejected?: string | undefined } = {}): Promise<BorrowedAccessToken> {
    const { tokens, call } = this.#options;
    const entry = await tokens.acquire(this.#login, target, { rejected: options.rejected, signal: call.signal });
    return { accessToken: entry.accessToken, expiresAt: entry.expiresAt };
  }

  progress(progress: number, total?: number, message?: string): void {
    const { sendProgress, call } = this.#options;
    // MCP: progress must increase with each notification, and stop with the answer.
    if (sendProgress === undefined || !call.isOpen || !(progress > this.#lastProgress)) return;
    this.#lastProgress = progress;
    sendProgress(progress, total, message);
  }

  log(message: string, fields: LogFields = {}): void {
    const { logger, toolName, connection } = this.#options;
    logger.info(message, { ...fields, tool: toolName, login: this.#login.current().handle, connection: connection.label });
  }

  clients(): readonly ClientSeen[] {
    return this.#options.connection.clients();
  }

  async signOut(): Promise<{ readonly state: string; readonly revocation: SignOutRevocation }> {
    const { call, endLoginSession } = this.#options;
    // Before the end: its announcement closes this very connection, but for this answer.
    call.keepAnswer();
    try {
      const { loginSession, revocation } = await endLoginSession(this.#login.id);
      return { state: loginSession.state, revocation };
    } catch (error) {
      call.releaseAnswer();
      throw error;
    }
  }
}
