import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { ElicitRequestSchema, type RequestId } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { createLogger } from "../../src/logger.ts";
import type { RunningCall, ServedConnection } from "../../src/mcp/served-connection.ts";
import { createServerFactory, type ServerFactoryOptions } from "../../src/mcp/server-factory.ts";
import type { LoginSession } from "../../src/session/login-session.ts";
import type { Tool, ToolContext, ToolResult } from "../../src/tool/tool.ts";
import { createToolContext } from "../../src/tool/tool-context.ts";
import { createToolTable } from "../../src/tool/tool-table.ts";
import { liveSession } from "../support/fake-call-host.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

const lines: string[] = [];
const logger = createLogger({ level: "debug", format: "json", write: (line) => void lines.push(line), now: () => 0 });

class FakeConnection implements ServedConnection {
  readonly label = "c_test";
  readonly transport = "stdio" as const;
  session = liveSession();
  readonly kept: string[] = [];
  readonly abort = new AbortController();
  readonly login = { id: this.session.id, current: () => this.session, touch: () => {}, release: () => {} };

  clients() {
    return [{ name: "test", transport: this.transport, lastSeenAt: 0 }];
  }

  call(_id: RequestId): RunningCall {
    const { signal } = this.abort;
    return { signal, isOpen: true, keepAnswer: () => void this.kept.push("keep"), releaseAnswer: () => void this.kept.push("release") };
  }
}

function tool(
  run: (args: Readonly<Record<string, unknown>>, context: ToolContext) => ToolResult | Promise<ToolResult>,
  more: Partial<Tool> = {},
): Tool {
  return {
    name: "tool",
    description: "A tool.",
    inputSchema: { type: "object" },
    run: async (args, context) => run(args, context),
    ...more,
  };
}

function factory(tools: readonly Tool[], more: Partial<ServerFactoryOptions> = {}) {
  return createServerFactory({
    name: "latchkey",
    title: "Latchkey",
    version: "1.2.3",
    instructions: "Tools act as the signed-in user.",
    tools: createToolTable(tools),
    createContext: (host) => createToolContext(host, [], { clock: new ManualClock(), logger }),
    tokens: { acquire: (login) => login.current().accessTokens[0] ?? Promise.reject(new Error("none")) },
    endLoginSession: async () => ({ loginSession: liveSession({ state: "ended" }), revocation: "pending" }),
    loginLink: (repair) => `https://mcp.example/login${repair === undefined ? "" : `?repair=${repair}`}`,
    deadLoginError: (login: LoginSession) => new LatchkeyError("login_ended", `${login.handle} has ended.`),
    logger,
    ...more,
  });
}

async function connect(
  tools: readonly Tool[],
  connection = new FakeConnection(),
  more: Partial<ServerFactoryOptions> = {},
  client = new Client({ name: "test", version: "1" }),
) {
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  await factory(tools, more).create(connection).connect(ours);
  await client.connect(theirs);
  return client;
}

describe("a server", () => {
  test("introduces itself", async () => {
    const client = await connect([tool(() => ({ content: [] }))]);
    expect(client.getServerVersion()).toEqual({ name: "latchkey", title: "Latchkey", version: "1.2.3" });
    expect(client.getInstructions()).toBe("Tools act as the signed-in user.");
    expect(client.getServerCapabilities()).toEqual({ tools: {} });
  });

  test("acts for its own connection alone, though another server has the same tools (B2)", async () => {
    const made = factory([tool((_args, context) => ({ content: [{ type: "text", text: context.principal.subject }] }))]);
    const subjects = ["alice", "bob"];
    const answers = subjects.map(async (subject) => {
      const connection = new FakeConnection();
      connection.session = liveSession({ principal: { issuer: "https://as.example", subject, clientId: "latchkey" } });
      const [ours, theirs] = InMemoryTransport.createLinkedPair();
      await made.create(connection).connect(ours);
      const client = new Client({ name: subject, version: "1" });
      await client.connect(theirs);
      return (await client.callTool({ name: "tool" })).content;
    });
    expect(await Promise.all(answers)).toEqual(subjects.map((text) => [{ type: "text", text }]));
  });

  test("hands structured content and other content on", async () => {
    const outputSchema = { type: "object", properties: { n: { type: "number" } }, required: ["n"] } as const;
    const image = { type: "image", data: "AAAA", mimeType: "image/png" } as const;
    const client = await connect([tool(() => ({ content: [image], structured: { n: 1 } }), { outputSchema })]);
    await client.listTools();
    expect(await client.callTool({ name: "tool" })).toEqual({ content: [image], structuredContent: { n: 1 } });
  });

  test("does not pass on an answer that breaks the tool's own output schema", async () => {
    const outputSchema = { type: "object", properties: { n: { type: "number" } }, required: ["n"] } as const;
    const client = await connect([tool(() => ({ content: [], structured: { n: "secret" } }), { outputSchema })]);
    const result = await client.callTool({ name: "tool" });
    expect(result).toMatchObject({ isError: true, _meta: { "latchkey/error": { code: "internal_error" } } });
    expect(JSON.stringify(result)).not.toContain("secret");
  });

  test("asks no output schema of a failed call", async () => {
    const outputSchema = { type: "object", required: ["n"] } as const;
    const failed = { content: [{ type: "text", text: "the API said no" }], isError: true } as const;
    const client = await connect([tool(() => failed, { outputSchema })]);
    expect(await client.callTool({ name: "tool" })).toEqual(failed);
  });

  test("turns a LatchkeyError into a tool error: message, what to do, code, and the same for programs", async () => {
    const error = new LatchkeyError("refresh_timeout", "The authorization server is slow.", {
      retryable: true,
      retryAfterSeconds: 2,
      details: { login: "ls_alice" },
    });
    const client = await connect([tool(() => Promise.reject(error))]);
    expect(await client.callTool({ name: "tool" })).toEqual({
      content: [{ type: "text", text: "The authorization server is slow.\nIt can be tried again in 2 s.\ncode: refresh_timeout" }],
      isError: true,
      _meta: { "latchkey/error": { code: "refresh_timeout", retryable: true, retryAfterSeconds: 2, login: "ls_alice" } },
    });
  });

  test("gives a tool the access token of its own connection, and its signal to whoever waits for one", async () => {
    const connection = new FakeConnection();
    const asked: unknown[] = [];
    const tokens: ServerFactoryOptions["tokens"] = {
      acquire: (login, target, options) => {
        asked.push(login, target, options?.rejected, options?.signal);
        return { ...(login.current().accessTokens[0] as NonNullable<LoginSession["accessTokens"][number]>) };
      },
    };
    const borrowed: unknown[] = [];
    const createContext: ServerFactoryOptions["createContext"] = (host) => {
      const context = createToolContext(host, [], { clock: new ManualClock(), logger });
      const status = async () => {
        borrowed.push(await host.acquire({ scopes: ["a"] }, { rejected: "old" }));
        return context.status();
      };
      return { ...context, status };
    };
    const client = await connect([tool(async (_args, context) => context.status().then(() => ({ content: [] })))], connection, {
      tokens,
      createContext,
    });
    await client.callTool({ name: "tool" });
    expect(asked).toEqual([connection.login, { scopes: ["a"] }, "old", connection.abort.signal]);
    expect(borrowed).toEqual([{ accessToken: connection.session.accessTokens[0]?.accessToken, expiresAt: 30_000 }]);
  });

  test("keeps the answer of a sign-out before the end, and lets go of it when the end fails", async () => {
    const connection = new FakeConnection();
    const order: string[] = [];
    let fails = false;
    const endLoginSession: ServerFactoryOptions["endLoginSession"] = async () => {
      order.push(...connection.kept.splice(0), "end");
      if (fails) throw new LatchkeyError("store_unavailable", "The store cannot be reached.");
      return { loginSession: liveSession({ state: "ended" }), revocation: "pending" };
    };
    const signOut = tool(async (_args, context) => ({ content: [], structured: { ...(await context.signOut()) } }));
    const client = await connect([signOut], connection, { endLoginSession });
    expect((await client.callTool({ name: "tool" })).structuredContent).toEqual({ state: "ended", revocation: "pending" });
    fails = true;
    expect(await client.callTool({ name: "tool" })).toMatchObject({
      isError: true,
      _meta: { "latchkey/error": { code: "store_unavailable" } },
    });
    expect([...order, ...connection.kept]).toEqual(["keep", "end", "keep", "end", "release"]);
  });

  test("logs a tool's line with tool, login session and connection", async () => {
    const logs = tool((_args, context) => {
      context.log("halfway", { row: 7 });
      return { content: [] };
    });
    const client = await connect([logs]);
    await client.callTool({ name: "tool" });
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      message: "halfway",
      row: 7,
      tool: "tool",
      login: "ls_alice",
      connection: "c_test",
    });
  });

  test("answers for a login session that has ended without running the tool", async () => {
    const connection = new FakeConnection();
    let ran = false;
    const notices = tool(() => {
      ran = true;
      return { content: [] };
    });
    const client = await connect([notices], connection);
    connection.session = liveSession({ state: "ended" });
    const result = await client.callTool({ name: "tool" });
    expect(result).toMatchObject({
      isError: true,
      // Not the link that repairs: what has ended stays ended (I11).
      _meta: { "latchkey/error": { code: "login_ended", loginUrl: "https://mcp.example/login" } },
    });
    expect(ran).toBe(false);
  });

  test("asks a client that can open links to do so, once for each time a sign-in is needed", async () => {
    const connection = new FakeConnection();
    const client = new Client({ name: "test", version: "1" }, { capabilities: { elicitation: { url: {} } } });
    const asked: unknown[] = [];
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params);
      return { action: "accept" };
    });
    const needsLogin = tool(() => Promise.reject(new LatchkeyError("login_required", "Sign in again.")));
    await connect([needsLogin], connection, {}, client);
    connection.session = liveSession({ state: "login_required" });
    const result = await client.callTool({ name: "tool" });
    expect((result.content as { text: string }[])[0]?.text).toBe(
      "Sign in again.\nSign in here: https://mcp.example/login?repair=ls_alice\ncode: login_required",
    );
    await client.callTool({ name: "tool" });
    await settle();
    expect(asked).toMatchObject([{ mode: "url", url: "https://mcp.example/login?repair=ls_alice" }]);
    connection.session = liveSession({ state: "login_required", epoch: 2 });
    await client.callTool({ name: "tool" });
    await settle();
    expect(asked).toHaveLength(2);
  });
});

describe("a factory", () => {
  test("refuses schemas that cannot be compiled, all at once", () => {
    const broken = { type: "object", properties: { x: { type: "nonsense" } } } as const;
    const tools = [
      tool(() => ({ content: [] }), { name: "one", inputSchema: broken }),
      tool(() => ({ content: [] }), { name: "two", outputSchema: broken }),
    ];
    expect(() => factory(tools)).toThrow(
      expect.objectContaining({
        code: "configuration_invalid",
        details: { problems: [expect.stringContaining('"one"'), expect.stringContaining('"two"')] },
      }),
    );
  });
});
