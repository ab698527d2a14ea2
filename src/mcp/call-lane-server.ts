import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  type CallToolRequest,
  CallToolRequestSchema,
  type CallToolResult,
  CallToolResultSchema,
  ErrorCode,
  type JSONRPCMessage,
  McpError,
  RELATED_TASK_META_KEY,
  type RequestId,
  type ServerNotification,
} from "@modelcontextprotocol/sdk/types.js";

/** Answers one `tools/call`. `notify` sends a notification about it. What it throws becomes a JSON-RPC error. */
export type CallHandler = (
  request: CallToolRequest,
  id: RequestId,
  notify: (notification: ServerNotification) => Promise<void>,
) => Promise<CallToolResult>;

/**
 * The SDK's server with a way of its own for `tools/call`, which is nearly all that a connection is asked. The SDK's way
 * checks such a message seven times with zod and makes a controller and a dozen closures: a quarter of the time that a
 * whole request takes (bench/tools-call.ts). The answers are the same, but for parameters that MCP does not allow: the SDK calls
 * them an internal error. Calls that have to do with tasks still go its way.
 *
 * Cancellation is the transport's: it must not deliver an answer that nobody waits for, and not hand a cancelled
 * notification to the SDK, which would not know the call.
 */
export class CallLaneServer extends Server {
  #handler: CallHandler | undefined;

  setCallHandler(handler: CallHandler): void {
    this.#handler = handler;
    this.setRequestHandler(CallToolRequestSchema, (request, extra) => handler(request, extra.requestId, extra.sendNotification));
  }

  override async connect(transport: Transport): Promise<void> {
    // The SDK installs its callbacks before it first waits.
    const connected = super.connect(transport);
    const toSdk = transport.onmessage;
    transport.onmessage = (message, extra) => {
      if (!this.#takes(message, transport)) toSdk?.(message, extra);
    };
    await connected;
  }

  #takes(message: JSONRPCMessage, transport: Transport): boolean {
    if (this.#handler === undefined || !("method" in message && "id" in message) || message.method !== "tools/call") return false;
    const request = CallToolRequestSchema.safeParse(message);
    if (!request.success) {
      void this.#send(errorAnswer(wrongParameters(request.error.issues), message.id), transport);
      return true;
    }
    if (request.data.params.task !== undefined) return false;
    if (request.data.params._meta?.[RELATED_TASK_META_KEY] !== undefined) return false;
    void this.#answer(request.data, message.id, this.#handler, transport);
    return true;
  }

  async #answer(request: CallToolRequest, id: RequestId, handler: CallHandler, transport: Transport): Promise<void> {
    // Not within the delivery: what else has arrived with this message, a cancellation perhaps, comes first.
    await undefined;
    let answer: JSONRPCMessage;
    try {
      const notify = (notification: ServerNotification): Promise<void> => this.notification(notification, { relatedRequestId: id });
      answer = { result: checkedResult(await handler(request, id, notify)), jsonrpc: "2.0", id };
    } catch (error) {
      answer = errorAnswer(error, id);
    }
    await this.#send(answer, transport);
  }

  async #send(answer: JSONRPCMessage, transport: Transport): Promise<void> {
    // Closed meanwhile: there is nobody to answer.
    if (this.transport !== transport) return;
    try {
      await transport.send(answer);
    } catch (error) {
      this.onerror?.(new Error(`Failed to send response: ${error}`));
    }
  }
}

/** As the SDK does, so that a client never gets what it would refuse. */
function checkedResult(result: CallToolResult): CallToolResult {
  const checked = CallToolResultSchema.safeParse(result);
  if (checked.success) return checked.data;
  throw new McpError(ErrorCode.InvalidParams, `Invalid tools/call result: ${checked.error.message}`);
}

/** JSON-RPC 2.0, section 5.1: it is the client's mistake. Names places and types, no values. */
function wrongParameters(issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]): object {
  const problems = issues.map(({ path, message }) => `${path.map(String).join(".")}: ${message}`);
  return { code: ErrorCode.InvalidParams, message: `The parameters of tools/call do not fit. ${problems.join("; ")}` };
}

function errorAnswer(error: unknown, id: RequestId): JSONRPCMessage {
  const { code, message, data }: { code?: unknown; message?: unknown; data?: unknown } =
    typeof error === "object" && error !== null ? error : {};
  return {
    jsonrpc: "2.0",
    id,
    error: {
      code: typeof code === "number" && Number.isSafeInteger(code) ? code : ErrorCode.InternalError,
      message: typeof message === "string" ? message : "Internal error",
      ...(data === undefined ? {} : { data }),
    },
  };
}
