import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { ModernServers } from "../../src/mcp/modern-servers.ts";
import { eventually, McpBench } from "./mcp-bench.ts";

let bench: McpBench;
beforeEach(async () => {
  bench = await McpBench.start({ modern: { maxExchangesPerLoginSession: 3 } });
});
afterEach(() => bench.stop());

const version = "2026-07-28";

interface Asked {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

async function ask(user: string, method: string, { params = {}, headers = {}, meta = {}, signal }: Asked = {}) {
  const envelope = {
    "io.modelcontextprotocol/protocolVersion": version,
    "io.modelcontextprotocol/clientInfo": { name: "modern", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
    ...meta,
  };
  const name: Record<string, string> = typeof params["name"] === "string" ? { "mcp-name": params["name"] } : {};
  const response = await fetch(`${bench.url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer lk_${user}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": version,
      "mcp-method": method,
      ...name,
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: envelope } }),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await response.text();
  const last = text.includes("data: ") ? (text.split("data: ").at(-1) ?? "") : text;
  return { status: response.status, headers: response.headers, text, json: JSON.parse(last === "" ? "{}" : last) };
}

const call = (user: string, name: string, args: unknown = {}, more: Asked = {}) =>
  ask(user, "tools/call", { ...more, params: { name, arguments: args } });

describe("a request of the modern era", () => {
  test("needs no initialize, and acts for the login session of its own credential (R9)", async () => {
    const answers = await Promise.all(["alice", "bob", "alice"].map((user) => call(user, "whoami")));
    expect(answers.map(({ json }) => json.result.structuredContent.subject)).toEqual(["alice", "bob", "alice"]);
    for (const { headers } of answers) expect(headers.get("mcp-session-id")).toBeNull();
  });

  test("finds out what there is, and nobody may keep the answer for somebody else", async () => {
    const discovered = await ask("alice", "server/discover");
    expect(discovered.json.result).toMatchObject({
      supportedVersions: expect.arrayContaining([version]),
      capabilities: { tools: {} },
      cacheScope: "private",
    });
    const { tools, cacheScope } = (await ask("alice", "tools/list")).json.result;
    expect(cacheScope).toBe("private");
    expect(tools.map((tool: { name: string }) => tool.name)).toEqual([
      "whoami",
      "session_status",
      "sign_out",
      "echo",
      "hold",
      "token_user",
    ]);
  });

  test("is refused by the modern era's own codes", async () => {
    expect((await ask("alice", "no/such")).status).toBe(404);
    expect((await ask("alice", "no/such")).json.error.code).toBe(-32601);
    expect((await call("alice", "whoami", {}, { headers: { "mcp-name": "echo" } })).json.error.code).toBe(-32020);
    expect((await call("alice", "whoami", {}, { headers: { "mcp-method": "tools/list" } })).json.error.code).toBe(-32020);
    const future = await call(
      "alice",
      "whoami",
      {},
      {
        headers: { "mcp-protocol-version": "2031-01-01" },
        meta: { "io.modelcontextprotocol/protocolVersion": "2031-01-01" },
      },
    );
    expect([future.status, future.json.error.code]).toEqual([400, -32022]);
    expect((await call("alice", "nothing")).json.error).toMatchObject({ code: -32602, message: "Unknown tool: nothing" });
  });

  test("without a credential, or with a wrong one, gets 401 and nothing else (B4)", async () => {
    expect((await call("nobody", "whoami")).status).toBe(401);
    expect((await ask("alice", "server/discover", { headers: { authorization: "" } })).status).toBe(401);
  });

  test("is told of arguments that do not match, and of what a tool fails with, like a legacy one", async () => {
    const { result } = (await call("alice", "echo", { other: 1 })).json;
    expect(result.isError).toBe(true);
    expect(result._meta["latchkey/error"]).toMatchObject({ code: "invalid_request" });
  });

  test("of a legacy client is served as before, side by side", async () => {
    const client = await bench.streamable("alice");
    expect((await client.callTool({ name: "whoami" })).structuredContent).toMatchObject({ subject: "alice" });
    expect((await call("bob", "whoami")).json.result.structuredContent.subject).toBe("bob");
  });

  test("gets progress as a stream, and the answer at its end", async () => {
    const answer = call("alice", "hold", {}, { meta: { progressToken: "p" } });
    await bench.holding(1);
    bench.held[0]?.context.progress(1, 2, "half");
    bench.held[0]?.release("done");
    const { headers, text, json } = await answer;
    expect(headers.get("content-type")).toContain("text/event-stream");
    expect(text).toContain('"progressToken":"p"');
    expect(json.result.content[0].text).toBe("done");
  });
});

describe("the login session of a running request", () => {
  test("ends: the call is answered with a clear error at once, and its tool aborted (S4, B9)", async () => {
    const answer = call("alice", "hold");
    await bench.holding(1);
    await bench.end("id-alice" as never);
    const { json } = await answer;
    expect(json.result._meta["latchkey/error"]).toMatchObject({ code: "login_ended" });
    expect(bench.held[0]?.context.signal.aborted).toBe(true);
    expect((await call("alice", "whoami")).status).toBe(401);
    expect((await call("bob", "whoami")).status).toBe(200);
  });

  test("is ended by the request itself: its own answer arrives", async () => {
    const { json } = await call("alice", "sign_out");
    expect(json.result.structuredContent).toEqual({ state: "ended", revocation: "done" });
  });

  test("needs a sign-in: a connection key is told so by the tool, with the link", async () => {
    const answer = call("alice", "hold");
    await bench.holding(1);
    await bench.requireLogin("id-alice" as never);
    expect((await answer).json.result._meta["latchkey/error"]).toMatchObject({ code: "login_required" });
    const next = await call("alice", "token_user");
    expect(next.json.result._meta["latchkey/error"]).toMatchObject({ loginUrl: "http://127.0.0.1/login?repair=ls_alice" });
  });

  test("is let go with the answer, or when the client goes away, and nothing stays behind (I16)", async () => {
    await call("alice", "whoami");
    const gone = new AbortController();
    const broken = call("alice", "hold", {}, { signal: gone.signal }).catch((error: Error) => error);
    await bench.holding(1);
    expect(bench.registry.countByLoginSession("id-alice" as never)).toBe(1);
    const aborted = new Promise((resolve) => bench.held[0]?.context.signal.addEventListener("abort", resolve));
    gone.abort();
    await Promise.all([broken, aborted]);
    bench.held[0]?.release("nobody reads this");
    await eventually(() => bench.registry.countByLoginSession("id-alice" as never) === 0 && bench.loginSessions.watchedCount === 0);
  });

  test("has a limited number of requests at one time", async () => {
    const held = [1, 2, 3].map(() => call("alice", "hold"));
    await bench.holding(3);
    const refused = await call("alice", "whoami");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "5"]);
    expect((await call("bob", "whoami")).status).toBe(200);
    for (const one of bench.held) one.release("done");
    await Promise.all(held);
    expect((await call("alice", "whoami")).status).toBe(200);
  });
});

test("a removed connection key cuts off what is being answered to it", async () => {
  const answer = call("alice", "hold").catch((error: Error) => error);
  await bench.holding(1);
  const [key] = await bench.store.connectionKeys.listByLoginSession("id-alice" as never);
  bench.registry.closeByKey("id-alice" as never, key?.id ?? "");
  await answer;
  expect(bench.held[0]?.context.signal.aborted).toBe(true);
});

test("the client of a request is seen while it is answered and for 15 minutes afterwards, by its own login session alone", async () => {
  const answer = call("alice", "hold", {}, { meta: { "io.modelcontextprotocol/clientInfo": { name: "slow\nclient", version: "1" } } });
  await bench.holding(1);
  const { json } = await call("alice", "session_status");
  const clients: { name: string }[] = json.result.structuredContent.clients;
  expect(clients.map(({ name }) => name).sort()).toEqual(["modern", "slow client"]);
  bench.held[0]?.release("done");
  await answer;
  await eventually(() => bench.registry.countByLoginSession("id-alice" as never) === 0);
  const seen = bench.registry.clientsOf("id-alice" as never);
  expect(seen.map(({ name, transport }) => `${name} ${transport}`).sort()).toEqual([
    "modern streamable-http",
    "slow client streamable-http",
  ]);
  expect(bench.registry.clientsOf("id-bob" as never)).toEqual([]);
  await bench.clock.advance(16 * 60_000);
  expect(bench.registry.sizes()).toMatchObject({ clientsSeen: 0 });
});

test("a client of a login session that has ended is not remembered (I16)", async () => {
  await call("alice", "sign_out");
  await eventually(() => bench.registry.countByLoginSession("id-alice" as never) === 0);
  expect(bench.registry.sizes()).toMatchObject({ clientsSeen: 0 });
});

test("subscriptions/listen promises nothing of a tool table that never changes: it is complete at once", async () => {
  const { text, json } = await ask("alice", "subscriptions/listen", { params: { notifications: { toolsListChanged: true } } });
  expect(text).toContain('"notifications":{}');
  expect(json.result).toMatchObject({ resultType: "complete" });
  await eventually(() => bench.registry.countByLoginSession("id-alice" as never) === 0);
});

test("whoever asks in whatever order, and is answered in whatever order, gets the answer of his own login session (B2)", async () => {
  const users = ["alice", "bob"] as const;
  await fc.assert(
    fc.asyncProperty(
      fc
        .array(fc.constantFrom(...users), { minLength: 2, maxLength: 6 })
        .filter((all) => users.every((user) => all.filter((each) => each === user).length <= 3)),
      fc.infiniteStream(fc.nat()),
      async (askers, order) => {
        bench.held.length = 0;
        const answers = askers.map((user, index) => call(user, "hold", { label: `${index}` }));
        await bench.holding(askers.length);
        const waiting = [...bench.held];
        while (waiting.length > 0) {
          const [next] = waiting.splice((order.next().value ?? 0) % waiting.length, 1);
          next?.release(`${next.context.principal.subject} ${next.label}`);
        }
        const texts = (await Promise.all(answers)).map(({ json }) => json.result.content[0].text);
        expect(texts).toEqual(askers.map((user, index) => `${user} ${index}`));
      },
    ),
    { numRuns: 20 },
  );
});

test("each request has a server of its own (B2)", async () => {
  const made: [object, string][] = [];
  const { create } = ModernServers.prototype;
  const spy = vi.spyOn(ModernServers.prototype, "create").mockImplementation(function (this: ModernServers, exchange) {
    const server = create.call(this, exchange);
    made.push([server, exchange.login.current().principal.subject]);
    return server;
  });
  onTestFinished(() => spy.mockRestore());
  await Promise.all(["alice", "bob", "alice", "bob"].map((user) => call(user, "whoami")));
  expect(made.map(([, subject]) => subject).sort()).toEqual(["alice", "alice", "bob", "bob"]);
  expect(new Set(made.map(([server]) => server)).size).toBe(4);
});

test("there is no stream to open and nothing to delete in the modern era", async () => {
  for (const method of ["GET", "DELETE"]) {
    const answer = await fetch(`${bench.url}/mcp`, {
      method,
      headers: { authorization: "Bearer lk_alice", accept: "text/event-stream", "mcp-protocol-version": version },
    });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
  }
});
