import type { IncomingMessage, ServerResponse } from "node:http";
import type { Audit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Authenticator } from "../session/authenticator.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import { type ClientAddress, createClientAddress } from "./client-address.ts";
import type { ConnectionRegistry } from "./connection-registry.ts";
import type { HostCheck } from "./host-check.ts";
import { sendEmpty, sendProblem } from "./http-answers.ts";
import { type Challenge, HttpGate } from "./http-gate.ts";
import type { HttpTransport } from "./http-transport.ts";
import { ModernHttp, type ModernHttpOptions } from "./modern-http.ts";
import { Sse } from "./sse.ts";
import { StreamableHttp } from "./streamable-http.ts";

export interface McpHttpSettings {
  /** The largest body of a POST. */
  readonly maxBodyBytes: number;
  /** As many bytes may wait for a slow reader of one stream; then it is cut off. */
  readonly streamLimitBytes: number;
  /** How long `close` waits for running calls. */
  readonly drainSeconds: number;
  /** What a client that was refused at this path is told of how to sign in. Undefined: nothing. */
  readonly challenge?: Challenge | undefined;
}

const defaultMcpHttpSettings: McpHttpSettings = {
  maxBodyBytes: 4 * 1024 * 1024,
  streamLimitBytes: 8 * 1024 * 1024,
  drainSeconds: 10,
};

export interface McpHttpOptions {
  readonly registry: ConnectionRegistry;
  readonly authenticator: Authenticator;
  readonly loginSessions: LoginSessions;
  readonly checkHost: HostCheck;
  /** Default: the other end of the socket. */
  readonly clientAddress?: ClientAddress | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
  readonly settings?: Partial<McpHttpSettings> | undefined;
  /** The servers of the modern era; undefined: it is not served. */
  readonly modern?: Pick<ModernHttpOptions, "servers" | "maxExchanges" | "maxExchangesPerLoginSession"> | undefined;
  /** Other transports than the two of the legacy era. */
  readonly transports?: readonly HttpTransport[] | undefined;
}

/** What a page of a configured foreign origin may send and read on `/mcp`. */
const preflightHeaders = {
  "access-control-allow-methods": "GET, POST, DELETE",
  "access-control-allow-headers":
    "authorization, content-type, accept, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name, last-event-id",
  "access-control-max-age": "7200",
};

/**
 * MCP over HTTP on node:http: `/mcp`, `/sse`, `/messages`. Every request is checked by itself, in this order: Host and
 * Origin (B12), credential (B4), verb; then its transport has it.
 */
export class McpHttp {
  readonly #options: McpHttpOptions;
  readonly #settings: McpHttpSettings;
  readonly #gate: HttpGate;
  readonly #routes = new Map<string, { readonly transport: HttpTransport; readonly methods: readonly string[] }>();
  readonly #modern: ModernHttp | undefined;
  #isClosing = false;

  constructor(options: McpHttpOptions) {
    const { registry, authenticator, loginSessions, clock, logger, audit } = options;
    this.#options = options;
    this.#settings = { ...defaultMcpHttpSettings, ...options.settings };
    const { maxBodyBytes, streamLimitBytes, challenge } = this.#settings;
    const clientAddress = options.clientAddress ?? createClientAddress([]);
    const gate = new HttpGate({ registry, authenticator, loginSessions, challenge, maxBodyBytes, clientAddress, logger, audit });
    this.#gate = gate;
    const modern =
      options.modern === undefined ? undefined : new ModernHttp({ ...options.modern, registry, gate, loginSessions, clock, logger });
    this.#modern = modern;
    const own = [new StreamableHttp({ gate, clock, logger, streamLimitBytes, modern }), new Sse({ gate, logger, streamLimitBytes })];
    for (const transport of options.transports ?? own)
      for (const [path, methods] of transport.routes) this.#routes.set(path, { transport, methods });
  }

  /** Whether this path is MCP's. */
  handles(pathname: string): boolean {
    return this.#routes.has(pathname);
  }

  /** Answers a request to one of its paths. It never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#handle(request, response);
    } catch (error) {
      this.#options.logger.error("An MCP request failed.", { error, method: request.method });
      sendProblem(response, {
        status: 500,
        title: "Internal Server Error",
        code: "internal_error",
        detail: "Something went wrong inside Latchkey. The log has the cause.",
      });
      // A stream had begun: better cut off than open for ever.
      if (!response.writableEnded) response.destroy();
    }
  }

  /** Takes nothing new, lets running calls finish for `drainSeconds`, then closes all connections. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const limitMs = this.#settings.drainSeconds * 1000;
    await Promise.all([this.#options.registry.drain(limitMs), this.#modern?.close(limitMs)]);
    this.#options.registry.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { path, query } = splitTarget(request.url ?? "/");
    const route = this.#routes.get(path);
    if (route === undefined)
      return sendProblem(response, { status: 404, title: "Not Found", code: "not_found", detail: "There is nothing at this path." });
    const verdict = this.#options.checkHost(request);
    if (verdict.kind === "refused") return forbidden(response, verdict.problem);
    if (verdict.origin === "cors") {
      if (!route.transport.allowsCors) return forbidden(response, "Pages of other origins may use /mcp only.");
      response.setHeader("access-control-allow-origin", request.headers.origin ?? "");
      response.setHeader("access-control-expose-headers", "mcp-session-id, www-authenticate, retry-after");
      response.setHeader("vary", "origin");
      if (request.method === "OPTIONS") return sendEmpty(response, 204, "", preflightHeaders);
    }
    if (this.#isClosing) return this.#gate.shuttingDown(response);
    const credential = await this.#gate.authenticate(request, response);
    if (credential === undefined) return;
    if (!route.methods.includes(request.method ?? ""))
      return sendProblem(
        response,
        { status: 405, title: "Method Not Allowed", code: "invalid_request", detail: `This path takes ${route.methods.join(", ")}.` },
        { allow: route.methods.join(", ") },
      );
    await route.transport.handle({ request, response, path, query, credential });
  }
}

function forbidden(response: ServerResponse, detail: string): void {
  sendProblem(response, { status: 403, title: "Forbidden", code: "forbidden", detail });
}

/** The target of a request is a path with a query, or, through some proxies, a whole address. */
function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const relative = target.startsWith("/") ? target : target.replace(/^[a-z]+:\/\/[^/?]*/i, "");
  const mark = relative.indexOf("?");
  return mark === -1 ? { path: relative, query: "" } : { path: relative.slice(0, mark), query: relative.slice(mark + 1) };
}
