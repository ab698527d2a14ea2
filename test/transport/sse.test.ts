import { type IncomingMessage, request } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { callMessage, eventually, initializeMessage, McpBench, type RawAnswer, RawStream } from "./mcp-bench.ts";

let bench: McpBench;
beforeEach(async () => {
  bench = await McpBench.start({ http: { streamLimitBytes: 64 * 1024 } });
});
afterEach(() => bench.stop());

async function open(name = "alice"): Promise<{ readonly stream: RawStream; readonly endpoint: string }> {
  const stream = await RawStream.open(`${bench.url}/sse`, { authorization: `Bearer lk_${name}` });
  await stream.until(({ text }) => text.includes("\n\n"));
  return { stream, endpoint: /data: (\S+)/.exec(stream.text)?.[1] ?? "" };
}

function post(endpoint: string, message: unknown, headers: Record<string, string> = {}): Promise<RawAnswer> {
  const all = { authorization: "Bearer lk_alice", "content-type": "application/json", ...headers };
  return bench.raw("POST", endpoint, all, typeof message === "string" ? message : JSON.stringify(message));
}

describe("HTTP+SSE", () => {
  test("names the address for messages first, and shows life every 15 seconds, uncached", async () => {
    const { stream } = await open();
    expect(stream.text).toMatch(/^event: endpoint\ndata: \/messages\?sessionId=[\w-]{43}\n\n$/);
    expect(stream.headers.get("cache-control")).toContain("no-store");
    expect(stream.headers.get("x-accel-buffering")).toBe("no");
    await bench.clock.advance(45_000);
    await stream.until(({ text }) => text.split(": keep-alive\n\n").length === 4);
  });

  test("takes messages with 202 and answers on the stream", async () => {
    const { stream, endpoint } = await open();
    expect(await post(endpoint, initializeMessage())).toMatchObject({ status: 202, body: "Accepted" });
    await post(endpoint, callMessage("q", "echo", { text: "hi" }));
    await stream.until(({ messages }) => messages.length === 2);
    expect(stream.messages[1]).toMatchObject({ id: "q", result: { content: [{ text: "alice: hi" }] } });
  });

  test.each([
    ["no sessionId", "/messages", {}, "{}", 400],
    ["an unknown sessionId", "/messages?sessionId=unknown", {}, "{}", 404],
    ["another content type", undefined, { "content-type": "text/plain" }, "{}", 415],
    ["no JSON", undefined, {}, "{", 400],
    ["no JSON-RPC", undefined, {}, "{}", 400],
    ["too many bytes", undefined, {}, JSON.stringify("x".repeat(4 * 1024 * 1024)), 413],
  ])("refuses a message with %s", async (_what, path, headers, body, status) => {
    const { stream, endpoint } = await open();
    expect((await post(path ?? endpoint, body, headers)).status).toBe(status);
    expect(stream.messages).toEqual([]);
  });

  test("closes the connection with its stream and aborts what runs, and keeps nothing (F29, I16)", async () => {
    const stop = new AbortController();
    const stream = new RawStream(await fetch(`${bench.url}/sse`, { headers: { authorization: "Bearer lk_alice" }, signal: stop.signal }));
    await stream.until(({ text }) => text.includes("\n\n"));
    const endpoint = /data: (\S+)/.exec(stream.text)?.[1] ?? "";
    await post(endpoint, callMessage(1, "hold"));
    await bench.holding(1);
    stop.abort();
    await eventually(() => bench.registry.size === 0);
    expect(bench.held[0]?.context.signal.aborted).toBe(true);
    expect(bench.loginSessions.watchedCount).toBe(0);
    expect((await post(endpoint, callMessage(2, "whoami"))).status).toBe(404);
    expect(bench.events.at(-1)).toMatchObject({ event: "connection_closed", transport: "sse", reason: "client" });
  });

  test("cuts off a client that does not read, and says so in the log", async () => {
    const endpoint = await new Promise<string>((resolve) => {
      const headers = { authorization: "Bearer lk_alice" };
      const client = request(`${bench.url}/sse`, { headers }, (response: IncomingMessage) => {
        response.once("data", (chunk: Buffer) => {
          response.pause();
          resolve(/data: (\S+)/.exec(chunk.toString())?.[1] ?? "");
        });
        response.on("error", () => {});
      });
      client.on("error", () => {});
      client.end();
    });
    const text = "x".repeat(1024 * 1024);
    let sent = 0;
    while (bench.registry.countByLoginSession("id-alice" as LoginSessionId) > 0 && sent < 60) {
      sent += 1;
      await post(endpoint, callMessage(sent, "echo", { text }));
    }
    expect(sent).toBeLessThan(60);
    expect(bench.events.filter(({ event }) => event === "connection_closed")).toMatchObject([{ reason: "slow_reader" }]);
    expect(bench.lines.join("")).toContain("does not read its stream");
  });

  test("offers a stream only to a client that takes one", async () => {
    const answer = await fetch(`${bench.url}/sse`, { headers: { authorization: "Bearer lk_alice", accept: "application/json" } });
    expect(answer.status).toBe(406);
    expect(bench.registry.size).toBe(0);
  });
});
