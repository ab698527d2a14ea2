import {
  type JSONRPCErrorResponse,
  JSONRPCErrorResponseSchema,
  type JSONRPCMessage,
  type JSONRPCNotification,
  JSONRPCNotificationSchema,
  type JSONRPCRequest,
  JSONRPCRequestSchema,
  type JSONRPCResultResponse,
  JSONRPCResultResponseSchema,
  type RequestId,
} from "@modelcontextprotocol/sdk/types.js";

/** A message of the client, checked. */
export type ClientMessage =
  | { readonly kind: "request"; readonly message: JSONRPCRequest }
  | { readonly kind: "notification"; readonly message: JSONRPCNotification }
  | { readonly kind: "response"; readonly message: JSONRPCResultResponse | JSONRPCErrorResponse };

/** What stands in a body or a line. `id`: of the request that cannot be used, null where there is none to be read. */
export type ParsedMessages =
  | { readonly kind: "messages"; readonly messages: readonly ClientMessage[]; readonly isBatch: boolean }
  | { readonly kind: "invalid"; readonly code: number; readonly problem: string; readonly id: RequestId | null };

/** Codes of JSON-RPC 2.0, section 5.1; `refused` is the SDK's for what the transport itself turns down. */
export const rpcCodes = { parseError: -32700, invalidRequest: -32600, invalidParams: -32602, refused: -32000, notFound: -32001 } as const;

/** As many messages as one batch may hold. */
const longestBatch = 100;

/** Reads JSON-RPC messages. Whatever comes back as `messages` is accepted by the SDK's protocol as well. */
export function parseMessages(text: string): ParsedMessages {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return invalid(rpcCodes.parseError, "This is not JSON.", null);
  }
  if (!Array.isArray(value)) return parseOne(value, false);
  if (value.length === 0) return invalid(rpcCodes.invalidRequest, "This batch is empty.", null);
  if (value.length > longestBatch) return invalid(rpcCodes.invalidRequest, `A batch may hold at most ${longestBatch} messages.`, null);
  const messages: ClientMessage[] = [];
  for (const item of value) {
    const parsed = parseOne(item, true);
    if (parsed.kind === "invalid") return parsed;
    messages.push(...parsed.messages);
  }
  return { kind: "messages", messages, isBatch: true };
}

/** A JSON-RPC error response. `id` null: it cannot be told which request it is about. */
export function rpcError(id: RequestId | null, code: number, message: string, data?: Readonly<Record<string, unknown>>) {
  return { jsonrpc: "2.0" as const, id, error: { code, message, ...(data === undefined ? {} : { data }) } };
}

/** True for an answer; false for a request or a notification. */
export function isAnswer(message: JSONRPCMessage): message is JSONRPCResultResponse | JSONRPCErrorResponse {
  return !("method" in message);
}

function parseOne(value: unknown, isBatch: boolean): ParsedMessages {
  const message = classify(value);
  if (message !== undefined) return { kind: "messages", messages: [message], isBatch };
  return invalid(rpcCodes.invalidRequest, "This is not a JSON-RPC 2.0 message as MCP defines it.", readableId(value));
}

/** One schema each, chosen by the members: trying all of them in turn costs four times as much. */
function classify(value: unknown): ClientMessage | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if ("method" in value) {
    if ("id" in value) {
      const request = JSONRPCRequestSchema.safeParse(value);
      return request.success ? { kind: "request", message: request.data } : undefined;
    }
    const notification = JSONRPCNotificationSchema.safeParse(value);
    return notification.success ? { kind: "notification", message: notification.data } : undefined;
  }
  if ("error" in value) {
    const failure = JSONRPCErrorResponseSchema.safeParse(value);
    return failure.success ? { kind: "response", message: failure.data } : undefined;
  }
  const result = JSONRPCResultResponseSchema.safeParse(value);
  return result.success ? { kind: "response", message: result.data } : undefined;
}

/** An answer to a response would be read as an answer to a request of the client's own, so only requests have one. */
function readableId(value: unknown): RequestId | null {
  if (typeof value !== "object" || value === null || !("id" in value) || !("method" in value)) return null;
  return typeof value.id === "string" || typeof value.id === "number" ? value.id : null;
}

function invalid(code: number, problem: string, id: RequestId | null): ParsedMessages {
  return { kind: "invalid", code, problem, id };
}
