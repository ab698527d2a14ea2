import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import {
  type CallToolRequest,
  type CallToolResult,
  ErrorCode,
  ListToolsRequestSchema,
  type RequestId,
} from "@modelcontextprotocol/sdk/types.js";
import { asLatchkeyError, LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { LoginSession, LoginSessionHandle } from "../session/login-session.ts";
import type { CallHost } from "../tool/call-host.ts";
import type { ToolContext, ToolResult, ToolTable } from "../tool/tool.ts";
import { CallLaneServer } from "./call-lane-server.ts";
import { type AccessTokens, ConnectionCallHost, type EndLoginSession, type SendProgress } from "./connection-call-host.ts";
import { LoginPrompt } from "./login-prompt.ts";
import type { Refusal, RunningCall, ServedConnection } from "./served-connection.ts";
import { type CatalogEntry, createToolCatalog, type ToolCatalog } from "./tool-catalog.ts";
import { toolErrorResult } from "./tool-errors.ts";

export interface ServerFactoryOptions {
  readonly name: string;
  readonly title?: string | undefined;
  readonly version: string;
  /** Told to the client, which may tell its model. */
  readonly instructions?: string | undefined;
  readonly tools: ToolTable;
  readonly createContext: (host: CallHost) => ToolContext;
  readonly tokens: AccessTokens;
  readonly endLoginSession: EndLoginSession;
  /** Where the user signs in, to repair this login session or, without a handle, for a new one; undefined: there is no such page. */
  readonly loginLink: (repair: LoginSessionHandle | undefined) => string | undefined;
  /** `login_required` or `login_ended`, with the reason in words, for a login session that serves nothing any more. */
  readonly deadLoginError: (login: LoginSession) => LatchkeyError;
  readonly logger: Logger;
}

/** Makes the MCP servers of connections from one tool table. */
export interface ServerFactory {
  /** A server of this connection alone (B2). What servers share is immutable. */
  create(connection: ServedConnection): Server;
  /** The answer to a tool call that `error` ended from outside. */
  failedCall(error: LatchkeyError, login: LoginSession | undefined): CallToolResult;
  deadLoginError(login: LoginSession): LatchkeyError;
}

/**
 * A factory of low-level SDK v1 servers: capability `tools`, answers to `tools/list` and `tools/call`.
 * Throws LatchkeyError `configuration_invalid` for a tool whose schema cannot be compiled.
 */
export function createServerFactory(options: ServerFactoryOptions): ServerFactory {
  return new SdkServerFactory(options, createToolCatalog(options.tools));
}

class SdkServerFactory implements ServerFactory {
  readonly #options: ServerFactoryOptions;
  readonly #catalog: ToolCatalog;

  constructor(options: ServerFactoryOptions, catalog: ToolCatalog) {
    this.#options = options;
    this.#catalog = catalog;
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
    server.setCallHandler(async (request, id, notify) => {
      const call = connection.call(id);
      // Cancelled before it began: nobody gets this.
      if (call === undefined || !call.isOpen) return { content: [] };
      const token = request.params._meta?.progressToken;
      const sendProgress: SendProgress | undefined =
        token === undefined
          ? undefined
          : (progress, total, message) => {
              const params = {
                progressToken: token,
                progress,
                ...(total === undefined ? {} : { total }),
                ...(message === undefined ? {} : { message }),
              };
              notify({ method: "notifications/progress", params }).catch(() => {
                // The client is gone: nobody is left to tell.
              });
            };
      return this.#call(connection, prompt, request, id, call, sendProgress);
    });
    return server;
  }

  failedCall(error: LatchkeyError, login: LoginSession | undefined): CallToolResult {
    return toolErrorResult(error, this.#loginUrl(error, login));
  }

  deadLoginError(login: LoginSession): LatchkeyError {
    return this.#options.deadLoginError(login);
  }

  /** What has ended cannot be repaired: there the link is that of a new sign-in. */
  #loginUrl(error: LatchkeyError, login: LoginSession | undefined): string | undefined {
    if (error.code === "login_required") return this.#options.loginLink(login?.handle);
    return error.code === "login_ended" ? this.#options.loginLink(undefined) : undefined;
  }

  async #call(
    connection: ServedConnection,
    prompt: LoginPrompt,
    request: CallToolRequest,
    requestId: RequestId,
    call: RunningCall,
    sendProgress: SendProgress | undefined,
  ): Promise<CallToolResult> {
    const { name, arguments: args = {} } = request.params;
    const entry = this.#catalog.entries.get(name);
    if (entry === undefined) throw new RpcError(ErrorCode.InvalidParams, `Unknown tool: ${name}`);
    if (connection.admit !== undefined) {
      const refused = this.#refuse(await connection.admit(name), prompt);
      if (refused !== undefined || !call.isOpen) return refused ?? { content: [] };
    }
    const { login } = connection;
    // Only a stdio connection outlives its login session; the others are closed by now.
    if (login.current().state === "ended") return this.failedCall(this.deadLoginError(login.current()), login.current());
    const problems = entry.checkArguments(args);
    if (problems !== undefined)
      return toolErrorResult(new LatchkeyError("invalid_request", `The arguments of ${name} do not match its input schema: ${problems}.`));
    const { tokens, endLoginSession, createContext, logger } = this.#options;
    const host = new ConnectionCallHost({ toolName: name, connection, call, tokens, endLoginSession, sendProgress, logger });
    try {
      return checkedResult(entry, await entry.tool.run(args, createContext(host)));
    } catch (thrown) {
      const error = asLatchkeyError(thrown);
      // An aborted call has its answer already; what its tool throws afterwards is no news.
      if (!call.signal.aborted) this.#report(error, name, connection, requestId);
      const needsLogin = error.code === "login_required" || error.code === "login_ended";
      const refused = needsLogin && !call.signal.aborted ? this.#refuse(await connection.admit?.(name), prompt) : undefined;
      if (refused !== undefined) return refused;
      const { state, epoch, handle } = login.current();
      if (needsLogin && state === "login_required") prompt.ask(`${handle} ${epoch}`, this.#options.loginLink(handle));
      return this.failedCall(error, login.current());
    }
  }

  #refuse(refusal: Refusal | undefined, prompt: LoginPrompt): CallToolResult | undefined {
    if (refusal === undefined) return undefined;
    prompt.ask(refusal.loginUrl ?? "", refusal.loginUrl, refusal.signedIn);
    return toolErrorResult(refusal.error, refusal.loginUrl);
  }

  #report(error: LatchkeyError, tool: string, connection: ServedConnection, requestId: RequestId): void {
    const fields = { tool, code: error.code, login: connection.login.current().handle, connection: connection.label, request: requestId };
    if (error.code === "internal_error") this.#options.logger.error("A tool failed.", { ...fields, error });
    else this.#options.logger.info("A tool call ended with an error.", fields);
  }
}

/** A JSON-RPC error. The SDK's own class writes its code into the message, and its client does so again. */
class RpcError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

function checkedResult(entry: CatalogEntry, result: ToolResult): CallToolResult {
  const problems = result.isError ? undefined : entry.checkStructured?.(result.structured);
  if (problems !== undefined)
    throw new LatchkeyError("internal_error", `The answer of ${entry.tool.name} does not match its own output schema.`, {
      cause: new Error(problems),
    });
  return {
    content: result.content.map((part) => ({ ...part })),
    ...(result.structured === undefined ? {} : { structuredContent: { ...result.structured } }),
    ...(result.isError === undefined ? {} : { isError: result.isError }),
  };
}
