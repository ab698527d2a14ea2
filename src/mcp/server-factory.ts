import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { ErrorCode, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import type { LatchkeyError } from "../errors.ts";
import type { LoginSession } from "../session/login-session.ts";
import type { ToolTable } from "../tool/tool.ts";
import { CallLaneServer } from "./call-lane-server.ts";
import type { SendProgress } from "./connection-call-host.ts";
import { LoginPrompt } from "./login-prompt.ts";
import type { ModernServers } from "./modern-servers.ts";
import { RpcError } from "./rpc-error.ts";
import type { ServedConnection } from "./served-connection.ts";
import { type ToolCallServices, ToolCalls } from "./tool-calls.ts";
import { createToolCatalog, type ToolCatalog } from "./tool-catalog.ts";
import type { CallAnswer } from "./tool-errors.ts";

export interface ServerFactoryOptions extends ToolCallServices {
  readonly name: string;
  readonly title?: string | undefined;
  readonly version: string;
  /** Told to the client, which may tell its model. */
  readonly instructions?: string | undefined;
  readonly tools: ToolTable;
}

/** Makes the MCP servers of connections from one tool table. */
export interface ServerFactory {
  /** A server of this connection alone (B2). What servers share is immutable. */
  create(connection: ServedConnection): Server;
  /** The answer to a tool call that `error` ended from outside. */
  failedCall(error: LatchkeyError, login: LoginSession | undefined): CallAnswer;
  deadLoginError(login: LoginSession): LatchkeyError;
  /** The servers of the modern era, from the same tools. Its SDK is loaded when it is first asked for. */
  modern(): Promise<ModernServers>;
}

/**
 * A factory of low-level SDK v1 servers: capability `tools`, answers to `tools/list` and `tools/call`.
 * Throws LatchkeyError `configuration_invalid` for a tool whose schema cannot be compiled.
 */
export function createServerFactory(options: ServerFactoryOptions): ServerFactory {
  const catalog = createToolCatalog(options.tools);
  return new SdkServerFactory(options, catalog, new ToolCalls(options, catalog));
}

class SdkServerFactory implements ServerFactory {
  readonly #options: ServerFactoryOptions;
  readonly #catalog: ToolCatalog;
  readonly #calls: ToolCalls;
  #modern: Promise<ModernServers> | undefined;

  constructor(options: ServerFactoryOptions, catalog: ToolCatalog, calls: ToolCalls) {
    this.#options = options;
    this.#catalog = catalog;
    this.#calls = calls;
  }

  create(connection: ServedConnection): Server {
    const { name, title, version, instructions, logger } = this.#options;
    const server = new CallLaneServer(
      { name, version, ...(title === undefined ? {} : { title }) },
      {
        capabilities: { tools: {} },
        jsonSchemaValidator: this.#catalog.validator,
        ...(instructions === undefined ? {} : { instructions }),
      },
    );
    const prompt = new LoginPrompt(server);
    server.onerror = (error) => logger.debug("An MCP message could not be processed.", { error, connection: connection.label });
    server.setRequestHandler(ListToolsRequestSchema, () => this.#catalog.list);
    server.setCallHandler(async (request, requestId, notify) => {
      const call = connection.call(requestId);
      // Cancelled before it began: nobody gets this.
      if (call === undefined || !call.isOpen) return { content: [] };
      const { name: tool, arguments: args = {}, _meta: meta } = request.params;
      const sendProgress = progressSender(meta?.progressToken, notify);
      const answer = await this.#calls.run({ connection, call, requestId, name: tool, args, sendProgress, prompt });
      if (answer === undefined) throw new RpcError(ErrorCode.InvalidParams, `Unknown tool: ${tool}`);
      return answer;
    });
    return server;
  }

  modern(): Promise<ModernServers> {
    this.#modern ??= import("./modern-servers.ts").then(
      ({ ModernServers }) => new ModernServers(this.#options, this.#catalog, this.#calls),
    );
    return this.#modern;
  }

  failedCall(error: LatchkeyError, login: LoginSession | undefined): CallAnswer {
    return this.#calls.failedCall(error, login);
  }

  deadLoginError(login: LoginSession): LatchkeyError {
    return this.#calls.deadLoginError(login);
  }
}

/** Undefined: the client did not ask for progress. */
function progressSender(
  progressToken: string | number | undefined,
  notify: Parameters<Parameters<CallLaneServer["setCallHandler"]>[0]>[2],
): SendProgress | undefined {
  if (progressToken === undefined) return undefined;
  return (progress, total, message) => {
    const params = {
      progressToken,
      progress,
      ...(total === undefined ? {} : { total }),
      ...(message === undefined ? {} : { message }),
    };
    notify({ method: "notifications/progress", params }).catch(() => {
      // The client is gone: nobody is left to tell.
    });
  };
}
