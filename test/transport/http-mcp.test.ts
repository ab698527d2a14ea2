import { afterEach, describe, expect, test } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { type BenchOptions, callMessage, initializeMessage, McpBench } from "./mcp-bench.ts";

let bench: McpBench;
async function begin(options: BenchOptions = {}): Promise<McpBench> {
  bench = await McpBench.start(options);
  return bench;
}
afterEach(() => bench.stop());

const message = JSON.stringify(initializeMessage());

function headers(more: Record<string, string> = {}): Record<string, string> {
  return { authorization: "Bearer lk_alice", "content-type": "application/json", accept: "application/json", ...more };
}

describe("Host and Origin (B12)", () => {
  test.each(["POST", "GET", "DELETE"])("are checked on %s /mcp before the credential is looked at", async (method) => {
    await begin();
    const foreignHost = await bench.raw(method, "/mcp", { host: "evil.example" });
    expect(foreignHost.status).toBe(403);
    expect(JSON.parse(foreignHost.body)).toMatchObject({ code: "forbidden" });
    expect((await bench.raw(method, "/mcp", { origin: "https://evil.example" })).status).toBe(403);
    expect((await bench.raw(method, "/mcp", { origin: "null" })).status).toBe(403);
  });

  test("are checked on /sse and /messages", async () => {
    await begin();
    expect((await bench.raw("GET", "/sse", { host: "evil.example", ...headers() })).status).toBe(403);
    expect((await bench.raw("POST", "/messages?sessionId=x", { origin: "https://evil.example", ...headers() }, message)).status).toBe(403);
  });

  test("let the server's own page through", async () => {
    await begin();
    expect((await bench.raw("POST", "/mcp", headers({ origin: bench.url }), message)).status).toBe(200);
  });
});

describe("CORS", () => {
  const page = "https://page.example";

  test("is answered for the configured origins on /mcp, preflight without a credential", async () => {
    await begin({ corsOrigins: [page] });
    const preflight = await bench.raw("OPTIONS", "/mcp", { origin: page, "access-control-request-method": "POST" });
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toContain(`access-control-allow-origin: ${page}`);
    expect(preflight.headers.join("\n")).toMatch(/access-control-allow-headers:.*authorization.*mcp-session-id/);
    const answer = await bench.raw("POST", "/mcp", headers({ origin: page }), message);
    expect(answer.status).toBe(200);
    expect(answer.headers).toContain("access-control-expose-headers: mcp-session-id, www-authenticate, retry-after");
    expect(answer.headers).toContain("vary: origin");
  });

  test("lets a page read why it was refused", async () => {
    await begin({ corsOrigins: [page] });
    const answer = await bench.raw("POST", "/mcp", { origin: page }, message);
    expect(answer.status).toBe(401);
    expect(answer.headers).toContain(`access-control-allow-origin: ${page}`);
  });

  test("is for nobody else, and for no other path", async () => {
    await begin({ corsOrigins: [page] });
    const foreign = await bench.raw("OPTIONS", "/mcp", { origin: "https://other.example" });
    expect(foreign.status).toBe(403);
    expect(foreign.headers.join("\n")).not.toContain("access-control");
    expect((await bench.raw("OPTIONS", "/sse", { origin: page })).status).toBe(403);
    expect((await bench.raw("OPTIONS", "/mcp", {})).status).toBe(401);
  });
});

describe("a request that cannot be authenticated", () => {
  test("is told where to sign in, when that is known", async () => {
    await begin({
      http: {
        challenge: (path) => ({ resourceMetadata: `https://mcp.example/.well-known/oauth-protected-resource${path}`, scope: "mcp" }),
      },
    });
    const { headers: answered } = await bench.raw("POST", "/mcp", { "content-type": "application/json" }, message);
    expect(answered.join("\n")).toContain('resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp"');
  });

  test("gets 503, never 401, while the store is away", async () => {
    await begin();
    const id = await bench.initialize("alice");
    bench.store.connectionKeys.getByHash = async () => {
      throw new LatchkeyError("store_unavailable", "The store cannot be reached.", { retryable: true });
    };
    const answer = await bench.post("alice", id, callMessage(1, "whoami"));
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("5");
    expect(await answer.json()).toMatchObject({ code: "store_unavailable" });
  });

  test("gets 503 while the login session cannot be read, and nothing stays open", async () => {
    await begin();
    bench.store.loginSessions.get = async () => {
      throw new LatchkeyError("store_unavailable", "The store cannot be reached.");
    };
    expect((await bench.post("alice", undefined, initializeMessage())).status).toBe(503);
    expect((await bench.post("alice", "unknown", callMessage(1, "whoami"))).status).toBe(503);
    expect(bench.registry.sizes()).toMatchObject({ connections: 0, opening: 0 });
  });

  test("gets 500 without any detail when something breaks", async () => {
    await begin();
    bench.store.connectionKeys.getByHash = async () => {
      throw new Error("secret detail");
    };
    const answer = await bench.post("alice", undefined, initializeMessage());
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("secret detail");
    expect(bench.lines.join("")).toContain("secret detail");
  });
});

describe("paths", () => {
  test("are MCP's three", async () => {
    await begin();
    expect(["/mcp", "/sse", "/messages", "/", "/mcp/", "/login"].map((path) => bench.mcp.handles(path))).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  test("are found in a whole address as well, as some proxies send it", async () => {
    await begin();
    expect((await bench.raw("POST", `${bench.url}/mcp?x=1`, headers(), message)).status).toBe(200);
  });
});

describe("log and audit", () => {
  test("name connections by labels, and hold no key, token or connection id (B10)", async () => {
    await begin();
    const id = await bench.initialize("alice");
    await bench.post("alice", id, callMessage(1, "whoami"));
    await bench.post("bob", id, callMessage(1, "whoami"));
    await bench.end("id-alice" as never);
    expect(bench.events.map(({ event }) => event)).toEqual(["connection_opened", "foreign_connection_access", "connection_closed"]);
    expect(bench.events[0]).toMatchObject({
      login: "ls_alice",
      transport: "streamable-http",
      connection: expect.stringMatching(/^c_[\w-]{8}$/),
    });
    expect(bench.events[2]).toMatchObject({ connection: bench.events[0]?.connection, reason: "login_ended", client: "raw" });
    const all = bench.lines.join("") + JSON.stringify(bench.events);
    for (const secret of ["lk_alice", "lk_bob", "canary", "id-alice", id]) expect(all).not.toContain(secret);
  });
});
