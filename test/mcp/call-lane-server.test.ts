import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CallToolRequestSchema,
  type JSONRPCMessage,
  type JSONRPCRequest,
  ListToolsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test, vi } from "vitest";
import { type CallHandler, CallLaneServer } from "../../src/mcp/call-lane-server.ts";
import { settle } from "../support/manual-clock.ts";

const info = { name: "test", version: "1" };
const options = { capabilities: { tools: {} } };

/** The client's end of a wire: what was sent to it, and a way to send. */
interface Wire {
  readonly sent: JSONRPCMessage[];
  readonly transport: Transport;
}

function wire(send?: (message: JSONRPCMessage) => Promise<void>): Wire {
  const sent: JSONRPCMessage[] = [];
  const record = async (message: JSONRPCMessage): Promise<void> => void sent.push(message);
  return { sent, transport: { start: async () => {}, close: async () => {}, send: send ?? record } };
}

/** Our server and the SDK's own, with the same handler, connected. */
async function both(handler: CallHandler): Promise<{ readonly ours: Wire & { server: Server }; readonly sdk: Wire & { server: Server } }> {
  const ours = { ...wire(), server: new CallLaneServer(info, options) };
  ours.server.setCallHandler(handler);
  const sdk = { ...wire(), server: new Server(info, options) };
  sdk.server.setRequestHandler(CallToolRequestSchema, (request, extra) => handler(request, extra.requestId, extra.sendNotification));
  for (const each of [ours, sdk]) {
    each.server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [] }));
    await each.server.connect(each.transport);
  }
  return { ours, sdk };
}

function request(params?: Record<string, unknown>, method = "tools/call"): JSONRPCRequest {
  return { jsonrpc: "2.0", id: 7, method, ...(params === undefined ? {} : { params }) };
}

const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] });

describe("a call is answered exactly as the SDK's own server does: ", () => {
  const sayAgain: CallHandler = async ({ params }) => ({ ...text(JSON.stringify(params)), structuredContent: { id: 1 } });
  const throwing =
    (thrown: unknown): CallHandler =>
    async () => {
      throw thrown;
    };

  test.each<[string, CallHandler, JSONRPCRequest]>([
    ["with arguments", sayAgain, request({ name: "echo", arguments: { text: "hello", deep: { list: [1, null] } } })],
    ["without arguments", sayAgain, request({ name: "echo" })],
    ["with a member named __proto__", sayAgain, request(JSON.parse('{"name":"echo","arguments":{"__proto__":{"a":1},"b":2}}'))],
    ["with members that MCP does not know", sayAgain, request({ name: "echo", colour: "red", _meta: { "example.com/trace": "t-1" } })],
    ["as a task, which we do not offer", sayAgain, request({ name: "echo", task: { ttl: 1000 } })],
    ["about a task", sayAgain, request({ name: "echo", _meta: { "io.modelcontextprotocol/related-task": { taskId: "t" } } })],
    ["that fails", throwing(new Error("it broke")), request({ name: "echo" })],
    [
      "that fails with a code and data",
      throwing(Object.assign(new Error("no"), { code: -32602, data: { a: 1 } })),
      request({ name: "echo" }),
    ],
    ["that fails with a code that is no number", throwing(Object.assign(new Error("no"), { code: "ENOENT" })), request({ name: "echo" })],
    ["that fails with something that is no error", throwing("no"), request({ name: "echo" })],
    ["that fails with an object", throwing({ code: 5, message: "no" }), request({ name: "echo" })],
    ["whose result has more than MCP knows", async () => ({ ...text("a"), _meta: { a: 1 }, more: true }), request({ name: "echo" })],
    ["whose result is none", async () => JSON.parse('{"content":[{"type":"text","text":5}]}'), request({ name: "echo" })],
    ["whose result has no content", async () => JSON.parse("{}"), request({ name: "echo" })],
    ["to another method", sayAgain, request({}, "tools/list")],
    ["to a method that is not there", sayAgain, request({}, "tools/nothing")],
  ])("%s", async (_name, handler, message) => {
    const { ours, sdk } = await both(handler);
    for (const { transport } of [ours, sdk]) transport.onmessage?.(message);
    await settle();
    expect(ours.sent).toHaveLength(1);
    expect(JSON.stringify(ours.sent)).toBe(JSON.stringify(sdk.sent));
  });

  test("with progress before it, each notification about its own call", async () => {
    const { ours, sdk } = await both(async ({ params }, _id, notify) => {
      await notify({ method: "notifications/progress", params: { progressToken: params._meta?.progressToken ?? "", progress: 1 } });
      return text("done");
    });
    for (const { transport } of [ours, sdk]) {
      const send = vi.spyOn(transport, "send");
      transport.onmessage?.(request({ name: "echo", _meta: { progressToken: "p" } }));
      await settle();
      expect(send.mock.calls[0]?.[1]).toEqual({ relatedRequestId: 7 });
    }
    expect(ours.sent).toHaveLength(2);
    expect(ours.sent).toEqual(sdk.sent);
  });

  test("not at all once the connection has closed", async () => {
    const releases: (() => void)[] = [];
    const { ours, sdk } = await both(async () => {
      await new Promise<void>((resolve) => releases.push(resolve));
      return text("late");
    });
    for (const { transport } of [ours, sdk]) transport.onmessage?.(request({ name: "echo" }));
    await settle();
    expect(releases).toHaveLength(2);
    for (const { transport } of [ours, sdk]) transport.onclose?.();
    for (const release of releases) release();
    await settle();
    expect(ours.sent).toEqual([]);
    expect(sdk.sent).toEqual([]);
  });
});

test("a call does not go through the SDK's protocol, everything else does", async () => {
  const server = new CallLaneServer(info, options);
  server.setCallHandler(async () => text("a"));
  const { sent, transport } = wire();
  const toSdk = vi.fn();
  // The SDK calls on what it finds here.
  transport.onmessage = toSdk;
  await server.connect(transport);
  transport.onmessage?.(request({ name: "echo" }));
  await settle();
  expect(sent).toHaveLength(1);
  expect(toSdk).not.toHaveBeenCalled();
  transport.onmessage?.(request(undefined, "ping"));
  await settle();
  expect(sent).toHaveLength(2);
  expect(toSdk).toHaveBeenCalledOnce();
});

test("a call begins after its delivery, so that what has arrived with it is seen first", async () => {
  const handler = vi.fn(async () => text("a"));
  const { ours } = await both(handler);
  ours.transport.onmessage?.(request({ name: "echo" }));
  expect(handler).not.toHaveBeenCalled();
  await settle();
  expect(handler).toHaveBeenCalledOnce();
});

test("an answer that cannot be sent is reported, and nothing is rejected", async () => {
  const server = new CallLaneServer(info, options);
  server.setCallHandler(async () => text("a"));
  const onerror = vi.fn();
  server.onerror = onerror;
  const { transport } = wire(async () => {
    throw new Error("the pipe is broken");
  });
  await server.connect(transport);
  transport.onmessage?.(request({ name: "echo" }));
  await settle();
  expect(onerror).toHaveBeenCalledOnce();
  expect(String(onerror.mock.calls[0]?.[0])).toContain("the pipe is broken");
});

test("a handler that throws at once is an error of its call alone", async () => {
  const server = new CallLaneServer(info, options);
  server.setCallHandler(() => {
    throw new Error("at once");
  });
  const { sent, transport } = wire();
  await server.connect(transport);
  transport.onmessage?.(request({ name: "echo" }));
  await settle();
  expect(sent).toEqual([{ jsonrpc: "2.0", id: 7, error: { code: -32603, message: "at once" } }]);
});

describe("parameters that MCP does not allow are refused as such (-32602), where the SDK speaks of an internal error: ", () => {
  test.each([
    ["no name", { arguments: {} }, "params.name"],
    ["none at all", undefined, "params"],
    ["arguments that are no object", { name: "echo", arguments: [1] }, "params.arguments"],
  ])("%s", async (_name, params, place) => {
    const { ours } = await both(async () => text("never"));
    ours.transport.onmessage?.(request(params));
    await settle();
    expect(ours.sent).toEqual([{ jsonrpc: "2.0", id: 7, error: { code: -32602, message: expect.stringContaining(`${place}: `) } }]);
  });
});
