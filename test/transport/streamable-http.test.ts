import { afterEach, describe, expect, test } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { type BenchOptions, callMessage, eventually, initializeMessage, McpBench, RawStream } from "./mcp-bench.ts";

let bench: McpBench;
async function begin(options: BenchOptions = {}): Promise<McpBench> {
  bench = await McpBench.start(options);
  return bench;
}
afterEach(() => bench.stop());

describe("POST /mcp", () => {
  test("answers with JSON when nothing has to be told before the answer", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const answer = await bench.post("alice", id, callMessage("a", "echo", { text: "hi" }));
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.headers.get("cache-control")).toContain("no-store");
    expect(await answer.json()).toEqual({ jsonrpc: "2.0", id: "a", result: { content: [{ type: "text", text: "alice: hi" }] } });
  });

  test("becomes a stream with the first notification about the call", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const call = bench.post("alice", id, callMessage(1, "hold", {}, "token"));
    await bench.holding(1);
    bench.held[0]?.context.progress(1, 2, "half");
    const answer = await call;
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    bench.held[0]?.release("done");
    const stream = new RawStream(answer);
    await stream.ended();
    expect(stream.messages).toMatchObject([
      { method: "notifications/progress", params: { progressToken: "token", progress: 1, total: 2, message: "half" } },
      { id: 1, result: { content: [{ text: "done" }] } },
    ]);
  });

  test("becomes a stream that shows life when a call takes long", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const call = bench.post("alice", id, callMessage(1, "hold"));
    await bench.holding(1);
    await bench.clock.advance(20_000);
    const stream = new RawStream(await call);
    await stream.until(({ text }) => text.includes(": keep-alive"));
    bench.held[0]?.release("done");
    await stream.ended();
    expect(stream.messages).toMatchObject([{ id: 1 }]);
  });

  test("answers a client that takes JSON only with JSON, without progress", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const call = bench.post("alice", id, callMessage(1, "hold", {}, "token"), { accept: "application/json" });
    await bench.holding(1);
    bench.held[0]?.context.progress(1);
    await bench.clock.advance(30_000);
    bench.held[0]?.release("done");
    expect(await (await call).json()).toMatchObject({ id: 1, result: { content: [{ text: "done" }] } });
  });

  test("answers a client that takes streams only with a stream", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const answer = await bench.post("alice", id, callMessage(1, "echo", { text: "x" }), { accept: "text/event-stream" });
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    expect(await answer.text()).toBe(
      'event: message\ndata: {"result":{"content":[{"type":"text","text":"alice: x"}]},"jsonrpc":"2.0","id":1}\n\n',
    );
  });

  test("does not take a client that goes away for a cancellation, and serves the connection afterwards", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const stop = new AbortController();
    const call = bench.post("alice", id, callMessage(1, "hold"), {}, stop.signal).catch(() => "gone");
    await bench.holding(1);
    stop.abort();
    expect(await call).toBe("gone");
    expect(bench.held[0]?.context.signal.aborted).toBe(false);
    bench.held[0]?.release("into the void");
    await eventually(() => bench.registry.size === 1);
    expect((await bench.post("alice", id, callMessage(2, "echo", { text: "x" }))).status).toBe(200);
  });

  test("takes notifications and responses with 202", async () => {
    await begin();
    const id = await bench.initialize("alice");
    expect((await bench.post("alice", id, { jsonrpc: "2.0", method: "notifications/initialized" })).status).toBe(202);
    expect((await bench.post("alice", id, { jsonrpc: "2.0", id: 99, result: {} })).status).toBe(202);
  });

  test.each([
    ["a body that is no JSON", "{", {}, 400, -32700],
    ["a message that is no JSON-RPC", { id: 1, method: "ping" }, {}, 400, -32600],
    ["a request whose parameters are no object", { jsonrpc: "2.0", id: 1, method: "ping", params: [] }, {}, 400, -32600],
    ["an empty batch", [], {}, 400, -32600],
    ["a batch in a revision without batches", [callMessage(1, "whoami")], {}, 400, -32600],
    ["initialize on a connection that is initialized", initializeMessage(), {}, 400, -32600],
    ["an unknown protocol version", callMessage(1, "whoami"), { "mcp-protocol-version": "1999-01-01" }, 400, -32000],
  ])("refuses %s", async (_what, message, headers, status, code) => {
    await begin();
    const id = await bench.initialize("alice");
    const answer = await bench.post("alice", id, message, headers);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ jsonrpc: "2.0", error: { code } });
  });

  test("names the versions that it supports", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const answer = await bench.post("alice", id, callMessage(1, "whoami"), { "mcp-protocol-version": "1999-01-01" });
    expect(await answer.text()).toContain("2025-11-25, 2025-06-18, 2025-03-26");
  });

  test.each([
    ["text/plain as content", { "content-type": "text/plain" }, 415],
    ["an Accept header with neither kind", { accept: "text/html" }, 406],
  ])("refuses %s with a problem document", async (_what, headers, status) => {
    await begin();
    const id = await bench.initialize("alice");
    const answer = await bench.post("alice", id, callMessage(1, "whoami"), headers);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(await answer.json()).toMatchObject({ code: "invalid_request", status });
  });

  test.each([{ accept: "*/*" }, { accept: "application/json;q=0.9, text/event-stream;q=0.1" }])(
    "accepts the header $accept",
    async (headers) => {
      await begin();
      const id = await bench.initialize("alice");
      expect((await bench.post("alice", id, callMessage(1, "whoami"), headers)).status).toBe(200);
    },
  );

  test("refuses a body over the limit by its length, and by what arrives, in clear words", async () => {
    await begin({ http: { maxBodyBytes: 4 * 1024 * 1024 } });
    const id = await bench.initialize("alice");
    const big = callMessage(1, "echo", { text: "x".repeat(4 * 1024 * 1024) });
    const declared = await bench.post("alice", id, big);
    expect(declared.status).toBe(413);
    expect(await declared.json()).toMatchObject({ code: "payload_too_large", detail: expect.stringContaining("4 MiB") });
    const chunked = await fetch(`${bench.url}/mcp`, {
      method: "POST",
      headers: { authorization: "Bearer lk_alice", "content-type": "application/json", "mcp-session-id": id },
      body: new Blob([JSON.stringify(big)]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(chunked.status).toBe(413);
    const most = await bench.post("alice", id, callMessage(2, "echo", { text: "x".repeat(4 * 1024 * 1024 - 200) }));
    expect(most.status).toBe(200);
    expect((await most.text()).length).toBeGreaterThan(4_000_000);
  });

  test("answers a batch of 2025-03-26 as an array, and refuses one that uses an id twice", async () => {
    await begin();
    const id = await bench.initialize("alice", "2025-03-26");
    const batch = await bench.post("alice", id, [callMessage(1, "echo", { text: "a" }), callMessage(2, "echo", { text: "b" })]);
    expect(((await batch.json()) as { id: number }[]).map((answer) => answer.id).sort()).toEqual([1, 2]);
    expect((await bench.post("alice", id, [callMessage(3, "whoami"), callMessage(3, "whoami")])).status).toBe(400);
    expect((await bench.post("alice", id, [{ jsonrpc: "2.0", method: "notifications/initialized" }])).status).toBe(202);
  });

  test("begins with initialize, alone, and tells an absent id (400) from an unknown one (404)", async () => {
    await begin();
    const absent = await bench.post("alice", undefined, callMessage(1, "whoami"));
    expect(absent.status).toBe(400);
    expect(await absent.text()).toContain("Mcp-Session-Id header is missing");
    expect((await bench.post("alice", "unknown", callMessage(1, "whoami"))).status).toBe(404);
    expect((await bench.post("alice", undefined, [initializeMessage(), callMessage(1, "whoami")])).status).toBe(400);
    const broken = await bench.post("alice", undefined, { jsonrpc: "2.0", id: 4, method: "initialize", params: {} });
    expect(broken.status).toBe(400);
    expect(await broken.json()).toMatchObject({ id: 4, error: { code: -32602 } });
    expect(bench.registry.size).toBe(0);
  });

  test("sends a client of a revision that nobody knows back to initialize with a 400 that is not of the modern era", async () => {
    await begin();
    const probe = { jsonrpc: "2.0", id: "p", method: "tools/list", params: {} };
    const answer = await bench.post("alice", undefined, probe, { "mcp-protocol-version": "2024-01-01" });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: -32000, message: expect.stringContaining("2025-11-25") } });
  });

  test("works without the MCP-Protocol-Version header, and with each supported one", async () => {
    await begin();
    for (const version of ["2025-11-25", "2025-06-18", "2025-03-26"]) {
      const id = await bench.initialize("alice", version);
      expect((await bench.post("alice", id, callMessage(1, "whoami"))).status).toBe(200);
      expect((await bench.post("alice", id, callMessage(1, "whoami"), { "mcp-protocol-version": version })).status).toBe(200);
    }
  });
});

describe("GET and DELETE /mcp", () => {
  test("open one stream at a time, with signs of life and no caching, and a new one after the first has closed", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const headers = { authorization: "Bearer lk_alice", "mcp-session-id": id, accept: "text/event-stream" };
    const stop = new AbortController();
    const stream = new RawStream(await fetch(`${bench.url}/mcp`, { headers, signal: stop.signal }));
    expect(stream.headers.get("cache-control")).toContain("no-store");
    expect(stream.headers.get("x-accel-buffering")).toBe("no");
    expect((await fetch(`${bench.url}/mcp`, { headers })).status).toBe(409);
    await bench.clock.advance(15_000);
    await stream.until(({ text }) => text === ": keep-alive\n\n");
    stop.abort();
    let status = 409;
    await eventually(() => stream.isEnded);
    while (status === 409) {
      const again = new AbortController();
      ({ status } = await fetch(`${bench.url}/mcp`, { headers: { ...headers, "last-event-id": "7" }, signal: again.signal }));
      again.abort();
    }
    expect(status).toBe(200);
  });

  test("end the connection: what runs is aborted, and the id is unknown afterwards", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const headers = { authorization: "Bearer lk_alice", "mcp-session-id": id };
    const stream = await RawStream.open(`${bench.url}/mcp`, headers);
    const call = bench.post("alice", id, callMessage(1, "hold"));
    await bench.holding(1);
    expect((await fetch(`${bench.url}/mcp`, { method: "DELETE", headers })).status).toBe(200);
    await stream.ended();
    expect(await (await call).json()).toMatchObject({ result: { isError: true, _meta: { "latchkey/error": { code: "cancelled" } } } });
    expect(bench.held[0]?.context.signal.aborted).toBe(true);
    expect((await fetch(`${bench.url}/mcp`, { method: "DELETE", headers })).status).toBe(404);
    expect(bench.loginSessions.watchedCount).toBe(0);
  });

  test("need the id, and a stream needs a client that takes one", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const headers = { authorization: "Bearer lk_alice" };
    for (const method of ["GET", "DELETE"]) expect((await fetch(`${bench.url}/mcp`, { method, headers })).status).toBe(400);
    expect((await fetch(`${bench.url}/mcp`, { headers: { ...headers, accept: "application/json", "mcp-session-id": id } })).status).toBe(
      406,
    );
  });

  test("are all the verbs there are", async () => {
    await begin();
    const answer = await fetch(`${bench.url}/mcp`, { method: "PUT", headers: { authorization: "Bearer lk_alice" } });
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("GET, POST, DELETE");
    expect((await fetch(`${bench.url}/sse`, { method: "POST", headers: { authorization: "Bearer lk_alice" } })).headers.get("allow")).toBe(
      "GET",
    );
  });
});

describe("limits", () => {
  test("close a connection that nobody uses, and no other", async () => {
    await begin({ connections: { idleLimitSeconds: 60 } });
    const [idle, streaming, calling, used] = await Promise.all([1, 2, 3, 4].map(() => bench.initialize("alice")));
    const headers = { authorization: "Bearer lk_alice", "mcp-session-id": streaming ?? "" };
    await RawStream.open(`${bench.url}/mcp`, headers);
    void bench.post("alice", calling, callMessage(1, "hold"));
    await bench.holding(1);
    await bench.clock.advance(50_000);
    await bench.post("alice", used, callMessage(1, "whoami"));
    await bench.clock.advance(30_000);
    expect(bench.registry.size).toBe(3);
    expect((await bench.post("alice", idle, callMessage(1, "whoami"))).status).toBe(404);
    expect(bench.events.at(-1)).toMatchObject({ event: "connection_closed", reason: "idle", login: "ls_alice" });
  });

  test("give a connection its whole idle time after its stream has closed", async () => {
    await begin({ connections: { idleLimitSeconds: 60 } });
    const id = await bench.initialize("alice");
    const stop = new AbortController();
    await fetch(`${bench.url}/mcp`, {
      headers: { authorization: "Bearer lk_alice", "mcp-session-id": id, accept: "text/event-stream" },
      signal: stop.signal,
    });
    await bench.clock.advance(10 * 60_000);
    const connection = bench.registry.find("streamable-http", id);
    stop.abort();
    await eventually(() => connection?.isActive === false);
    await bench.clock.advance(45_000);
    expect(bench.registry.size).toBe(1);
    await bench.clock.advance(45_000);
    expect(bench.registry.size).toBe(0);
  });

  test("answer 503 with Retry-After when the server has all the connections it takes", async () => {
    await begin({ connections: { maxConnections: 2 } });
    await bench.initialize("alice");
    const bob = await bench.initialize("bob");
    const refused = await bench.post("alice", undefined, initializeMessage());
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("30");
    expect((await fetch(`${bench.url}/sse`, { headers: { authorization: "Bearer lk_alice" } })).status).toBe(503);
    await fetch(`${bench.url}/mcp`, { method: "DELETE", headers: { authorization: "Bearer lk_bob", "mcp-session-id": bob } });
    expect((await bench.post("alice", undefined, initializeMessage())).status).toBe(200);
  });

  test("replace the longest idle connection of a login session at its limit, and refuse when all are in use", async () => {
    await begin({ connections: { maxConnectionsPerLoginSession: 2 } });
    const first = await bench.initialize("alice");
    await bench.clock.advance(1000);
    const second = await bench.initialize("alice");
    const third = await bench.initialize("alice");
    expect((await bench.post("alice", first, callMessage(1, "whoami"))).status).toBe(404);
    for (const id of [second, third]) void bench.post("alice", id, callMessage(1, "hold"));
    await bench.holding(2);
    const refused = await bench.post("alice", undefined, initializeMessage());
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ code: "rate_limited" });
    expect((await bench.post("bob", undefined, initializeMessage())).status).toBe(200);
  });
});

describe("the clients of a login session", () => {
  test("are remembered for 15 minutes after their connection closed, and forgotten then (I16)", async () => {
    await begin();
    const id = await bench.initialize("alice");
    await fetch(`${bench.url}/mcp`, { method: "DELETE", headers: { authorization: "Bearer lk_alice", "mcp-session-id": id } });
    const alice = "id-alice" as LoginSessionId;
    expect(bench.registry.clientsOf(alice)).toMatchObject([{ name: "raw", version: "0", transport: "streamable-http" }]);
    await bench.clock.advance(15 * 60_000);
    expect(bench.registry.clientsOf(alice)).toEqual([]);
    expect(bench.registry.sizes()).toEqual({ connections: 0, loginSessions: 0, scheduled: 0, clientsSeen: 0, removedKeys: 0, opening: 0 });
    expect(bench.clock.pending).toBe(0);
  });

  test("are forgotten at once when it ends (I16)", async () => {
    await begin();
    const id = await bench.initialize("alice");
    await fetch(`${bench.url}/mcp`, { method: "DELETE", headers: { authorization: "Bearer lk_alice", "mcp-session-id": id } });
    expect(bench.registry.sizes()).toMatchObject({ clientsSeen: 1 });
    await bench.end("id-alice" as LoginSessionId);
    expect(bench.registry.sizes()).toMatchObject({ clientsSeen: 0 });
  });
});

describe("closing the server", () => {
  test("takes nothing new, lets a running call finish, then closes everything", async () => {
    await begin();
    const id = await bench.initialize("alice");
    const stream = await RawStream.open(`${bench.url}/sse`, { authorization: "Bearer lk_bob" });
    const call = bench.post("alice", id, callMessage(1, "hold"));
    await bench.holding(1);
    const closed = bench.mcp.close();
    expect((await bench.post("alice", undefined, initializeMessage())).status).toBe(503);
    bench.held[0]?.release("finished");
    expect(await (await call).json()).toMatchObject({ result: { content: [{ text: "finished" }] } });
    await closed;
    await stream.ended();
    expect(bench.registry.size).toBe(0);
  });

  test("aborts what still runs when the time is up, with an error that says to come back", async () => {
    await begin({ http: { drainSeconds: 5 } });
    const id = await bench.initialize("alice");
    const call = bench.post("alice", id, callMessage(1, "hold"));
    await bench.holding(1);
    const closed = bench.mcp.close();
    await bench.clock.advance(5000);
    await closed;
    expect(await (await call).json()).toMatchObject({
      result: { isError: true, _meta: { "latchkey/error": { code: "cancelled", retryable: true } } },
    });
  });
});
