import type { Clock, Timer } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { ModernConnection } from "../mcp/modern-servers.ts";
import type { ClientInfo, ClientSeen, RunningCall } from "../mcp/served-connection.ts";
import type { Credential } from "../session/authenticator.ts";
import type { WatchedLoginSession } from "../session/login-sessions.ts";
import { randomSecret } from "../session/random.ts";

export interface ModernExchangeOptions {
  readonly login: WatchedLoginSession;
  readonly credential: Credential;
  readonly clock: Clock;
  readonly clients: () => readonly ClientSeen[];
  /** Undefined: it did not say. */
  readonly client: ClientInfo | undefined;
  /** A stream that lasts longer than this after its credential has expired is closed. */
  readonly credentialGraceMs: number;
}

/**
 * One request of the modern era: a connection for as long as its answer takes, bound to the login session of the
 * credential that it came with (B3).
 */
export class ModernExchange implements ModernConnection {
  readonly label = `x_${randomSecret().slice(0, 8)}`;
  readonly transport = "streamable-http";
  readonly login: WatchedLoginSession;
  readonly credential: Credential;
  readonly ended: Promise<LatchkeyError>;
  readonly #options: ModernExchangeOptions;
  readonly #abort = new AbortController();
  /** What the answer itself goes by: aborted only when nobody is to get one. */
  readonly #wire = new AbortController();
  readonly #timer: Timer | undefined;
  #end: (error: LatchkeyError) => void = () => {};
  #isOpen = true;
  #keepsAnswer = false;

  constructor(options: ModernExchangeOptions) {
    const { login, credential, clock, credentialGraceMs } = options;
    this.#options = options;
    this.login = login;
    this.credential = credential;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const { expiresAt } = credential;
    if (expiresAt !== undefined)
      this.#timer = clock.schedule(expiresAt + credentialGraceMs - clock.now(), () =>
        this.cut(new LatchkeyError("unauthorized", "The credential of this request has expired. Present a new one.")),
      );
  }

  /** Aborts when no answer is wanted any more. */
  get wireSignal(): AbortSignal {
    return this.#wire.signal;
  }

  /** The one call that it is, also when it has been given up. */
  call(): RunningCall {
    const exchange = this;
    return {
      signal: this.#abort.signal,
      get isOpen() {
        return exchange.#isOpen;
      },
      keepAnswer: () => {
        exchange.#keepsAnswer = true;
      },
      releaseAnswer: () => {
        exchange.#keepsAnswer = false;
      },
    };
  }

  /** Who asked, heard of just now: what it asked for is still there. */
  get clientSeen(): ClientSeen | undefined {
    const { client, clock } = this.#options;
    return client && { ...client, transport: this.transport, lastSeenAt: clock.now() };
  }

  clients(): readonly ClientSeen[] {
    return this.#options.clients();
  }

  /**
   * Its login session serves it no more: a running call is answered with the error, unless it is the one that asked for
   * the end; a stream is cut.
   */
  fail(error: LatchkeyError, isCall: boolean): void {
    if (this.#keepsAnswer) return;
    this.#give(error);
    if (!isCall) this.#wire.abort(error);
  }

  /** Nobody gets an answer any more. */
  cut(error: LatchkeyError): void {
    this.#give(error);
    this.#wire.abort(error);
  }

  /** It has been answered. */
  done(): void {
    this.#isOpen = false;
    this.#timer?.cancel();
    this.login.release();
  }

  #give(error: LatchkeyError): void {
    this.#isOpen = false;
    this.#end(error);
    this.#abort.abort(error);
  }
}
