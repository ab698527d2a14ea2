import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import { createHttpTool, type HttpToolSettings } from "../../src/tool/http-tool.ts";
import type { ToolResult } from "../../src/tool/tool.ts";
import { createToolContext } from "../../src/tool/tool-context.ts";
import { canary, FakeCallHost } from "../support/fake-call-host.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { type Answer, json, TestApi } from "./test-api.ts";

let host: FakeCallHost;
let api: TestApi;
let answer: Answer;

beforeEach(async () => {
  host = new FakeCallHost();
  answer = (_request, response) => json(response, { ok: true });
  api = await TestApi.start((request, response, number) => answer(request, response, number));
});
afterEach(() => api.close());

const anything = { type: "object", properties: {} } as const;

function run(settings: Partial<HttpToolSettings>, args: Readonly<Record<string, unknown>> = {}, basePath = ""): Promise<ToolResult> {
  const apiSettings = { name: "notes", baseUrl: api.origin + basePath, scopes: ["notes"], timeoutSeconds: 30 };
  const tool = createHttpTool(
    { name: "tool", description: "A tool.", api: "notes", method: "GET", path: "/", inputSchema: anything, ...settings },
    new Map([["notes", apiSettings]]),
  );
  return tool.run(args, createToolContext(host, [apiSettings], { clock: new ManualClock(), logger: silentLogger }));
}

async function failure(work: Promise<unknown>): Promise<LatchkeyError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof LatchkeyError) return error;
    throw error;
  }
  throw new Error("It did not fail.");
}

const properties = (...names: readonly string[]): HttpToolSettings["inputSchema"] => ({
  type: "object",
  properties: Object.fromEntries(names.map((name) => [name, {}])),
  required: names.filter((name) => name === "id"),
});

describe("the request of an HTTP tool", () => {
  it("puts arguments into path, query and body, and carries the user's access token", async () => {
    await run(
      {
        method: "PUT",
        path: "/notes/{id}",
        inputSchema: properties("id", "dry", "text", "tags"),
        query: ["dry"],
        headers: { "x-version": "2" },
      },
      { id: "a b", dry: true, text: "milk", tags: ["x"], extra: 1 },
      "/v1/",
    );
    expect(api.seen[0]).toMatchObject({ method: "PUT", path: "/v1/notes/a%20b?dry=true", authorization: `Bearer ${canary}-1` });
    expect(JSON.parse(api.seen[0]?.body ?? "")).toEqual({ text: "milk", tags: ["x"], extra: 1 });
    expect(api.seen[0]?.headers).toMatchObject({ "content-type": "application/json", "x-version": "2" });
  });

  it("puts what is left into the query when there is no body, lists as repeated parameters", async () => {
    await run(
      { path: "/notes/{id}", inputSchema: properties("id", "q", "tag", "none") },
      { id: 7, q: "a&b=c#d", tag: ["x", 1], none: null },
    );
    expect(api.seen[0]?.path).toBe("/notes/7?q=a%26b%3Dc%23d&tag=x&tag=1");
    expect(api.seen[0]?.body).toBe("");
  });

  it("sends of a listed body only what is listed, and another content type when one is set", async () => {
    await run(
      { method: "PATCH", inputSchema: properties("text"), body: ["text"], headers: { "content-type": "application/merge-patch+json" } },
      { text: "milk", extra: 1 },
    );
    expect(api.seen[0]?.body).toBe('{"text":"milk"}');
    expect(api.seen[0]?.headers["content-type"]).toBe("application/merge-patch+json");
  });

  it("sends nothing when an argument cannot be carried", async () => {
    const settings = { path: "/notes/{id}", inputSchema: properties("id", "q") };
    for (const args of [{ id: "../x" }, { id: "" }, {}, { id: 1, q: { a: 1 } }, { id: 1, q: [[]] }])
      expect((await failure(run(settings, args))).code).toBe("invalid_request");
    expect(api.seen).toEqual([]);
  });
});

describe("the answer of an HTTP tool", () => {
  const reply = (type: string | undefined, body: string | Buffer, status = 200): void => {
    answer = (_request, response) => void response.writeHead(status, type === undefined ? {} : { "content-type": type }).end(body);
  };
  const output: Partial<HttpToolSettings> = { outputSchema: { type: "object" } };

  it("gives a JSON object as structured content and as readable text", async () => {
    reply("application/hal+json; charset=utf-8", '\ufeff{"a":[1]}');
    expect(await run({})).toEqual({ content: [{ type: "text", text: '{\n  "a": [\n    1\n  ]\n}' }], structured: { a: [1] } });
  });

  it.each([["[1,2]", [1, 2]] as const, ["null", null] as const, ['"x"', "x"] as const])(
    "wraps the JSON %s in result",
    async (body, result) => {
      reply("application/json", body);
      expect((await run({})).structured).toEqual({ result });
    },
  );

  it("gives text as text, in the answer's own character set", async () => {
    reply("text/plain; charset=iso-8859-1", Buffer.from("caf\u00e9", "latin1"));
    expect(await run({})).toEqual({ content: [{ type: "text", text: "café" }], structured: undefined });
    reply("text/csv; charset=unheard-of", "a,b");
    expect(await run(output)).toEqual({ content: [{ type: "text", text: "a,b" }], structured: { result: "a,b" } });
  });

  it("gives an image as an image, and of other bytes the type and size", async () => {
    reply("image/png", Buffer.from([1, 2, 3]));
    expect((await run({})).content).toEqual([{ type: "image", data: "AQID", mimeType: "image/png" }]);
    reply("application/pdf", Buffer.from([1, 2, 3]));
    expect(await run(output)).toMatchObject({
      content: [{ text: expect.stringContaining("3 bytes of application/pdf") }],
      structured: { mimeType: "application/pdf", bytes: 3 },
    });
  });

  it("looks at an answer without a type", async () => {
    reply(undefined, "plain");
    expect((await run({})).content).toEqual([{ type: "text", text: "plain" }]);
    reply(undefined, Buffer.from([0xff, 0xfe, 0xff]));
    expect((await run({})).content).toMatchObject([{ text: expect.stringContaining("3 bytes") }]);
  });

  it("says that an empty answer is one", async () => {
    reply(undefined, "", 204);
    expect(await run(output)).toEqual({ content: [{ type: "text", text: "Done (204); the answer is empty." }], structured: {} });
    expect((await run({})).structured).toBeUndefined();
  });

  it("fails an answer that calls itself JSON and is none", async () => {
    reply("application/json", "<html>");
    expect((await failure(run({}))).code).toBe("upstream_failed");
  });

  it("stops at the size limit with a clear error, and takes an answer of exactly that size", async () => {
    reply("text/plain", "x".repeat(1024 * 1024));
    expect((await run({})).content).toHaveLength(1);
    reply("text/plain", "x".repeat(1024 * 1024 + 1));
    const error = await failure(run({}));
    expect(error).toMatchObject({ code: "payload_too_large", message: expect.stringContaining("1048576 bytes") });
    reply("text/plain", "12345");
    expect((await failure(run({ maxResponseBytes: 4 }))).code).toBe("payload_too_large");
  });

  it("does not read on beyond the limit", async () => {
    let closed = false;
    answer = (_request, response) => {
      response.on("close", () => {
        closed = true;
      });
      const pour = (): void => {
        if (!closed) response.write("x".repeat(64 * 1024), () => setImmediate(pour));
      };
      response.writeHead(200, { "content-type": "text/plain" });
      pour();
    };
    expect((await failure(run({}))).code).toBe("payload_too_large");
    while (!closed) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe("the failure of an HTTP tool", () => {
  it.each([
    ["application/problem+json", '{"title":"Gone","detail":"No note has the id 7.","token":"x"}', "No note has the id 7."],
    ["application/json", '{"error":"invalid","error_description":"Bad\\n\\u0007 date"}', "Bad date"],
    ["application/json", '{"error":{"message":"nested"}}', "nested"],
    ["application/json", '{"message":"m"}', "m"],
    ["text/plain", "plain words", "plain words"],
  ])("tells the status and the message of %s %s", async (type, body, message) => {
    answer = (_request, response) => void response.writeHead(404, { "content-type": type, "x-internal": "secret" }).end(body);
    const error = await failure(run({}));
    expect(error).toMatchObject({ code: "upstream_failed", retryable: false, details: { api: "notes", status: 404 } });
    expect(error.message).toBe(`The API "notes" answered 404 Not Found: ${message}`);
  });

  it.each([
    ["text/html", "<h1>stack trace</h1>"],
    ["application/json", "not json"],
    ["application/json", '["x"]'],
  ])("tells the status alone of %s %s", async (type, body) => {
    answer = (_request, response) => void response.writeHead(500, { "content-type": type }).end(body);
    expect((await failure(run({}))).message).toBe('The API "notes" answered 500 Internal Server Error.');
  });

  it("cuts a long message, and does not read a long body to its end", async () => {
    answer = (_request, response) => void response.writeHead(400, { "content-type": "text/plain" }).end("x".repeat(1_000_000));
    const error = await failure(run({}));
    expect(error.message.length).toBeLessThan(400);
    expect(error.message).toMatch(/x\.\.\.$/);
  });

  it.each([
    [408, true],
    [409, false],
    [429, true],
    [500, false],
    [503, true],
  ])("says of a %i whether it is worth another try", async (status, retryable) => {
    answer = (_request, response) => void response.writeHead(status, { "retry-after": "7" }).end();
    expect(await failure(run({}))).toMatchObject({ retryable, retryAfterSeconds: 7, details: { status } });
  });

  it("names the scopes that an insufficient_scope challenge asks for (RFC 6750)", async () => {
    answer = (_request, response) =>
      void response
        .writeHead(403, {
          "www-authenticate": 'Basic realm="x", Bearer error="insufficient_scope", scope="notes:write \u0022x y", error_description="no"',
        })
        .end();
    const error = await failure(run({}));
    expect(error.code).toBe("insufficient_scope");
    expect(error.message).toContain("notes:write");
    expect(error.message).toContain("apis.notes.scopes");
  });

  it("takes a 403 without such a challenge for an ordinary failure", async () => {
    answer = (_request, response) => void response.writeHead(403, { "www-authenticate": 'Bearer error="access_denied"' }).end();
    expect(await failure(run({}))).toMatchObject({ code: "upstream_failed", details: { status: 403 } });
  });

  it("says after the second 401 that the access token is refused, and where to look", async () => {
    answer = (_request, response) => json(response, { detail: "wrong audience" }, 401);
    const error = await failure(run({}));
    expect(error).toMatchObject({ code: "upstream_failed", retryable: false, details: { status: 401 } });
    expect(error.message).toContain("wrong audience");
    expect(error.message).toContain("apis.notes.resource");
    expect(api.seen).toHaveLength(2);
  });

  it("passes on the end of the login session while the message of a failure is read", async () => {
    answer = (_request, response) => {
      response.writeHead(400, { "content-type": "text/plain" }).write("half");
      setImmediate(() => host.abort(new LatchkeyError("login_ended", "Signed out.")));
    };
    expect((await failure(run({}))).code).toBe("login_ended");
  });
});

describe("an HTTP tool with progress", () => {
  const stream = (...lines: readonly unknown[]): void => {
    answer = (_request, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson" });
      response.end(lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"));
    };
  };
  const progress = { progress: true };

  it("tells each line of progress as it comes, before the result is there", async () => {
    let finish: (() => void) | undefined;
    answer = (_request, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson" }).write('{"progress":1,"total":2,"message":"half"}\n{"prog');
      finish = () => response.end('ress":2,"total":2}\n{"result":{"pages":3}}\n');
    };
    const call = run(progress);
    while (host.progressed.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(host.progressed).toEqual([{ progress: 1, total: 2, message: "half" }]);
    finish?.();
    expect((await call).structured).toEqual({ pages: 3 });
    expect(host.progressed).toHaveLength(2);
    expect(api.seen[0]?.headers.accept).toContain("application/x-ndjson");
  });

  it("passes over blank lines, unknown lines and progress that does not grow", async () => {
    stream("", { heartbeat: true }, { progress: 2 }, { progress: 2 }, { progress: 1 }, { progress: "3" }, " ", { result: [1] });
    expect((await run(progress)).structured).toEqual({ result: [1] });
    expect(host.progressed.map((told) => told.progress)).toEqual([2]);
  });

  it("fails when the answer ends without a result, is no JSON, or says why it failed", async () => {
    stream({ progress: 1 });
    expect(await failure(run(progress))).toMatchObject({ code: "upstream_failed", message: expect.stringContaining("without a result") });
    stream("oops");
    expect(await failure(run(progress))).toMatchObject({ code: "upstream_failed", message: expect.stringContaining("no JSON object") });
    stream({ error: { detail: "out of paper" } });
    expect(await failure(run(progress))).toMatchObject({ code: "upstream_failed", message: expect.stringContaining("out of paper") });
  });

  it("stops at a line over the size limit", async () => {
    stream({ result: "x".repeat(100) });
    expect((await failure(run({ ...progress, maxResponseBytes: 50 }))).code).toBe("payload_too_large");
  });

  it("takes an answer that is plain JSON as one", async () => {
    expect((await run(progress)).structured).toEqual({ ok: true });
  });

  it("fails with the reason when the login session ends in the middle", async () => {
    answer = (_request, response) => void response.writeHead(200, { "content-type": "application/x-ndjson" }).write('{"progress":1}\n');
    const call = failure(run(progress));
    while (host.progressed.length === 0) await new Promise((resolve) => setImmediate(resolve));
    host.abort(new LatchkeyError("login_ended", "Signed out."));
    expect((await call).code).toBe("login_ended");
  });
});

describe("an HTTP tool and the access token (B10, B11)", () => {
  it("has it in no result and no error, even when the API echoes it everywhere", async () => {
    const found: string[] = [];
    for (const type of ["application/json", "text/plain", "application/x-ndjson", "application/problem+json", "image/png"]) {
      for (const status of [200, 400, 401, 403, 500]) {
        answer = (request, response) =>
          void response
            .writeHead(status, {
              "content-type": type,
              "www-authenticate": `Bearer error="insufficient_scope", scope="${request.authorization?.slice(7)}"`,
            })
            .end(JSON.stringify(status === 200 ? { result: request.authorization } : { detail: request.authorization }));
        const outcome = await run({ progress: true }).catch((error: unknown) => error);
        const text = inspect(outcome, { depth: 20, showHidden: true });
        const bytes = Buffer.from(/data: '([^']+)'/.exec(text)?.[1] ?? "", "base64").toString();
        if ((text + bytes).includes(canary)) found.push(`${type} ${status}`);
      }
    }
    expect(found).toEqual([]);
  });
});
