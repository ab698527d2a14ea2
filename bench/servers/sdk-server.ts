import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

/** An SDK v1 server with the tool `echo`, written as its README does. */
export function createSdkServer(): McpServer {
  const server = new McpServer({ name: "yardstick", version: "1.0.0" });
  server.registerTool("echo", { description: "Says the same.", inputSchema: { text: z.string() } }, async ({ text }) => ({
    content: [{ type: "text", text }],
  }));
  return server;
}
