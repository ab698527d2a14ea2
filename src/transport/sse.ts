import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Logger } from "../logger.ts";
import type { Connection } from "./connection.ts";
import { sendEmpty, sendProblem, sendRpcError } from "./http-answers.ts";
import type { HttpGate } from "./http-gate.ts";
import type { HttpTransport, McpRequest } from "./http-transport.ts";
import { rpcCodes } from "./message.ts";
import { SseStream } from "./sse-stream.ts";
import type { Wire } from "./wire.ts";

export interface SseOptions {
  readonly gate: HttpGate;
  readonly logger: Logger;
  /** As many bytes may wait for a slow reader of one stream. */
  readonly streamLimitBytes: number;
}

/**
 * The legacy HTTP+SSE transport (MCP 2024-11-05): GET `/sse` opens the one stream of a connection and names the
 * address for its messages; POST `/messages?sessionId=` takes them. The connection lives as long as its stream.
 */
export class Sse implements HttpTransport {
  readonly routes = new Map([
    ["/sse", ["GET"]],
    ["/messages", ["POST"]],
  ]);
  readonly allowsCors = false;
  readonly #options: SseOptions;

  constructor(options: SseOptions) {
    this.#options = options;
  }

  handle(mcp: McpRequest): Promise<void> {
    return mcp.path === "/sse" ? this.#open(mcp) : this.#post(mcp);
  }

  async #open(mcp: McpRequest): Promise<void> {
    const { request, response } = mcp;
    const { accept = "*/*" } = request.headers;
    if (!/text\/event-stream|text\/\*|\*\/\*/i.test(accept))
      return sendProblem(response, {
        status: 406,
        title: "Not Acceptable",
        code: "invalid_request",
        detail: "This is a stream: the Accept header must allow text/event-stream.",
      });
    const { logger, streamLimitBytes } = this.#options;
    const connection = await this.#options.gate.open("sse", mcp, (opened) => {
      const onTooSlow = (): void => {
        logger.warn("A connection was closed: its client does not read its stream.", { connection: opened.label });
        opened.close("slow_reader");
      };
      return new SseWire(opened, new SseStream(response, streamLimitBytes, onTooSlow));
    });
    if (connection === undefined) return;
    response.on("close", () => connection.close("client"));
    // The client may have gone while the login session was read.
    if (response.destroyed) connection.close("client");
  }

  async #post(mcp: McpRequest): Promise<void> {
    const { response, query, credential } = mcp;
    const { gate } = this.#options;
    if (!gate.hasJsonContent(mcp)) return;
    const id = new URLSearchParams(query).get("sessionId");
    if (id === null || id === "")
      return sendRpcError(response, 400, {
        rpcCode: rpcCodes.refused,
        message: "The sessionId is missing. Open GET /sse first, and post to the address that it names.",
        code: "invalid_request",
      });
    const connection = await gate.find("sse", id, mcp);
    if (connection === undefined) return;
    const body = await gate.readMessages(mcp);
    if (body === undefined || !gate.stillOpen(connection, mcp)) return;
    if (!gate.hasFreeIds(connection, body.messages, response)) return;
    connection.accept(credential);
    sendEmpty(response, 202, "Accepted");
    connection.deliver(body.messages);
  }
}

/** The wire of one HTTP+SSE connection: its stream. */
class SseWire implements Wire {
  readonly #connection: Connection;
  readonly #stream: SseStream;

  constructor(connection: Connection, stream: SseStream) {
    this.#connection = connection;
    this.#stream = stream;
    stream.event("endpoint", `/messages?sessionId=${connection.id}`);
  }

  get holdsStream(): boolean {
    return this.#stream.isOpen;
  }

  send(message: JSONRPCMessage): boolean {
    return this.#stream.message(message);
  }

  /** Other answers go the same way: nothing ends. */
  drop(): void {}

  keepAlive(): void {
    this.#stream.keepAlive();
  }

  endStreams(): void {
    this.#connection.close("credential_expired");
  }

  /** With an answer to come the stream stays; it ends with the connection. */
  close(kept: ReadonlySet<unknown>): void {
    if (kept.size === 0) this.#stream.end();
  }
}
