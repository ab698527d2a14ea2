import type { IncomingMessage } from "node:http";
import type { isLegacyRequest, McpHttpHandler } from "@modelcontextprotocol/server";
import { type Clock, sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { ClientSeen } from "../mcp/served-connection.ts";
import type { ServerFactory } from "../mcp/server-factory.ts";
import type { LoginSession, LoginSessionId } from "../session/login-session.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import type { ConnectionRegistry, OtherConnections } from "./connection-registry.ts";
import type { HttpGate } from "./http-gate.ts";
import type { McpRequest } from "./http-transport.ts";
import { ModernExchange } from "./modern-exchange.ts";
import { modernClientOf } from "./shown-client.ts";
import { sendWebResponse, toWebRequest } from "./web-exchange.ts";

export interface ModernHttpOptions {
  /** It knows of the exchanges what it knows of connections. */
  readonly registry: ConnectionRegistry;
  readonly gate: HttpGate;
  readonly servers: Pick<ServerFactory, "modern" | "deadLoginError">;
  readonly loginSessions: LoginSessions;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Requests that are answered at one time in this process, open streams among them. */
  readonly maxExchanges: number;
  readonly maxExchangesPerLoginSession: number;
}

interface LoadedSdk {
  readonly handler: McpHttpHandler;
  readonly isLegacyRequest: typeof isLegacyRequest;
}

const credentialGraceMs = 5 * 60_000;
const retryAfterSeconds = 5;
/** The first revision of the modern era. */
export const firstModernRevision = "2026-07-28";

/**
 * The modern era (MCP 2026-07-28) on `/mcp`: each POST stands for itself. It is bound to the login session of its own
 * credential, answered by an SDK v2 server of its own (B2), and knows nothing of any other request.
 */
export class ModernHttp implements OtherConnections {
  readonly #options: ModernHttpOptions;
  #loading: Promise<LoadedSdk> | undefined;
  /** By the request that the SDK's handler was given: it hands it on to whoever makes the server. */
  readonly #exchanges = new WeakMap<Request, ModernExchange>();
  readonly #running = new Map<LoginSessionId, Map<ModernExchange, { readonly isCall: boolean; readonly settled: Promise<void> }>>();
  readonly #stopFollowing: () => void;
  #count = 0;

  constructor(options: ModernHttpOptions) {
    const { loginSessions, registry } = options;
    this.#options = options;
    registry.join(this);
    this.#stopFollowing = loginSessions.onChange((next, previous) => this.#follow(next, previous));
  }

  /** How many requests are being answered (I16). */
  get size(): number {
    return this.#count;
  }

  /** Whether a message belongs to the modern era, by its envelope and its headers. `text` is what it was read from. */
  async takes({ request }: McpRequest, text: string, message: unknown): Promise<boolean> {
    if (!mayBeModern(request, text)) return false;
    const { isLegacyRequest } = await this.#load();
    return !(await isLegacyRequest(toWebRequest(request), message));
  }

  /** Answers one request of the modern era, whose body is `message`. */
  async handle(mcp: McpRequest, message: unknown): Promise<void> {
    const { request, response, credential } = mcp;
    const { gate, loginSessions, clock, registry, maxExchanges, maxExchangesPerLoginSession } = this.#options;
    const { loginSessionId } = credential;
    const { handler } = await this.#load();
    if (this.#count >= maxExchanges) return gate.full(response, retryAfterSeconds);
    if (this.countByLoginSession(loginSessionId) >= maxExchangesPerLoginSession) return gate.loginSessionFull(response, retryAfterSeconds);
    this.#count += 1;
    try {
      const login = await loginSessions.watch(loginSessionId).catch((error: unknown) => {
        gate.unavailable(response, error);
      });
      if (response.headersSent) return;
      // From here on without waiting until it is registered: whoever ends this login session from now on finds it (R3).
      if (!gate.mayUse(login?.current(), mcp) || login === undefined) return login?.release();
      login.touch(clock.now());
      const exchange = new ModernExchange({
        login,
        credential,
        clock,
        credentialGraceMs,
        clients: () => registry.clientsOf(loginSessionId),
        client: modernClientOf(message),
      });
      await this.#track(exchange, isCall(message), async () => {
        response.on("close", () => exchange.cut(new LatchkeyError("cancelled", "The client is gone.")));
        const asked = toWebRequest(request, exchange.wireSignal);
        this.#exchanges.set(asked, exchange);
        const answer = await handler.fetch(asked, { parsedBody: message });
        await sendWebResponse(answer, response, exchange.wireSignal);
      });
    } finally {
      this.#count -= 1;
    }
  }

  countByLoginSession(id: LoginSessionId): number {
    return this.#running.get(id)?.size ?? 0;
  }

  clientsOf(id: LoginSessionId): readonly ClientSeen[] {
    return [...(this.#running.get(id)?.keys() ?? [])].flatMap(({ clientSeen }) => clientSeen ?? []);
  }

  /** A connection key was removed: what was asked with it gets nothing any more. */
  closeByKey(id: LoginSessionId, keyId: string): void {
    for (const exchange of [...(this.#running.get(id)?.keys() ?? [])])
      if (exchange.credential.kind === "connection_key" && exchange.credential.keyId === keyId)
        exchange.cut(new LatchkeyError("unauthorized", "The connection key of this request was removed."));
  }

  /** Aborts what runs for a login session that could not be ended. */
  abortCalls(id: LoginSessionId): void {
    const problem = "This call was stopped by a sign-out, which the store then could not take: the login session goes on. Sign out again.";
    for (const [exchange, call] of [...(this.#running.get(id) ?? [])]) exchange.fail(new LatchkeyError("cancelled", problem), call.isCall);
  }

  /** Waits until calls are answered, at most `limitMs`; then cuts what is left. */
  async close(limitMs: number): Promise<void> {
    const all = [...this.#running.values()].flatMap((each) => [...each.entries()]);
    const closing = new LatchkeyError("cancelled", "The server is shutting down. Repeat the call.", { retryable: true });
    for (const [exchange, call] of all) if (!call.isCall) exchange.cut(closing);
    const stop = new AbortController();
    await Promise.race([Promise.all(all.map(([, call]) => call.settled)), sleep(this.#options.clock, limitMs, stop.signal)]);
    stop.abort();
    for (const [exchange, call] of all) exchange.fail(closing, call.isCall);
    this.#stopFollowing();
    await (await this.#loading)?.handler.close();
  }

  #load(): Promise<LoadedSdk> {
    this.#loading ??= this.#loadNow();
    return this.#loading;
  }

  async #loadNow(): Promise<LoadedSdk> {
    const { servers, logger } = this.#options;
    // Loaded with the first request that needs it: most clients still begin with the legacy era.
    const [sdk, modern] = await Promise.all([import("@modelcontextprotocol/server"), servers.modern()]);
    const handler = sdk.createMcpHandler(
      ({ requestInfo }) => {
        const exchange = requestInfo === undefined ? undefined : this.#exchanges.get(requestInfo);
        if (exchange === undefined) throw new Error("A request came by without its login session.");
        return modern.create(exchange);
      },
      { legacy: "reject", onerror: (error) => logger.debug("A request of the modern era was refused.", { error }) },
    );
    return { handler, isLegacyRequest: sdk.isLegacyRequest };
  }

  async #track(exchange: ModernExchange, call: boolean, run: () => Promise<void>): Promise<void> {
    const { id } = exchange.login;
    const ofLogin = this.#running.get(id) ?? new Map();
    this.#running.set(id, ofLogin);
    const settled = run();
    ofLogin.set(exchange, { isCall: call, settled: settled.catch(() => {}) });
    try {
      await settled;
    } finally {
      this.#options.registry.leftBy(exchange.login, exchange.clientSeen);
      exchange.done();
      ofLogin.delete(exchange);
      if (ofLogin.size === 0) this.#running.delete(id);
    }
  }

  #follow(next: LoginSession, previous: LoginSession | undefined): void {
    const isOver = next.state === "ended" || (next.state === "login_required" && previous?.state !== "login_required");
    if (!isOver) return;
    for (const [exchange, call] of [...(this.#running.get(next.id) ?? [])])
      if (call.isCall || next.state === "ended") exchange.fail(this.#options.servers.deadLoginError(next), call.isCall);
  }
}

/** What has neither the envelope nor a header of the modern era is legacy, for the SDK as well. The names of revisions are dates. */
function mayBeModern({ headers }: IncomingMessage, text: string): boolean {
  const version = headers["mcp-protocol-version"];
  return (
    (typeof version === "string" && version >= firstModernRevision) ||
    headers["mcp-method"] !== undefined ||
    text.includes("io.modelcontextprotocol/") ||
    // An escaped slash, or any other way to write the same.
    text.includes("\\")
  );
}

function isCall(message: unknown): boolean {
  return typeof message === "object" && message !== null && "method" in message && message.method === "tools/call";
}
