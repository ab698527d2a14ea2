import { PassThrough } from "node:stream";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { ReadBuffer, serializeMessage } from "@modelcontextprotocol/sdk/shared/stdio.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { serveStdio } from "../../src/transport/stdio.ts";
import { callMessage, eventually, initializeMessage, McpBench, textOf } from "./mcp-bench.ts";

const alice = "id-alice" as LoginSessionId;

let bench: McpBench;
let input: PassThrough;
let output: PassThrough;
let written = "";
let ended: Promise<void>;
let stop: AbortController;

beforeEach(async () => {
  bench = await McpBench.start();
});
afterEach(() => bench.stop());

function serve(maxMessageBytes?: number): void {
  input = new PassThrough();
  output = new PassThrough();
  written = "";
  stop = new AbortController();
  output.on("data", (chunk: Buffer) => {
    written += chunk.toString();
  });
  ended = serveStdio({
    input,
    output,
    registry: bench.registry,
    loginSessionId: alice,
    clock: bench.clock,
    signal: stop.signal,
    maxMessageBytes,
  });
}

function send(...messages: unknown[]): void {
  input.write(messages.map((message) => `${typeof message === "string" ? message : JSON.stringify(message)}\n`).join(""));
}

function answers(): { id?: unknown; result?: Record<string, unknown>; error?: { code: number; message: string; data?: unknown } }[] {
  return written
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

async function answered(count: number): Promise<ReturnType<typeof answers>> {
  await eventually(() => answers().length >= count);
  return answers();
}

/** The client's side of the pair of streams, as the SDK's stdio transport does it. */
function clientTransport(): Transport {
  const buffer = new ReadBuffer();
  const transport: Transport = {
    start: async () => {
      output.on("data", (chunk: Buffer) => {
        buffer.append(chunk);
        for (let message = buffer.readMessage(); message !== null; message = buffer.readMessage()) transport.onmessage?.(message);
      });
    },
    send: async (message) => void input.write(serializeMessage(message)),
    close: async () => void input.end(),
  };
  return transport;
}

describe("stdio", () => {
  test("serves an SDK client as the login session that it is bound to", async () => {
    serve();
    const client = new Client({ name: "desktop", version: "1" });
    await client.connect(clientTransport());
    expect((await client.callTool({ name: "whoami" })).structuredContent).toMatchObject({ subject: "alice" });
    expect((await client.callTool({ name: "session_status" })).structuredContent).toMatchObject({
      clients: [{ name: "desktop", transport: "stdio" }],
    });
    const seen: number[] = [];
    const call = client.callTool({ name: "hold" }, undefined, { onprogress: ({ progress }) => void seen.push(progress) });
    await bench.holding(1);
    bench.held[0]?.context.progress(1);
    await eventually(() => seen.length === 1);
    bench.held[0]?.release("done");
    expect(textOf(await call)).toBe("done");
    await client.close();
    await ended;
  });

  test("answers what runs when the input ends, then resolves (F30)", async () => {
    serve();
    send(initializeMessage(), callMessage(1, "hold"));
    await bench.holding(1);
    input.end();
    await bench.clock.advance(5000);
    expect(bench.registry.size).toBe(1);
    bench.held[0]?.release("drained");
    await ended;
    expect(answers().at(-1)).toMatchObject({ id: 1, result: { content: [{ text: "drained" }] } });
    expect(bench.registry.size).toBe(0);
    expect(bench.loginSessions.watchedCount).toBe(0);
  });

  test("gives up on what runs ten seconds after the end of the input, and says so to the client", async () => {
    serve();
    send(callMessage(1, "hold"));
    await bench.holding(1);
    stop.abort();
    await bench.clock.advance(10_000);
    await ended;
    expect(answers().at(-1)).toMatchObject({ id: 1, result: { isError: true } });
    expect(bench.held[0]?.context.signal.aborted).toBe(true);
  });

  test("refuses a JSON-RPC id that is in use without touching the first call (F49)", async () => {
    serve();
    send(callMessage(5, "hold"), callMessage(5, "echo", { text: "second" }));
    await bench.holding(1);
    const [refusal] = await answered(1);
    expect(refusal).toMatchObject({
      id: null,
      error: { code: -32600, message: expect.stringContaining("5 is still running"), data: { id: 5 } },
    });
    bench.held[0]?.release("first");
    expect((await answered(2))[1]).toMatchObject({ id: 5, result: { content: [{ text: "first" }] } });
  });

  test("reads messages in whatever pieces they come, and multi-byte characters across them", async () => {
    serve();
    const bytes = Buffer.from(
      `${JSON.stringify(callMessage(1, "echo", { text: "grüße 🗝" }))}\r\n\n${JSON.stringify(callMessage(2, "echo", { text: "b" }))}\n`,
    );
    for (const byte of bytes) input.write(Buffer.from([byte]));
    expect(await answered(2)).toMatchObject([{ result: { content: [{ text: "alice: grüße 🗝" }] } }, { id: 2 }]);
  });

  test.each([
    ["{", null, -32700],
    ["[]", null, -32600],
    ['{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}', 7, -32600],
    [JSON.stringify([callMessage(1, "whoami")]), null, -32600],
  ])("answers %s with an error and carries on", async (line, id, code) => {
    serve();
    send(initializeMessage());
    await answered(1);
    send(line, callMessage(2, "echo", { text: "still here" }));
    expect((await answered(3)).slice(1)).toMatchObject([
      { id, error: { code } },
      { id: 2, result: { content: [{ text: "alice: still here" }] } },
    ]);
  });

  test("takes a batch in the one revision that has them", async () => {
    serve();
    send(initializeMessage("2025-03-26"));
    await answered(1);
    send([callMessage(1, "echo", { text: "a" }), callMessage(2, "echo", { text: "b" })]);
    expect((await answered(3)).slice(1)).toMatchObject([{ id: 1 }, { id: 2 }]);
  });

  test("skips a message over the limit, says so, and carries on", async () => {
    serve(1000);
    send(callMessage(1, "echo", { text: "x".repeat(5000) }), callMessage(2, "echo", { text: "small" }));
    expect(await answered(2)).toMatchObject([{ id: null, error: { message: expect.stringContaining("1000 bytes") } }, { id: 2 }]);
  });

  test("outlives its login session: sign_out is answered, later calls say that it has ended (B9)", async () => {
    serve();
    send(callMessage(1, "hold"));
    await bench.holding(1);
    send(callMessage(2, "sign_out"));
    expect(await answered(2)).toMatchObject([
      { id: 1, result: { isError: true, _meta: { "latchkey/error": { code: "login_ended" } } } },
      { id: 2, result: { structuredContent: { state: "ended" } } },
    ]);
    send(callMessage(3, "whoami"));
    expect((await answered(3))[2]).toMatchObject({
      id: 3,
      result: { isError: true, _meta: { "latchkey/error": { code: "login_ended", loginUrl: expect.any(String) } } },
    });
  });

  test("ends when the client is gone", async () => {
    serve();
    send(initializeMessage());
    await answered(1);
    output.destroy(new Error("EPIPE"));
    await ended;
    expect(bench.registry.size).toBe(0);
  });

  test("needs a login session", async () => {
    const options = { input: new PassThrough(), output: new PassThrough(), registry: bench.registry, clock: bench.clock };
    await expect(serveStdio({ ...options, loginSessionId: "nobody" as LoginSessionId })).rejects.toMatchObject({ code: "login_ended" });
  });
});
