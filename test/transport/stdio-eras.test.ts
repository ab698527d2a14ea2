import { PassThrough } from "node:stream";
import { Client } from "@modelcontextprotocol/client";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { serveStdio } from "../../src/transport/stdio.ts";
import { callMessage, eventually, initializeMessage, McpBench } from "./mcp-bench.ts";

const alice = "id-alice" as LoginSessionId;
const modernRevision = "2026-07-28";

let bench: McpBench;
beforeEach(async () => {
  bench = await McpBench.start();
});
afterEach(() => bench.stop());

interface Answer {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

/** One stdio connection of alice, from its client's side. */
class Pipe {
  readonly input = new PassThrough();
  readonly answers: Answer[] = [];
  readonly ended: Promise<void>;
  onAnswer: (answer: Answer) => void = () => {};

  constructor() {
    const output = new PassThrough();
    let rest = "";
    output.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const answer: Answer = JSON.parse(line);
        this.answers.push(answer);
        this.onAnswer(answer);
      }
    });
    const { registry, clock } = bench;
    this.ended = serveStdio({ input: this.input, output, registry, loginSessionId: alice, clock });
  }

  send(...messages: object[]): void {
    this.input.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
  }

  async answerTo(id: number): Promise<Answer> {
    await eventually(() => this.answers.some((answer) => answer.id === id));
    return this.answers.find((answer) => answer.id === id) ?? {};
  }

  async end(): Promise<void> {
    this.input.end();
    await this.ended;
  }
}

function modern(id: number, method: string, params: object = {}, version = modernRevision): object {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": version,
    "io.modelcontextprotocol/clientInfo": { name: "modern desktop", version: "2" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  return { jsonrpc: "2.0", id, method, params: { ...params, _meta } };
}

const whoami = (id: number): object => modern(id, "tools/call", { name: "whoami", arguments: {} });
const listen = (id: number): object => modern(id, "subscriptions/listen", { notifications: { toolsListChanged: true } });

async function connectSdk(pipe: Pipe, mode: "auto" | "legacy" | { readonly pin: string }): Promise<Client> {
  const client = new Client({ name: "sdk two", version: "2" }, { versionNegotiation: { mode } });
  const transport: Parameters<Client["connect"]>[0] = {
    start: async () => {
      pipe.onAnswer = (answer) => transport.onmessage?.(answer as never);
    },
    send: async (message) => pipe.send(message),
    close: async () => void pipe.input.end(),
  };
  await client.connect(transport);
  return client;
}

describe("one pipe, either era", () => {
  test.each(["auto", "legacy", { pin: modernRevision }] as const)(
    "serves the SDK's client of the modern era that begins as %j",
    async (mode) => {
      const pipe = new Pipe();
      const client = await connectSdk(pipe, mode);
      expect(client.getNegotiatedProtocolVersion()).toBe(mode === "legacy" ? "2025-11-25" : modernRevision);
      expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(
        expect.arrayContaining(["whoami", "session_status", "sign_out"]),
      );
      expect((await client.callTool({ name: "whoami" })).structuredContent).toMatchObject({ subject: "alice" });
      expect((await client.callTool({ name: "session_status" })).structuredContent).toMatchObject({
        clients: [{ name: "sdk two", transport: "stdio" }],
      });
      await client.close();
      await pipe.ended;
      expect(bench.loginSessions.watchedCount).toBe(0);
    },
  );

  test("lists the same tools in both, the modern era's for no shared cache", async () => {
    const [older, newer] = [new Pipe(), new Pipe()];
    older.send(initializeMessage(), { jsonrpc: "2.0", id: 1, method: "tools/list" });
    newer.send(modern(1, "tools/list"));
    const [{ result: legacyList }, { result: modernList }] = [await older.answerTo(1), await newer.answerTo(1)];
    expect(modernList?.["tools"]).toEqual(legacyList?.["tools"]);
    expect(modernList).toMatchObject({ resultType: "complete", cacheScope: "private", ttlMs: 0 });
    await Promise.all([older.end(), newer.end()]);
  });

  test("goes on in the legacy era after a mere server/discover", async () => {
    const pipe = new Pipe();
    pipe.send(modern(1, "server/discover"), { ...initializeMessage(), id: 2 }, callMessage(3, "whoami"));
    expect((await pipe.answerTo(1)).result).toMatchObject({ supportedVersions: expect.arrayContaining([modernRevision]) });
    expect((await pipe.answerTo(2)).result).toMatchObject({ protocolVersion: "2025-11-25" });
    expect((await pipe.answerTo(3)).result).toMatchObject({ structuredContent: { subject: "alice" } });
    await pipe.end();
  });

  test("refuses initialize once the modern era has begun, and a revision that is not there", async () => {
    const pipe = new Pipe();
    pipe.send(modern(1, "tools/list", {}, "2031-01-01"));
    expect((await pipe.answerTo(1)).error).toMatchObject({ code: -32022, data: { supported: [modernRevision] } });
    pipe.send(whoami(2), { ...initializeMessage(), id: 3 });
    expect((await pipe.answerTo(2)).result).toMatchObject({ structuredContent: { subject: "alice" } });
    expect((await pipe.answerTo(3)).error).toMatchObject({ code: -32022 });
    await pipe.end();
  });

  test("answers each request once, in whatever order they are let go and whatever is cancelled (F35, F49)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(fc.constantFrom("answer", "cancel"), { minLength: 1, maxLength: 5 }),
        fc.infiniteStream(fc.nat()),
        async (isModern, fates, order) => {
          bench.held.length = 0;
          const pipe = new Pipe();
          const hold = (id: number) =>
            isModern
              ? modern(id, "tools/call", { name: "hold", arguments: { label: `${id}` } })
              : callMessage(id, "hold", { label: `${id}` });
          pipe.send(...fates.map((_, index) => hold(index)), hold(0));
          await bench.holding(fates.length);
          for (const [requestId, fate] of fates.entries())
            if (fate === "cancel") pipe.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } });
          await eventually(
            () => bench.held.filter(({ context }) => context.signal.aborted).length === fates.filter((fate) => fate === "cancel").length,
          );
          const waiting = [...bench.held];
          while (waiting.length > 0) {
            const [next] = waiting.splice((order.next().value ?? 0) % waiting.length, 1);
            next?.release(`answer ${next.label}`);
          }
          await pipe.end();
          const results = pipe.answers.filter(({ result }) => result !== undefined).sort((a, b) => Number(a.id) - Number(b.id));
          const expected = fates.flatMap((fate, id) =>
            fate === "answer" ? [{ id, result: { content: [{ text: `answer ${id}` }] } }] : [],
          );
          expect(results).toMatchObject(expected);
          expect(results).toHaveLength(expected.length);
          expect(pipe.answers.filter(({ error }) => error !== undefined)).toMatchObject([{ error: { code: -32600, data: { id: 0 } } }]);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("tells a running call of the modern era at once that its login session has ended (S4, B9)", async () => {
    const pipe = new Pipe();
    pipe.send(modern(1, "tools/call", { name: "hold", arguments: {} }));
    await bench.holding(1);
    await bench.end(alice);
    expect((await pipe.answerTo(1)).result).toMatchObject({ isError: true, _meta: { "latchkey/error": { code: "login_ended" } } });
    expect(bench.held[0]?.context.signal.aborted).toBe(true);
    bench.held[0]?.release("late");
    pipe.send(whoami(2));
    expect((await pipe.answerTo(2)).result).toMatchObject({ isError: true, _meta: { "latchkey/error": { code: "login_ended" } } });
    expect(pipe.answers.filter(({ id }) => id === 1)).toHaveLength(1);
    await pipe.end();
  });
});

describe("subscriptions/listen on stdio", () => {
  const acknowledged = (pipe: Pipe): Promise<void> =>
    eventually(() => pipe.answers.some(({ method }) => method === "notifications/subscriptions/acknowledged"));

  test("promises nothing of a tool table that never changes, and ends with the login session (B9)", async () => {
    const pipe = new Pipe();
    pipe.send(listen(1));
    await acknowledged(pipe);
    expect(pipe.answers[0]?.params?.["notifications"]).toEqual({});
    await bench.end(alice);
    expect((await pipe.answerTo(1)).error).toMatchObject({ data: { code: "login_ended" } });
    await pipe.end();
  });

  test("keeps its id while it lasts, gives it back when it is cancelled, and holds up no end (F49, F30)", async () => {
    const pipe = new Pipe();
    pipe.send(listen(1));
    await acknowledged(pipe);
    pipe.send(whoami(1));
    await eventually(() => pipe.answers.length === 2);
    expect(pipe.answers[1]).toMatchObject({ id: null, error: { code: -32600, data: { id: 1 } } });
    pipe.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } }, whoami(1));
    expect((await pipe.answerTo(1)).result).toMatchObject({ structuredContent: { subject: "alice" } });
    pipe.send(listen(2));
    await eventually(() => pipe.answers.length === 4);
    // The manual clock stands still: whoever waited for this stream would wait for ever.
    await pipe.end();
  });
});
