import { type ListToolsResult, ProtocolError, ProtocolErrorCode, Server } from "@modelcontextprotocol/server";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/server/validators/ajv";
import type { LatchkeyError } from "../errors.ts";
import type { SendProgress } from "./connection-call-host.ts";
import type { ServedConnection } from "./served-connection.ts";
import type { ToolCalls } from "./tool-calls.ts";
import type { ToolCatalog } from "./tool-catalog.ts";

/** What a modern server is called, and says of itself. */
export interface ModernServerOptions {
  readonly name: string;
  readonly title?: string | undefined;
  readonly version: string;
  readonly instructions?: string | undefined;
}

/** A connection of the modern era: the one request of an exchange over HTTP, or all requests of a stdio connection. */
export interface ModernConnection extends ServedConnection {
  /** An exchange: resolves with the error that ended it from outside, if one does. A stdio connection answers by itself. */
  readonly ended?: Promise<LatchkeyError> | undefined;
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

  /** A server of this connection alone (B2). What servers share is immutable. */
  create(connection: ModernConnection): Server {
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
      const { ended } = connection;
      const call = connection.call(mcpReq.id);
      // Cancelled before it began: nobody gets this.
      if (call === undefined) return { content: [] };
      const answer = this.#calls.run({
        connection,
        call,
        requestId: mcpReq.id,
        name: tool,
        args,
        sendProgress: progressSender(meta?.progressToken, (params) => mcpReq.notify({ method: "notifications/progress", params })),
      });
      // What ends it from outside is answered at once, whatever the tool does (B9).
      const cut = ended?.then((error) => this.#calls.failedCall(error, connection.login.current()));
      const first = await (cut === undefined ? answer : Promise.race([answer, cut]));
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
