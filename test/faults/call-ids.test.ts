import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { callMessage, eventually, McpBench, type RawAnswer, type RawStream } from "../transport/mcp-bench.ts";

let bench: McpBench;
beforeEach(async () => {
  bench = await McpBench.start();
});
afterEach(() => bench.stop());

describe("a JSON-RPC id over Streamable HTTP", () => {
  test("F35 two clients use the same one: neither gets the other's result", async () => {
    const [a, b] = [await bench.initialize("alice"), await bench.initialize("bob")];
    const first = bench.post("alice", a, callMessage(1, "hold", { label: "alice" }));
    const second = bench.post("bob", b, callMessage(1, "hold", { label: "bob" }));
    await bench.holding(2);
    const find = (label: string) => bench.held.find((call) => call.label === label);
    find("bob")?.release("for bob");
    expect(await (await second).text()).toContain("for bob");
    find("alice")?.release("for alice");
    expect(await (await first).text()).toContain("for alice");
  });

  test("F49 one that is in use is refused, on its own response, and the first call is answered", async () => {
    const id = await bench.initialize("alice");
    const first = bench.post("alice", id, callMessage(5, "hold"));
    await bench.holding(1);
    const second = await bench.post("alice", id, callMessage(5, "echo", { text: "second" }));
    expect(second.status).toBe(400);
    expect(await second.json()).toMatchObject({ id: 5, error: { code: -32600, message: expect.stringContaining("5 is still running") } });
    expect((await bench.post("alice", id, callMessage("5", "echo", { text: "a string is another id" }))).status).toBe(200);
    bench.held[0]?.release("first");
    expect(await (await first).json()).toMatchObject({ id: 5, result: { content: [{ text: "first" }] } });
    expect((await bench.post("alice", id, callMessage(5, "echo", { text: "free again" }))).status).toBe(200);
  });

  test("F49 that of a cancelled call stays taken until the tool is done, so that its late answer is nobody's", async () => {
    const id = await bench.initialize("alice");
    const first = bench.post("alice", id, callMessage(5, "hold"));
    await bench.holding(1);
    const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 5 } };
    expect((await bench.post("alice", id, cancel)).status).toBe(202);
    expect(await (await first).text()).toBe("");
    expect((await bench.post("alice", id, callMessage(5, "echo", { text: "second" }))).status).toBe(400);
    bench.held[0]?.release("late");
    await eventually(() => bench.held[0]?.context.signal.aborted === true);
    const third = await bench.post("alice", id, callMessage(5, "echo", { text: "third" }));
    expect(await third.json()).toMatchObject({ result: { content: [{ text: "alice: third" }] } });
  });
});

describe("a JSON-RPC id over HTTP+SSE", () => {
  async function open(name = "alice"): Promise<{ readonly stream: RawStream; readonly endpoint: string }> {
    const stream = await bench.openSse(`lk_${name}`);
    return { stream, endpoint: `/messages?sessionId=${stream.sseId}` };
  }

  function post(endpoint: string, message: object, headers: Record<string, string> = {}): Promise<RawAnswer> {
    const all = { authorization: "Bearer lk_alice", "content-type": "application/json", ...headers };
    return bench.raw("POST", endpoint, all, JSON.stringify(message));
  }

  test("F35 two clients use the same one: neither gets the other's result", async () => {
    const [alice, bob] = [await open("alice"), await open("bob")];
    await post(alice.endpoint, callMessage(1, "hold", { label: "alice" }));
    await post(bob.endpoint, callMessage(1, "hold", { label: "bob" }), { authorization: "Bearer lk_bob" });
    await bench.holding(2);
    for (const { label, release } of [...bench.held].reverse()) release(`for ${label}`);
    await Promise.all([alice, bob].map(({ stream }) => stream.until(({ messages }) => messages.length === 1)));
    expect(JSON.stringify(alice.stream.messages)).toContain("for alice");
    expect(JSON.stringify(bob.stream.messages)).toContain("for bob");
  });

  test("F49 one that is in use is refused, on the POST, and the first call is answered", async () => {
    const { stream, endpoint } = await open();
    await post(endpoint, callMessage(5, "hold"));
    await bench.holding(1);
    const second = await post(endpoint, callMessage(5, "echo", { text: "second" }));
    expect(second.status).toBe(400);
    expect(JSON.parse(second.body)).toMatchObject({ id: 5, error: { code: -32600 } });
    bench.held[0]?.release("first");
    await stream.until(({ messages }) => messages.length === 1);
    expect(stream.messages).toMatchObject([{ id: 5, result: { content: [{ text: "first" }] } }]);
  });
});
