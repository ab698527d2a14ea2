import { type ListToolsResult, ProtocolError, ProtocolErrorCode, Server } from "@modelcontextprotocol/server";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/server/validators/ajv";
import type { LatchkeyError } from "../errors.ts";
import type { SendProgress } from "./connection-call-host.ts";
import type { RunningCall, ServedConnection } from "./served-connection.ts";
import type { ToolCalls } from "./tool-calls.ts";
import type { ToolCatalog } from "./tool-catalog.ts";

/** What a modern server is called, and says of itself. */
export interface ModernServerOptions {
  readonly name: string;
  readonly title?: string | undefined;
  readonly version: string;
  readonly instructions?: string | undefined;
}

/** One request of the modern era: a connection of its own, with its one call. */
export interface ServedExchange extends ServedConnection {
  readonly running: RunningCall;
  /** Resolves with the error that ended the exchange from outside, if one does. */
  readonly ended: Promise<LatchkeyError>;
}

/** Makes the MCP servers of the modern era (2026-07-28, SDK v2) from the tools of the legacy one. */
export class ModernServers {
  readonly #options: ModernServerOptions;
  readonly #calls: ToolCalls;
  /** A copy: nothing of one SDK's flows into the other. */
  readonly #tools: ListToolsResult["tools"];
  /** One for all: it holds compiled schemas and nothing else. */
  readonly #validator = new AjvJsonSchemaValidator();

  constructor(options: ModernServerOptions, catalog: ToolCatalog, calls: ToolCalls) {
    this.#options = options;
    this.#tools = JSON.parse(JSON.stringify(catalog.list.tools));
    this.#calls = calls;
  }

  /** A server of this exchange alone (B2). What servers share is immutable. */
  create(exchange: ServedExchange): Server {
    const { name, title, version, instructions } = this.#options;
    const server = new Server(
      { name, version, ...(title === undefined ? {} : { title }) },
      {
        capabilities: { tools: {} },
        jsonSchemaValidator: this.#validator,
        // Whom a list is for decides what stands in it: no shared cache may keep it.
        cacheHints: { "tools/list": { ttlMs: 0, cacheScope: "private" }, "server/discover": { ttlMs: 0, cacheScope: "private" } },
        ...(instructions === undefined ? {} : { instructions }),
      },
    );
    server.setRequestHandler("tools/list", () => ({ tools: this.#tools }));
    server.setRequestHandler("tools/call", async (request, { mcpReq }) => {
      const { name: tool, arguments: args = {}, _meta: meta } = request.params;
      const answer = this.#calls.run({
        connection: exchange,
        call: exchange.running,
        requestId: mcpReq.id,
        name: tool,
        args,
        sendProgress: progressSender(meta?.progressToken, (params) => mcpReq.notify({ method: "notifications/progress", params })),
      });
      // What ends it from outside is answered at once, whatever the tool does (B9).
      const first = await Promise.race([answer, exchange.ended.then((error) => this.#calls.failedCall(error, exchange.login.current()))]);
      if (first === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${tool}`);
      return first;
    });
    return server;
  }
}

function progressSender(
  progressToken: string | number | undefined,
  notify: (params: Record<string, unknown>) => Promise<void>,
): SendProgress | undefined {
  if (progressToken === undefined) return undefined;
  return (progress, total, message) => {
    notify({ progressToken, progress, ...(total === undefined ? {} : { total }), ...(message === undefined ? {} : { message }) }).catch(
      () => {
        // The client is gone: nobody is left to tell.
      },
    );
  };
}
