import { InitializeRequestSchema, SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/sdk/types.js";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Connection } from "./connection.ts";
import { sendEmpty, sendProblem, sendRpcError } from "./http-answers.ts";
import type { HttpGate } from "./http-gate.ts";
import type { HttpTransport, McpRequest } from "./http-transport.ts";
import { type ClientMessage, rpcCodes } from "./message.ts";
import { firstModernRevision, type ModernHttp } from "./modern-http.ts";
import type { AcceptedAnswers } from "./post-exchange.ts";
import { StreamableHttpWire } from "./streamable-http-wire.ts";

export interface StreamableHttpOptions {
  readonly gate: HttpGate;
  readonly clock: Clock;
  readonly logger: Logger;
  /** As many bytes may wait for a slow reader of one stream. */
  readonly streamLimitBytes: number;
  /** The modern era, which shares the address; undefined: it is not served. */
  readonly modern?: ModernHttp | undefined;
}

/** The one revision whose clients may send several messages at once. */
const batchRevision = "2025-03-26";

/**
 * Streamable HTTP, legacy era (MCP 2025-03-26, 2025-06-18, 2025-11-25, Transports) on `/mcp`: POST for messages, GET
 * for the one standalone stream, DELETE for the end. There is no replay: a GET with Last-Event-ID opens a new stream.
 * A client that disconnects does not cancel its calls (MCP says so); they run on, and their answers go nowhere.
 */
export class StreamableHttp implements HttpTransport {
  readonly routes = new Map([["/mcp", ["GET", "POST", "DELETE"]]]);
  readonly allowsCors = true;
  readonly #options: StreamableHttpOptions;
  readonly #wires = new WeakMap<Connection, StreamableHttpWire>();

  constructor(options: StreamableHttpOptions) {
    this.#options = options;
  }

  async handle(mcp: McpRequest): Promise<void> {
    if (this.#options.modern !== undefined && mcp.request.method !== "POST" && isModern(mcp))
      return sendProblem(
        mcp.response,
        { status: 405, title: "Method Not Allowed", code: "invalid_request", detail: "In this revision of MCP there is POST alone." },
        { allow: "POST" },
      );
    switch (mcp.request.method) {
      case "POST":
        return this.#post(mcp);
      case "GET":
        return this.#get(mcp);
      case "DELETE":
        return this.#delete(mcp);
    }
  }

  async #post(mcp: McpRequest): Promise<void> {
    const { response } = mcp;
    const accepts = acceptedAnswers(mcp);
    if (!accepts.json && !accepts.eventStream)
      return notAcceptable(mcp, "An answer is application/json or text/event-stream: the Accept header must allow them.");
    if (!this.#options.gate.hasJsonContent(mcp)) return;
    const id = sessionId(mcp);
    if (id === undefined) return this.#initialize(mcp, accepts);
    const connection = await this.#find(mcp, id);
    if (connection === undefined) return;
    const body = await this.#options.gate.readMessages(mcp);
    if (body === undefined || !this.#options.gate.stillOpen(connection, mcp)) return;
    const { messages, isBatch } = body;
    const problem = this.#messageProblem(connection, messages, isBatch);
    if (problem !== undefined)
      return sendRpcError(response, 400, { rpcCode: rpcCodes.invalidRequest, message: problem, code: "invalid_request" });
    if (!this.#options.gate.hasFreeIds(connection, messages, response)) return;
    connection.accept(mcp.credential);
    this.#deliver(mcp, connection, messages, accepts, isBatch);
  }

  /** A POST without a connection: it is of the modern era, or `initialize`, alone, which opens one. */
  async #initialize(mcp: McpRequest, accepts: AcceptedAnswers): Promise<void> {
    const { response } = mcp;
    const { gate, modern } = this.#options;
    const text = await gate.readText(mcp);
    if (text === undefined) return;
    const value = modern === undefined ? undefined : parseJson(text);
    if (modern !== undefined && value !== undefined && (await modern.takes(mcp, text, value))) return modern.handle(mcp, value);
    const body = gate.parse(mcp, text);
    if (body === undefined) return;
    const [first] = body.messages;
    const isInitialize = body.messages.some(({ kind, message }) => kind === "request" && message.method === "initialize");
    if (first === undefined || !isInitialize) {
      // A client of the modern era probes first: a 400 with this code sends it to initialize.
      if (hasUnsupportedVersion(mcp)) return unsupportedVersion(mcp);
      return sendRpcError(response, 400, {
        rpcCode: rpcCodes.refused,
        message: "The Mcp-Session-Id header is missing. Begin with initialize, and send back the id that its answer carries.",
        code: "invalid_request",
      });
    }
    if (body.messages.length > 1)
      return sendRpcError(response, 400, {
        rpcCode: rpcCodes.invalidRequest,
        message: "initialize must be alone in its message.",
        code: "invalid_request",
      });
    const parsed = InitializeRequestSchema.safeParse(first.message);
    if (!parsed.success)
      return sendRpcError(response, 400, {
        id: first.kind === "request" ? first.message.id : null,
        rpcCode: rpcCodes.invalidParams,
        message: "The parameters of initialize must be protocolVersion, capabilities and clientInfo with name and version.",
        code: "invalid_request",
      });
    const connection = await this.#options.gate.open("streamable-http", mcp, (opened) => this.#wire(opened));
    if (connection === undefined) return;
    if (response.destroyed) {
      // The client has gone meanwhile, and will never learn the id.
      connection.close("client");
      return;
    }
    response.setHeader("mcp-session-id", connection.id);
    this.#deliver(mcp, connection, body.messages, accepts, body.isBatch);
  }

  async #get(mcp: McpRequest): Promise<void> {
    if (!acceptedAnswers(mcp).eventStream) return notAcceptable(mcp, "This is a stream: the Accept header must allow text/event-stream.");
    const connection = await this.#findNamed(mcp);
    const wire = connection === undefined ? undefined : this.#wires.get(connection);
    if (connection === undefined || wire === undefined) return;
    connection.accept(mcp.credential);
    if (wire.openStandalone(mcp.response)) {
      mcp.response.on("close", () => connection.streamClosed());
      return;
    }
    sendRpcError(mcp.response, 409, {
      rpcCode: rpcCodes.refused,
      message: "This connection has its one stream open already.",
      code: "conflict",
    });
  }

  async #delete(mcp: McpRequest): Promise<void> {
    const connection = await this.#findNamed(mcp);
    if (connection === undefined) return;
    connection.close("client");
    sendEmpty(mcp.response, 200);
  }

  #deliver(mcp: McpRequest, connection: Connection, messages: readonly ClientMessage[], accepts: AcceptedAnswers, isBatch: boolean): void {
    const ids = messages.flatMap(({ kind, message }) => (kind === "request" ? [message.id] : []));
    if (ids.length > 0) this.#wires.get(connection)?.expect(ids, mcp.response, accepts, isBatch);
    connection.deliver(messages);
    if (ids.length === 0) sendEmpty(mcp.response, 202);
  }

  /** The connection that the header must name. */
  async #findNamed(mcp: McpRequest): Promise<Connection | undefined> {
    const id = sessionId(mcp);
    if (id !== undefined) return this.#find(mcp, id);
    sendRpcError(mcp.response, 400, {
      rpcCode: rpcCodes.refused,
      message: "The Mcp-Session-Id header is missing. Begin with initialize, by POST.",
      code: "invalid_request",
    });
    return undefined;
  }

  async #find(mcp: McpRequest, id: string): Promise<Connection | undefined> {
    const connection = await this.#options.gate.find("streamable-http", id, mcp);
    if (connection === undefined || !hasUnsupportedVersion(mcp)) return connection;
    unsupportedVersion(mcp);
    return undefined;
  }

  #messageProblem(connection: Connection, messages: readonly ClientMessage[], isBatch: boolean): string | undefined {
    if (isBatch && connection.protocolVersion !== batchRevision)
      return `Only MCP ${batchRevision} allows several messages at once. Send them one by one.`;
    if (messages.some(({ kind, message }) => kind === "request" && message.method === "initialize"))
      return "This connection is initialized already.";
    return undefined;
  }

  #wire(connection: Connection): StreamableHttpWire {
    const { clock, logger, streamLimitBytes } = this.#options;
    const onTooSlow = (): void => logger.warn("A stream was cut off: its client does not read.", { connection: connection.label });
    const wire = new StreamableHttpWire({ clock, streamLimitBytes, onTooSlow });
    this.#wires.set(connection, wire);
    return wire;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sessionId({ request }: McpRequest): string | undefined {
  const value = request.headers["mcp-session-id"];
  return typeof value === "string" && value !== "" ? value : undefined;
}

const either: AcceptedAnswers = { json: true, eventStream: true };
/** What the specification asks for, and the SDK's clients send. */
const usualAccept = "application/json, text/event-stream";

/** Without the header, or with a wildcard, either kind will do. */
function acceptedAnswers({ request }: McpRequest): AcceptedAnswers {
  const { accept } = request.headers;
  if (accept === undefined || accept === "" || accept === usualAccept) return either;
  const types = new Set(accept.split(",").map((range) => range.split(";", 1)[0]?.trim().toLowerCase()));
  const all = types.has("*/*");
  return {
    json: all || types.has("application/json") || types.has("application/*"),
    eventStream: all || types.has("text/event-stream") || types.has("text/*"),
  };
}

function notAcceptable({ response }: McpRequest, detail: string): void {
  sendProblem(response, { status: 406, title: "Not Acceptable", code: "invalid_request", detail });
}

/** By its header: the names of revisions are dates. */
function isModern({ request }: McpRequest): boolean {
  const version = request.headers["mcp-protocol-version"];
  return typeof version === "string" && version >= firstModernRevision && request.headers["mcp-session-id"] === undefined;
}

/** No header at all is common, and fine. */
function hasUnsupportedVersion({ request }: McpRequest): boolean {
  const version = request.headers["mcp-protocol-version"];
  return typeof version === "string" && !SUPPORTED_PROTOCOL_VERSIONS.includes(version);
}

/** Not -32022, the modern era's own code for this: a client would take the server for a modern one and not initialize. */
function unsupportedVersion({ response }: McpRequest): void {
  sendRpcError(response, 400, {
    rpcCode: rpcCodes.refused,
    message: `This protocol version is not supported. Supported are: ${SUPPORTED_PROTOCOL_VERSIONS.join(", ")}.`,
    code: "invalid_request",
  });
}
