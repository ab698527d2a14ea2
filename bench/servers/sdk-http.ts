// The yardstick: SDK v1's McpServer on its own Streamable HTTP transport under Express, without any identity.
import { randomUUID } from "node:crypto";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";
import { answerParent } from "../measuring/answer-parent.ts";
import { listen } from "./listen.ts";
import { createSdkServer } from "./sdk-server.ts";

answerParent({
  async start(body) {
    const { json } = z.object({ json: z.boolean() }).parse(body);
    const transports = new Map<string, StreamableHTTPServerTransport>();
    const app = createMcpExpressApp();
    app.all("/mcp", async (request, response) => {
      const id = request.headers["mcp-session-id"];
      const known = typeof id === "string" ? transports.get(id) : undefined;
      if (known !== undefined) return known.handleRequest(request, response, request.body);
      const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        enableJsonResponse: json,
        onsessioninitialized: (opened) => void transports.set(opened, transport),
      });
      await createSdkServer().connect(transport);
      await transport.handleRequest(request, response, request.body);
    });
    return { port: await listen(app) };
  },
});
