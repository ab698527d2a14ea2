import { join } from "node:path";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { McpClient } from "./e2e-clients.ts";
import { eventually } from "./e2e-wait.ts";
import type { AtEnd } from "./e2e-world.ts";

const root = join(import.meta.dirname, "..", "..");

/** An SDK client and the server that it has started. */
export interface StdioConnection {
  readonly client: McpClient;
  readonly pid: number;
  /** The server's exit code, once it has ended. */
  exit(): Promise<number>;
}

/** Starts `latchkey ARGS...` as an MCP client does, by the official SDK, and connects to it; closed at the end. */
export async function connectStdio(atEnd: AtEnd, args: readonly string[], client = new McpClient("e2e")): Promise<StdioConnection> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(root, "bin", "latchkey.js"), ...args],
    cwd: root,
    stderr: "pipe",
  });
  const complaints: string[] = [];
  transport.stderr?.on("data", (chunk: Buffer) => complaints.push(chunk.toString()));
  await client.client.connect(transport).catch((cause: unknown) => {
    throw new Error(`latchkey ${args.join(" ")} did not serve: ${complaints.join("")}`, { cause });
  });
  atEnd(() => client.close());
  // The transport keeps its process to itself, and forgets it when it closes.
  const child: unknown = Reflect.get(transport, "_process");
  const exitCode = (): unknown => Reflect.get(Object(child), "exitCode");
  return {
    client,
    pid: transport.pid ?? 0,
    exit: () =>
      eventually("the server ends", () => {
        const code = exitCode();
        return typeof code === "number" && { code };
      }).then(({ code }) => code),
  };
}
