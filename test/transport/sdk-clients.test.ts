import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually, McpBench, textOf } from "./mcp-bench.ts";

let bench: McpBench;
beforeEach(async () => {
  bench = await McpBench.start();
});
afterEach(() => bench.stop());

type Connect = (name: string, clientName?: string) => Promise<Client>;
const transports: readonly (readonly [string, (bench: McpBench) => Connect])[] = [
  ["streamable-http", (each) => (name, clientName) => each.streamable(name, clientName)],
  ["sse", (each) => (name, clientName) => each.sse(name, clientName)],
];

describe.each(transports)("an SDK client over %s", (transport, connectOf) => {
  test("lists the tools with titles, annotations and output schemas", async () => {
    const client = await connectOf(bench)("alice");
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(["whoami", "session_status", "sign_out", "echo", "hold", "token_user"]);
    expect(tools[0]).toMatchObject({
      title: "Who am I",
      annotations: { readOnlyHint: true },
      outputSchema: { required: ["issuer", "subject"] },
    });
  });

  test("acts for the login session of its credential, beside a client of another user", async () => {
    const [alice, bob] = [await connectOf(bench)("alice"), await connectOf(bench)("bob")];
    const calls = await Promise.all([alice, bob, alice, bob].map((client) => client.callTool({ name: "whoami" })));
    expect(calls.map((call) => (call.structuredContent as { subject: string }).subject)).toEqual(["alice", "bob", "alice", "bob"]);
  });

  test("gets progress in order while a call runs, and none that goes back", async () => {
    const client = await connectOf(bench)("alice");
    const seen: number[] = [];
    const answer = client.callTool({ name: "hold" }, undefined, { onprogress: ({ progress }) => void seen.push(progress) });
    await bench.holding(1);
    const [held] = bench.held;
    held?.context.progress(1, 3, "one");
    held?.context.progress(1, 3, "again");
    held?.context.progress(0.5, 3, "back");
    held?.context.progress(2, 3, "two");
    // The SDK's client forgets the progress handler with the answer: what comes in one piece with it is lost there.
    await eventually(() => seen.length === 2);
    held?.release("done");
    expect(textOf(await answer)).toBe("done");
    held?.context.progress(3, 3, "too late");
    await client.ping();
    expect(seen).toEqual([1, 2]);
  });

  test("cancels a call: the tool's signal aborts and nothing is answered", async () => {
    const client = await connectOf(bench)("alice");
    const stop = new AbortController();
    const answer = client.callTool({ name: "hold" }, undefined, { signal: stop.signal }).catch((error: Error) => error);
    await bench.holding(1);
    const aborted = new Promise((resolve) => bench.held[0]?.context.signal.addEventListener("abort", resolve));
    stop.abort("enough");
    await aborted;
    expect(await answer).toBeInstanceOf(Error);
    bench.held[0]?.release("nobody reads this");
    expect(textOf(await client.callTool({ name: "echo", arguments: { text: "still here" } }))).toBe("alice: still here");
  });

  test("is told of arguments that do not match, problem by problem, as a tool error", async () => {
    const client = await connectOf(bench)("alice");
    const result = await client.callTool({ name: "echo", arguments: { times: 0, other: 1 } });
    expect(result.isError).toBe(true);
    expect(textOf(result)).toMatch(/required property 'text'.*additional properties.*times must be >= 1/s);
    expect(textOf(result).split("\n").at(-1)).toBe("code: invalid_request");
    expect(result._meta).toMatchObject({ "latchkey/error": { code: "invalid_request", retryable: false } });
  });

  test("gets the JSON-RPC error -32602 for an unknown tool", async () => {
    const client = await connectOf(bench)("alice");
    await expect(client.callTool({ name: "nothing" })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining("Unknown tool: nothing"),
    });
  });

  test("is among the clients of its login session, and of no other", async () => {
    const client = await connectOf(bench)("alice", "inspector");
    const { structuredContent } = await client.callTool({ name: "session_status" });
    expect(structuredContent).toMatchObject({ login: "ls_alice", clients: [{ name: "inspector", version: "1.2.3", transport }] });
    expect(bench.registry.clientsOf("id-bob" as never)).toEqual([]);
  });

  test("gets the answer to sign_out, then its connection closes, and nothing is left behind (B9, I16)", async () => {
    const client = await connectOf(bench)("alice");
    const other = await connectOf(bench)("bob");
    const result = await client.callTool({ name: "sign_out" });
    expect(result.structuredContent).toEqual({ state: "ended", revocation: "done" });
    expect(bench.registry.countByLoginSession("id-alice" as never)).toBe(0);
    expect(bench.registry.sizes()).toMatchObject({ connections: 1, loginSessions: 1, scheduled: 1, clientsSeen: 0 });
    await expect(client.callTool({ name: "whoami" })).rejects.toThrow();
    expect(textOf(await other.callTool({ name: "echo", arguments: { text: "hi" } }))).toBe("bob: hi");
  });

  test("is told why a running call stops when the login needs a new sign-in, and its connection stays", async () => {
    const client = await connectOf(bench)("alice");
    const answer = client.callTool({ name: "hold" });
    await bench.holding(1);
    await bench.requireLogin("id-alice" as never);
    const result = await answer;
    expect(result.isError).toBe(true);
    expect(textOf(result)).toContain("http://127.0.0.1/login?repair=ls_alice");
    expect(result._meta).toMatchObject({
      "latchkey/error": { code: "login_required", reason: "grant_dead", loginUrl: "http://127.0.0.1/login?repair=ls_alice" },
    });
    expect(bench.held[0]?.context.signal.aborted).toBe(true);
    expect(await client.callTool({ name: "token_user" })).toMatchObject({ isError: true });
    expect((await client.callTool({ name: "session_status" })).structuredContent).toMatchObject({ state: "login_required" });
  });

  test("gets a clear error at once when the login session ends during its call (S4, B9)", async () => {
    const client = await connectOf(bench)("alice");
    const answer = client.callTool({ name: "hold" });
    await bench.holding(1);
    await bench.end("id-alice" as never);
    expect((await answer)._meta).toMatchObject({ "latchkey/error": { code: "login_ended" } });
    expect(bench.held[0]?.context.signal.aborted).toBe(true);
    expect(bench.registry.size).toBe(0);
  });

  test("learns nothing of the inside of a tool that fails", async () => {
    const client = await connectOf(bench)("alice");
    const answer = client.callTool({ name: "hold" });
    await bench.holding(1);
    bench.held[0]?.fail(new Error("secret detail"));
    const result = await answer;
    expect(JSON.stringify(result)).not.toContain("secret detail");
    expect(result._meta).toMatchObject({ "latchkey/error": { code: "internal_error" } });
    expect(bench.lines.join("")).toContain("secret detail");
  });
});
