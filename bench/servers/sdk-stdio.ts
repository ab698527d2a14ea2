// The yardstick: SDK v1's McpServer on its own stdio transport.
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { answerParent } from "../measuring/answer-parent.ts";
import { createSdkServer } from "./sdk-server.ts";

answerParent({
  async start() {
    await createSdkServer().connect(new StdioServerTransport());
    return {};
  },
});
