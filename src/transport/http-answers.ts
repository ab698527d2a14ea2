import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { LatchkeyErrorCode } from "../errors.ts";
import { rpcError } from "./message.ts";

export interface Problem {
  readonly status: number;
  readonly title: string;
  readonly code: LatchkeyErrorCode;
  readonly detail: string;
}

/** Answers with a problem document (RFC 9457) with a stable `code`. Nothing happens when the answer has begun already. */
export function sendProblem(response: ServerResponse, { status, title, code, detail }: Problem, headers: OutgoingHttpHeaders = {}): void {
  send(response, status, "application/problem+json", { type: "about:blank", title, status, detail, code }, headers);
}

/** Answers with a JSON-RPC error: what MCP clients read when a message cannot be taken in. */
export function sendRpcError(
  response: ServerResponse,
  status: number,
  error: { readonly id?: RequestId | null; readonly rpcCode: number; readonly message: string; readonly code?: LatchkeyErrorCode },
): void {
  const data = error.code === undefined ? undefined : { code: error.code };
  send(response, status, "application/json", rpcError(error.id ?? null, error.rpcCode, error.message, data), {});
}

/** Answers without a body, or with a word for people. */
export function sendEmpty(response: ServerResponse, status: number, text = "", headers: OutgoingHttpHeaders = {}): void {
  if (response.headersSent) return;
  response.writeHead(status, {
    ...headers,
    "content-length": Buffer.byteLength(text),
    ...(text === "" ? {} : { "content-type": "text/plain" }),
  });
  response.end(text);
}

/** Answers a request with JSON of our own making. */
export function sendJson(response: ServerResponse, json: string): void {
  if (response.headersSent) return;
  response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store", "content-length": Buffer.byteLength(json) });
  response.end(json);
}

function send(response: ServerResponse, status: number, type: string, body: unknown, headers: OutgoingHttpHeaders): void {
  if (response.headersSent) return;
  const json = JSON.stringify(body);
  response.writeHead(status, { ...headers, "content-type": type, "cache-control": "no-store", "content-length": Buffer.byteLength(json) });
  response.end(json);
}
