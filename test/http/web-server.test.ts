import { request } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { listen } from "../../src/http/listen.ts";
import type { LogFields, Logger } from "../../src/logger.ts";
import { silentLogger } from "../../src/logger.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { startWebBench, type WebBench } from "./web-bench.ts";

let bench: WebBench;

beforeEach(async () => {
  bench = await startWebBench({ corsOrigins: ["https://inspector.example"] });
});

afterEach(() => bench.close());

/** For headers that fetch does not let through. */
async function raw(
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port: bench.port, path, method: options.method ?? "GET", headers: options.headers },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      },
    );
    sent.on("error", reject);
    sent.end();
  });
}

describe("every answer", () => {
  it.each(["/", "/s/ls_1", "/login", "/login/callback", "/api/me", "/nothing", "/health/live", "/assets/console.js"])(
    "of %s has the security headers",
    async (path) => {
      const { headers } = await bench.browser().get(path);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self';");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("same-origin");
      expect(headers.get("cache-control")).toBe(path.startsWith("/assets/") ? "no-cache" : "no-store");
      expect(headers.get("access-control-allow-origin")).toBeNull();
    },
  );

  it("to a foreign Host or Origin is a refusal, before anything else is looked at (B12)", async () => {
    for (const headers of [{ host: "evil.example" }, { host: `evil.example:${bench.port}` }]) {
      for (const path of ["/", "/mcp", "/api/me", "/health/live"]) expect((await raw(path, { headers })).status).toBe(403);
    }
    const answer = await raw("/api/me", { headers: { host: `127.0.0.1:${bench.port}`, origin: "https://evil.example" } });
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.text)).toMatchObject({ code: "forbidden", status: 403 });
  });

  it("to a configured foreign origin comes from the MCP paths alone", async () => {
    const headers = { host: `127.0.0.1:${bench.port}`, origin: "https://inspector.example" };
    expect((await raw("/mcp", { headers })).status).toBe(202);
    expect((await raw("/api/me", { headers })).status).toBe(403);
  });
});

describe("what cannot be served", () => {
  it("is a problem document (RFC 9457) for programs and a page for people", async () => {
    const browser = bench.browser();
    const program = await browser.get("/nothing");
    expect(program.headers.get("content-type")).toBe("application/problem+json");
    expect(program.json).toEqual({
      type: "about:blank",
      title: "Not Found",
      status: 404,
      code: "not_found",
      detail: "There is nothing at this address.",
    });
    const page = await browser.get("/nothing", { accept: "text/html,*/*" });
    expect(page.status).toBe(404);
    expect(page.headers.get("content-type")).toContain("text/html");
    expect((await browser.get("/.well-known/openid-configuration")).status).toBe(404);
  });

  it("says which methods a path has", async () => {
    const browser = bench.browser();
    for (const [method, path, allow] of [
      ["POST", "/api/me", "GET, HEAD"],
      ["PUT", "/api/sessions", "GET, HEAD, POST"],
      ["PATCH", "/api/sessions/x", "GET, HEAD, DELETE"],
      ["GET", "/logout", "POST"],
      ["OPTIONS", "/api/sessions/x/keys", "POST, GET, HEAD"],
    ] as const) {
      const answer = await browser.request(method, path);
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, allow]);
    }
  });

  it("names what is wrong with a body, and never quotes it (B10)", async () => {
    const alice = await bench.browser().signIn("alice");
    const headers = { "x-latchkey-login": alice.handle, "x-csrf-token": await alice.csrfToken() };
    const post = (body: string, type = "application/json") =>
      alice.browser.request("POST", `/api/sessions/${alice.handle}/keys`, { headers: { ...headers, "content-type": type }, body });
    for (const [answer, status, words] of [
      [await post('{"name":"canary-secret'), 400, "not valid JSON"],
      [await post(""), 400, "empty"],
      [await post("[1]"), 400, "JSON object"],
      [await post('"canary-secret"'), 400, "JSON object"],
      [await post("name=x", "text/plain"), 400, "application/json, not text/plain"],
      [await post(JSON.stringify({ name: "x".repeat(200_000) })), 413, "larger than 128 KiB"],
    ] as const) {
      expect([answer.status, answer.json.detail]).toEqual([status, expect.stringContaining(words)]);
      expect(answer.text).not.toContain("canary-secret");
    }
  });

  it("survives malformed addresses and cookies", async () => {
    const host = `127.0.0.1:${bench.port}`;
    expect((await raw("//", { headers: { host } })).status).toBe(404);
    expect((await raw("/s/%E0%A4%A", { headers: { host } })).status).toBe(200);
    expect((await raw("/api/sessions/%00", { headers: { host, cookie: ";;=;latchkey_browser_1==;" } })).status).toBe(401);
    expect((await raw("/a\\b", { headers: { host } })).status).toBe(400);
  });

  it("inside is a 500 without a cause in the answer; the cause goes to the log", async () => {
    const warned: LogFields[] = [];
    const logger: Logger = { ...silentLogger, warn: (_message, fields = {}) => void warned.push(fields) };
    await bench.close();
    bench = await startWebBench({ logger });
    bench.replica.core.sessions.getByHandle = () => Promise.reject(new Error("a secret of the driver"));
    const alice = await bench.browser().signIn("alice");
    const answer = await alice.get("/api/sessions/ls_other");
    expect(answer.json).toMatchObject({ status: 500, code: "internal_error" });
    expect(answer.text).not.toContain("secret of the driver");
    expect(warned).toEqual([expect.objectContaining({ code: "internal_error" })]);
  });
});

describe("the console's page", () => {
  it("is the same for everybody, with files from this server alone", async () => {
    const browser = bench.browser();
    const page = await browser.get("/");
    const window = await browser.get("/s/ls_whatever");
    expect(window.text).toBe(page.text);
    expect(page.text).not.toMatch(/<script(?![^>]* src="\/)/);
    expect(page.text).not.toMatch(/ style=| on\w+=/);
    for (const [, path = ""] of page.text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) expect((await browser.get(path)).status).toBe(200);
  });

  it("has files that a browser need not load twice", async () => {
    const browser = bench.browser();
    const first = await browser.get("/assets/console.css");
    expect(first.headers.get("content-type")).toBe("text/css; charset=utf-8");
    expect((await browser.get("/assets/console.css", { "if-none-match": first.headers.get("etag") ?? "" })).status).toBe(304);
    expect((await browser.get("/assets/../console-files.ts")).status).toBe(404);
    expect((await browser.get("/assets/index.html")).status).toBe(404);
  });

  it("sends a browser that came by another loopback name to the public one, where the cookies are", async () => {
    const headers = { host: `localhost:${bench.port}` };
    for (const path of ["/", "/s/ls_1", "/login?return_to=/s/ls_1"]) {
      const answer = await raw(path, { headers });
      expect([answer.status, answer.headers.location]).toEqual([307, `${bench.url}${path}`]);
    }
  });
});

describe("health", () => {
  it("answers without credentials and without identifiers (B12)", async () => {
    const browser = bench.browser();
    expect((await browser.get("/health/live")).json).toEqual({ status: "live" });
    const ready = await browser.get("/health/ready");
    expect([ready.status, ready.json]).toEqual([200, { status: "ready", store: "up", authorizationServers: "up" }]);
  });

  it("is degraded, yet ready, without the authorization server, which is not asked again at once", async () => {
    let probes = 0;
    await bench.close();
    bench = await startWebBench({
      loginServers: {
        probe: async () => {
          probes += 1;
          return { ok: false, problem: "https://as.example is down" };
        },
      },
    });
    const answers = [await bench.browser().get("/health/ready"), await bench.browser().get("/health/ready")];
    for (const { status, json } of answers)
      expect([status, json]).toEqual([200, { status: "degraded", store: "up", authorizationServers: "down" }]);
    expect(probes).toBe(1);
    await bench.clock.advance(10_001);
    await bench.browser().get("/health/ready");
    expect(probes).toBe(2);
  });

  it("is 503 without the store", async () => {
    bench.store.browserSessions.get = () => Promise.reject(new LatchkeyError("store_unavailable", "down"));
    const { status, json } = await bench.browser().get("/health/ready");
    expect([status, json]).toEqual([503, { status: "unavailable", store: "down", authorizationServers: "up" }]);
  });
});

describe("the demo's buttons", () => {
  it("exist in the demo alone, for signed-in users, with CSRF token", async () => {
    expect((await bench.browser().get("/api/demo/events")).status).toBe(404);
    const faults: unknown[] = [];
    await bench.close();
    bench = await startWebBench({
      demo: {
        setFault: async (body) => {
          faults.push(body);
          return { status: 200, body: { faults: [] } };
        },
        events: async () => ({ status: 200, body: { events: [{ kind: "issued" }] } }),
      },
    });
    const alice = await bench.browser().signIn("alice");
    expect((await alice.get("/api/me")).json.demo).toBe(true);
    expect((await alice.get("/api/demo/events")).json).toEqual({ events: [{ kind: "issued" }] });
    expect((await alice.post("/api/demo/fault", { kind: "down" })).status).toBe(200);
    expect((await alice.post("/api/demo/fault", { kind: "down" }, "wrong")).status).toBe(403);
    expect((await bench.browser().get("/api/demo/events")).status).toBe(401);
    expect(faults).toEqual([{ kind: "down" }]);
  });
});

describe("listening", () => {
  const clock = new ManualClock();

  it("on a port that is taken says which, and how to choose another", async () => {
    const taken = listen({ host: "127.0.0.1", port: bench.port, clock });
    await expect(taken).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringMatching(new RegExp(`Port ${bench.port} .* --port`)),
    });
  });

  it("on an address that this machine does not have says so", async () => {
    await expect(listen({ host: "192.0.2.1", port: 0, clock })).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining("192.0.2.1"),
    });
  });

  it("answers 503 until it serves, and closes when what runs has finished", async () => {
    const listener = await listen({ host: "127.0.0.1", port: 0, clock });
    expect((await fetch(listener.url)).status).toBe(503);
    let finish = (): void => {};
    const arrived = new Promise<void>((resolve) => {
      listener.serve((_request, response) => {
        finish = () => void response.end("done");
        resolve();
      });
    });
    const answer = fetch(listener.url).then((response) => response.text());
    await arrived;
    const closed = listener.close(10_000);
    finish();
    expect(await answer).toBe("done");
    await closed;
  });

  it("cuts what does not finish within the grace", async () => {
    const listener = await listen({ host: "127.0.0.1", port: 0, clock });
    const arrived = new Promise<void>((resolve) => listener.serve(() => resolve()));
    const answer = fetch(listener.url).then(
      () => "answered",
      () => "cut",
    );
    await arrived;
    const closed = listener.close(10_000);
    await clock.advance(10_001);
    await closed;
    expect(await answer).toBe("cut");
  });
});
