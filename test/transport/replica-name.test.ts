import { afterEach, describe, expect, test } from "vitest";
import { createClientAddress } from "../../src/transport/client-address.ts";
import { callMessage, initializeMessage, McpBench, textOf } from "./mcp-bench.ts";

let bench: McpBench | undefined;
afterEach(() => bench?.stop());

const json = { "content-type": "application/json" };

describe("with a replica's name", () => {
  test("connection ids are 256 random bits and the name, for Streamable HTTP and for SSE (B6)", async () => {
    bench = await McpBench.start({ connections: { replica: "latchkey-0" } });
    const ids = [await bench.initialize("alice"), await bench.initialize("alice")];
    for (const id of ids) expect(id).toMatch(/^[\w-]{43}\.latchkey-0$/);
    expect(new Set(ids.map((id) => id.slice(0, 43))).size).toBe(2);
    const { text } = await bench.openSse("lk_alice");
    expect(text).toMatch(/^data: \/messages\?sessionId=[\w-]{43}\.latchkey-0$/m);
  });

  test("real clients are served over both transports", async () => {
    bench = await McpBench.start({ connections: { replica: "r1" } });
    for (const client of [await bench.streamable("alice"), await bench.sse("alice")])
      expect(textOf(await client.callTool({ name: "echo", arguments: { text: "hello" } }))).toBe("alice: hello");
  });

  test("an id without the name, or with another one, is an unknown id: the name is nothing that one can leave out or change (B4, B6)", async () => {
    bench = await McpBench.start({ connections: { replica: "r1" } });
    const id = await bench.initialize("alice");
    for (const other of [id.slice(0, 43), `${id.slice(0, 43)}.r2`, ".r1", "r1"])
      expect((await bench.post("alice", other, callMessage(1, "whoami"))).status).toBe(404);
    expect((await bench.post("alice", id, callMessage(1, "whoami"))).status).toBe(200);
    expect((await bench.post("bob", id, callMessage(1, "whoami"))).status).toBe(404);
  });
});

test("without a replica's name connection ids are random bits alone", async () => {
  bench = await McpBench.start();
  expect(await bench.initialize("alice")).toMatch(/^[\w-]{43}$/);
});

test("audit events say where a connection was opened from, and where somebody tried another one's (B4)", async () => {
  bench = await McpBench.start({ clientAddress: createClientAddress(["127.0.0.1"]) });
  const forwarded = { "x-forwarded-for": "192.0.2.66, 203.0.113.7" };
  const stranger = { ...json, authorization: "Bearer lk_bob", accept: "application/json", "x-forwarded-for": "203.0.113.8" };
  const opened = await bench.post("alice", undefined, initializeMessage(), forwarded);
  const id = opened.headers.get("mcp-session-id") ?? "";
  await bench.raw("POST", "/mcp", { ...stranger, "mcp-session-id": id }, JSON.stringify(callMessage(1, "whoami")));
  expect(bench.events).toMatchObject([
    { event: "connection_opened", address: "203.0.113.7" },
    { event: "foreign_connection_access", address: "203.0.113.8" },
  ]);
});
