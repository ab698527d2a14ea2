// The floor: reads each line as JSON and writes an answer, without any protocol.
import { answerParent } from "../measuring/answer-parent.ts";

answerParent({
  async start() {
    let rest = "";
    process.stdin.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) process.stdout.write(`${JSON.stringify(answerOf(JSON.parse(line)))}\n`);
    });
    return {};
  },
});

function answerOf(request: { readonly id?: number; readonly params?: { readonly arguments?: { readonly text?: string } } }): object {
  return { result: { content: [{ type: "text", text: request.params?.arguments?.text }] }, jsonrpc: "2.0", id: request.id };
}
