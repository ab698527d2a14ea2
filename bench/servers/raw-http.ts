// The floor: node:http that reads the body and gives a fixed answer.
import { answerParent } from "../measuring/answer-parent.ts";
import { listen } from "./listen.ts";

const answer = JSON.stringify({ result: { content: [{ type: "text", text: "hello from nobody" }] }, jsonrpc: "2.0", id: 1 });
const headers = {
  "content-type": "application/json",
  "content-length": Buffer.byteLength(answer),
  "mcp-session-id": "the-only-one",
};

answerParent({
  async start() {
    const port = await listen((request, response) => {
      request.resume().on("end", () => response.writeHead(200, headers).end(answer));
    });
    return { port };
  },
});
