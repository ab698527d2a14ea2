import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { CallToolRequestSchema, type CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { toolErrorResult } from "../../src/mcp/tool-errors.ts";

/** A scripted MCP server on both HTTP transports, with one connection. `answer` may end it in any way. */
class ScriptedServer {
  readonly calls: string[] = [];
  readonly verbs: string[] = [];
  accepts = true;
  /** The answer of slow_report waits for it, since the client drops progress that comes together with the answer. */
  progressSeen: Promise<void> = Promise.resolve();
  answer: (name: string) => CallToolResult | undefined | Promise<CallToolResult | undefined> = () => undefined;
  readonly #http: HttpServer;
  #notes: { readonly id: string; readonly text: unknown }[] = [];
  #sse: SSEServerTransport | undefined;
  #streamable: StreamableHTTPServerTransport | undefined;

  constructor() {
    this.#http = createServer((request, response) => void this.#serve(request, response));
  }

  async start(): Promise<void> {
    this.#http.listen(0, "127.0.0.1");
    await once(this.#http, "listening");
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  /** Breaks the stream of the SSE connection, as a logout does. */
  async breakStream(): Promise<void> {
    await this.#sse?.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", this.url);
    this.verbs.push(`${request.method} ${pathname}`);
    if (!this.accepts || request.headers.authorization !== "Bearer lk_demo_alice") {
      response.writeHead(401, { "content-type": "application/problem+json" });
      response.end(JSON.stringify({ code: "unauthorized", detail: "This connection key is unknown or was removed." }));
      return;
    }
    if (pathname === "/sse") {
      this.#sse = new SSEServerTransport("/messages", response);
      await this.#server().connect(this.#sse);
    } else if (pathname === "/messages") await this.#sse?.handlePostMessage(request, response);
    else {
      if (this.#streamable === undefined) {
        this.#streamable = new StreamableHTTPServerTransport({ sessionIdGenerator: () => "the-connection" });
        await this.#server().connect(this.#streamable);
      }
      await this.#streamable.handleRequest(request, response);
    }
  }

  #server(): Server {
    const server = new Server({ name: "scripted", version: "1" }, { capabilities: { tools: {} } });
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
      this.calls.push(params.name);
      const scripted = await this.answer(params.name);
      if (scripted !== undefined) return scripted;
      const progressToken = params._meta?.progressToken;
      if (params.name === "slow_report" && progressToken !== undefined) {
        await extra.sendNotification({
          method: "notifications/progress",
          params: { progressToken, progress: 1, total: 2, message: "Working" },
        });
        await this.progressSeen;
      }
      return this.#plainAnswer(params.name, params.arguments ?? {});
    });
    return server;
  }

  #plainAnswer(name: string, args: Record<string, unknown>): CallToolResult {
    const note = { id: `n${this.#notes.length}`, text: args.text };
    if (name === "add_note") this.#notes.push(note);
    if (name === "delete_note") this.#notes = this.#notes.filter(({ id }) => id !== args.id);
    const structuredContent =
      name === "add_note" ? note : name === "list_notes" ? { notes: this.#notes } : { name, left: this.#notes.length };
    return { content: [{ type: "text", text: `answer of ${name}` }], structuredContent };
  }
}

let server: ScriptedServer;
beforeEach(async () => {
  server = new ScriptedServer();
  await server.start();
});
afterEach(() => server.close());

async function agent(...args: readonly string[]): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawn(process.execPath, ["examples/agent.ts", ...args], { env: { PATH: process.env.PATH } });
  let out = "";
  let err = "";
  const progress = Promise.withResolvers<void>();
  server.progressSeen = progress.promise;
  child.stdout.on("data", (chunk) => {
    out += chunk;
    if (out.includes("slow_report: 1 of 2")) progress.resolve();
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  const [code] = await once(child, "close");
  return { code, out, err };
}

const workflow = ["whoami", "add_note", "list_notes", "slow_report", "delete_note", "session_status"];
const over = (): CallToolResult =>
  toolErrorResult(new LatchkeyError("login_ended", "This login session was signed out."), `${server.url}/login?x=1`);

describe("the example agent", { timeout: 30_000 }, () => {
  it.each(["http", "sse"])("runs its workflow over %s as often as asked, with progress, and exits 0", async (transport) => {
    const { code, out } = await agent("--transport", transport, "--url", server.url, "--rounds", "2");
    expect(server.calls).toEqual([...workflow, ...workflow]);
    expect(out).toContain("slow_report: 1 of 2, Working");
    expect(out).toContain("done: 12 calls in 2 rounds");
    expect(code).toBe(0);
    if (transport === "http") expect(server.verbs).toContain("DELETE /mcp");
  });

  it("stops cleanly when the login session ends in the middle: which step, the code, where to sign in, exit code 3", async () => {
    server.answer = (name) => (name === "slow_report" ? over() : undefined);
    const { code, out } = await agent("--url", server.url);
    expect(out).toContain("stopped at slow_report in round 1, after 3 calls");
    expect(out).toContain("code: login_ended");
    expect(out).toContain(`open ${server.url}/login?x=1`);
    expect(code).toBe(3);
  });

  it("knows a refused key between two steps for the same", async () => {
    server.answer = (name) => {
      if (name === "list_notes") server.accepts = false;
      return undefined;
    };
    const { code, out } = await agent("--url", server.url);
    expect(out).toContain("stopped at slow_report in round 1");
    expect(out).toContain("code: unauthorized");
    expect(out).toContain(`${server.url}/login`);
    expect(code).toBe(3);
  });

  it("does not hang when the SSE stream is closed under a running call", async () => {
    server.answer = async (name) => {
      if (name !== "slow_report") return undefined;
      server.accepts = false;
      await server.breakStream();
      return new Promise(() => {});
    };
    const { code, out } = await agent("--transport", "sse", "--url", server.url);
    expect(out).toContain("stopped at slow_report in round 1");
    expect(code).toBe(3);
  });

  it("waits and repeats a call that could not get an access token yet", async () => {
    let first = true;
    server.answer = (name) => {
      if (name !== "add_note" || !first) return undefined;
      first = false;
      return toolErrorResult(new LatchkeyError("refresh_timeout", "Later.", { retryable: true, retryAfterSeconds: 0 }));
    };
    const { code } = await agent("--url", server.url);
    expect(server.calls).toEqual(["whoami", "add_note", ...workflow.slice(1)]);
    expect(code).toBe(0);
  });

  it("exits 1 for any other failure, and says when nothing answers", async () => {
    server.answer = (name) => (name === "add_note" ? toolErrorResult(new LatchkeyError("upstream_failed", "The API is away.")) : undefined);
    const failed = await agent("--url", server.url);
    expect(failed.out).toContain("The API is away.");
    expect(failed.code).toBe(1);
    const { url } = server;
    await server.close();
    await server.start();
    const nobody = await agent("--url", url === server.url ? "http://127.0.0.1:1" : url);
    expect(nobody.out).toContain("does not answer");
    expect(nobody.code).toBe(1);
  });

  it("tells all that is wrong with its usage at once, and exits 2", async () => {
    const { code, out, err } = await agent(
      "--transport",
      "x",
      "--url",
      "ftp://a",
      "--rounds",
      "0.5",
      "--pause",
      "-1",
      "--foo",
      "extra",
      "--key",
    );
    expect(err.trim().split("\n")).toHaveLength(8);
    expect([code, out]).toEqual([2, ""]);
    expect((await agent("--transport", "stdio", "--key", "k", "--url", "http://a")).code).toBe(2);
  });

  it("has a help with an example", async () => {
    const { code, out } = await agent("--help");
    expect(out).toContain("Example:");
    expect(code).toBe(0);
  });
});
