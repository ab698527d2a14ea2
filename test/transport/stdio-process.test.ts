import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { expect, test } from "vitest";
import { callMessage, initializeMessage } from "./mcp-bench.ts";

const server = fileURLToPath(new URL("stdio-server.ts", import.meta.url));

test("a stdio process serves the SDK's own client", async () => {
  const client = new Client({ name: "desktop", version: "1" });
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [server], stderr: "inherit" }));
  expect((await client.callTool({ name: "whoami" })).structuredContent).toMatchObject({ subject: "alice" });
  await client.close();
});

test("a stdio process ends by itself at the end of its input, all answers written, and nothing but MCP on stdout", async () => {
  const child = spawn(process.execPath, [server], { stdio: ["pipe", "pipe", "inherit"] });
  let written = "";
  child.stdout.on("data", (chunk: Buffer) => {
    written += chunk.toString();
  });
  const text = "x".repeat(300_000);
  child.stdin.end([initializeMessage(), callMessage(1, "echo", { text })].map((message) => `${JSON.stringify(message)}\n`).join(""));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code).toBe(0);
  const lines = written.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).id)).toEqual([0, 1]);
  expect(lines[1]).toContain(text);
});
