import type { HttpSocket } from "./http-socket.ts";

/** Where requests go and what they say of the client. */
export interface Endpoint {
  readonly port: number;
  readonly accept: string;
  /** Undefined: none is sent. */
  readonly key: string | undefined;
}

/** One MCP connection of the generator. */
export interface OpenedConnection {
  readonly endpoint: Endpoint;
  readonly sessionId: string;
}

/** Opens an MCP connection over Streamable HTTP, as a client of 2025-11-25 does. */
export async function openConnection(socket: HttpSocket, endpoint: Endpoint): Promise<OpenedConnection> {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1.0.0" } };
  const answer = await socket.ask(post(endpoint, undefined, { jsonrpc: "2.0", id: 0, method: "initialize", params }));
  const sessionId = /\nmcp-session-id: *(\S+)/i.exec(answer.head)?.[1];
  if (answer.status !== 200 || sessionId === undefined) throw new Error(`initialize was answered with ${answer.status}: ${answer.body}`);
  const told = await socket.ask(post(endpoint, sessionId, { jsonrpc: "2.0", method: "notifications/initialized" }));
  if (told.status >= 300) throw new Error(`initialized was answered with ${told.status}`);
  return { endpoint, sessionId };
}

const firstId = 10_000_000;

/** Makes the requests of one connection: always the same but for the id, which has a fixed width. */
export function echoRequests(
  { endpoint, sessionId }: OpenedConnection,
  text: string,
): () => { readonly request: string; readonly id: number } {
  const params = { name: "echo", arguments: { text } };
  const [before = "", after = ""] = post(endpoint, sessionId, { jsonrpc: "2.0", id: firstId, method: "tools/call", params }).split(
    String(firstId),
  );
  let id = firstId;
  return () => {
    id += 1;
    return { request: before + id + after, id };
  };
}

/** The start of a GET that opens the standalone stream of a connection. */
export function getStream({ endpoint, sessionId }: OpenedConnection): string {
  return `GET /mcp HTTP/1.1\r\n${headers({ ...endpoint, accept: "text/event-stream" }, sessionId)}\r\n`;
}

function post(endpoint: Endpoint, sessionId: string | undefined, message: object): string {
  const body = JSON.stringify(message);
  const more = `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
  return `POST /mcp HTTP/1.1\r\n${headers(endpoint, sessionId)}${more}\r\n${body}`;
}

function headers({ port, accept, key }: Endpoint, sessionId: string | undefined): string {
  const lines = [`host: 127.0.0.1:${port}`, "connection: keep-alive", `accept: ${accept}`];
  if (key !== undefined) lines.push(`authorization: Bearer ${key}`);
  if (sessionId !== undefined) lines.push(`mcp-session-id: ${sessionId}`, "mcp-protocol-version: 2025-11-25");
  return lines.map((line) => `${line}\r\n`).join("");
}
