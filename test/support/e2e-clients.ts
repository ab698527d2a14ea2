import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { ClientCapabilities } from "@modelcontextprotocol/sdk/types.js";
import { type Fields, isFields, mustList, mustString } from "./e2e-json.ts";

/** The two ways of MCP over HTTP. */
export const httpTransports = ["http", "sse"] as const;
export type HttpTransport = (typeof httpTransports)[number];

/** A tool's answer, read. */
export interface ToolAnswer {
  readonly isError: boolean;
  readonly text: string;
  readonly structured: Fields;
  /** What the error says for programs: `code`, `retryable`, `loginUrl` and so on. Undefined for a good answer. */
  readonly error: Fields | undefined;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly onProgress?: (progress: number) => void;
}

/** The official SDK's client, with answers that can be read. */
export class McpClient {
  readonly client: Client;
  readonly closed: Promise<void>;
  /** What the client's transport complained about; a lost SSE stream shows here. */
  readonly complaints: Error[] = [];

  constructor(name: string, capabilities: ClientCapabilities = {}) {
    this.client = new Client({ name, version: "1.0.0" }, { capabilities });
    this.closed = new Promise((resolve) => {
      this.client.onclose = resolve;
    });
    this.client.onerror = (error) => this.complaints.push(error);
  }

  static async connect(transport: Transport, name = "e2e"): Promise<McpClient> {
    const client = new McpClient(name);
    await client.client.connect(transport);
    return client;
  }

  /** Connects with a connection key. */
  static async connectHttp(kind: HttpTransport, url: string, key: string, name = "e2e"): Promise<McpClient> {
    return McpClient.connect(httpClientTransport(kind, url, key), name);
  }

  /** Never throws for a tool's error; throws when the connection does not carry the call. */
  async call(name: string, args: Readonly<Record<string, unknown>> = {}, options: CallOptions = {}): Promise<ToolAnswer> {
    const { timeoutMs = 30_000, onProgress } = options;
    const result = await this.client.callTool({ name, arguments: { ...args } }, undefined, {
      timeout: timeoutMs,
      resetTimeoutOnProgress: true,
      ...(onProgress === undefined ? {} : { onprogress: ({ progress }) => onProgress(progress) }),
    });
    const content: unknown[] = Array.isArray(result.content) ? result.content : [];
    const error = result._meta?.["latchkey/error"];
    return {
      isError: result.isError === true,
      text: content.map((part) => (isFields(part) && typeof part.text === "string" ? part.text : "")).join("\n"),
      structured: isFields(result.structuredContent) ? result.structuredContent : {},
      error: isFields(error) ? error : undefined,
    };
  }

  /** The subject of `whoami`. Throws when the tool fails. */
  async whoami(): Promise<string> {
    return mustString((await this.mustCall("whoami")).structured, "subject");
  }

  /** The texts of the user's notes: each call goes to the API with an access token. Throws when the tool fails. */
  async notes(): Promise<readonly string[]> {
    return mustList((await this.mustCall("list_notes")).structured, "notes").map((note) => mustString(note, "text"));
  }

  async mustCall(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<ToolAnswer> {
    const answer = await this.call(name, args);
    if (answer.isError) throw new Error(`${name} failed: ${answer.text}`);
    return answer;
  }

  async close(): Promise<void> {
    await this.client.close();
  }
}

function httpClientTransport(kind: HttpTransport, url: string, key: string): Transport {
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  switch (kind) {
    case "http":
      return new StreamableHTTPClientTransport(new URL("/mcp", url), { requestInit });
    case "sse":
      return new SSEClientTransport(new URL("/sse", url), { requestInit });
  }
}
