import type { Readable, Writable } from "node:stream";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import type { LatchkeyError } from "../errors.ts";
import type { Tool } from "../tool/tool.ts";
import { toolErrorResult } from "./tool-errors.ts";

export interface StdioRefusalOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly name: string;
  readonly version: string;
  /** Listed, so that a client has something to call; each call answers with `error`. */
  readonly tools: readonly Tool[];
  readonly error: LatchkeyError;
  /** Ends it as the end of the input does. */
  readonly signal: AbortSignal;
}

/**
 * Tells a client through MCP why nothing can be served: a client that starts a program shows its user what MCP says, and
 * hides a silent exit. Resolves at the end of the input.
 */
export async function serveStdioRefusal(options: StdioRefusalOptions): Promise<void> {
  const { input, output, name, version, tools, error, signal } = options;
  const server = new Server({ name, version }, { capabilities: { tools: {} }, instructions: error.message });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: tools.map((tool) => ({ name: tool.name, description: tool.description, inputSchema: { ...tool.inputSchema, properties: {} } })),
  }));
  server.setRequestHandler(CallToolRequestSchema, () => toolErrorResult(error));
  const ended = new Promise<void>((resolve) => {
    input
      .once("end", resolve)
      .once("close", resolve)
      .once("error", () => resolve());
    output.once("close", resolve).once("error", () => resolve());
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await server.connect(new StdioServerTransport(input, output));
  await ended;
  await server.close();
}
