import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { callMessage, eventually, initializeMessage, McpBench, type RawAnswer, RawStream } from "./mcp-bench.ts";

const alice = "id-alice" as LoginSessionId;

let bench: McpBench;
beforeEach(async () => {
  bench = await McpBench.start();
});
afterEach(() => bench.stop());

const json = { "content-type": "application/json", accept: "application/json, text/event-stream" };

/** The id that a raw SSE stream names. */
function sseIdOf(stream: RawStream): string {
  return /sessionId=([\w-]+)/.exec(stream.text)?.[1] ?? "";
}

async function openSse(key: string): Promise<RawStream> {
  const stream = await RawStream.open(`${bench.url}/sse`, { authorization: `Bearer ${key}` });
  await stream.until(({ text }) => text.includes("sessionId="));
  return stream;
}

interface Attempt {
  readonly name: string;
  readonly send: (key: string | undefined, streamableId: string, sseId: string) => Promise<RawAnswer>;
}

function credential(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

const body = JSON.stringify(callMessage(7, "whoami"));
const attempts: readonly Attempt[] = [
  { name: "POST /mcp", send: (key, id) => bench.raw("POST", "/mcp", { ...credential(key), ...json, "mcp-session-id": id }, body) },
  {
    name: "GET /mcp",
    send: (key, id) => bench.raw("GET", "/mcp", { ...credential(key), accept: "text/event-stream", "mcp-session-id": id }),
  },
  {
    name: "GET /mcp with Last-Event-ID",
    send: (key, id) =>
      bench.raw("GET", "/mcp", { ...credential(key), accept: "text/event-stream", "mcp-session-id": id, "last-event-id": "1" }),
  },
  { name: "DELETE /mcp", send: (key, id) => bench.raw("DELETE", "/mcp", { ...credential(key), "mcp-session-id": id }) },
  {
    name: "POST /messages",
    send: (key, _id, sseId) => bench.raw("POST", `/messages?sessionId=${sseId}`, { ...credential(key), ...json }, body),
  },
];

describe.each(attempts)("$name", ({ name, send }) => {
  test("answers another user's credential like an unknown id, byte for byte, and audits it (B4, F31)", async () => {
    const streamableId = await bench.initialize("alice");
    const standalone = await RawStream.open(`${bench.url}/mcp`, { authorization: "Bearer lk_alice", "mcp-session-id": streamableId });
    const sse = await openSse("lk_alice");
    const before = [standalone.text, sse.text];
    const foreign = await send("lk_bob", streamableId, sseIdOf(sse));
    const unknown = await send("lk_bob", "x".repeat(43), "x".repeat(43));
    expect(foreign).toEqual(unknown);
    expect(foreign.status).toBe(404);
    const audited = bench.events.filter(({ event }) => event === "foreign_connection_access");
    expect(audited).toMatchObject([{ login: "ls_alice", presentedLogin: "ls_bob", method: name.split(" ")[0] }]);
    expect(JSON.stringify(audited)).not.toContain(streamableId);
    // Alice's connections live, and no byte has reached them.
    expect([standalone.text, sse.text]).toEqual(before);
    expect(bench.registry.countByLoginSession(alice)).toBe(2);
    expect((await bench.post("alice", streamableId, callMessage(8, "whoami"))).status).toBe(200);
  });

  test("answers a second login session of the same user in the same way (B8)", async () => {
    await bench.signIn("alice2", "alice");
    const streamableId = await bench.initialize("alice");
    const sse = await openSse("lk_alice");
    expect((await send("lk_alice2", streamableId, sseIdOf(sse))).status).toBe(404);
  });

  test("asks for a credential, and says when one is not good (F33)", async () => {
    const streamableId = await bench.initialize("alice");
    const sse = await openSse("lk_alice");
    const without = await send(undefined, streamableId, sseIdOf(sse));
    expect(without.status).toBe(401);
    expect(without.headers).toContain('www-authenticate: Bearer realm="latchkey"');
    const wrong = await send("lk_nobody", streamableId, sseIdOf(sse));
    expect(wrong.status).toBe(401);
    expect(wrong.headers.find((header) => header.startsWith("www-authenticate"))).toContain('error="invalid_token"');
    expect(JSON.parse(wrong.body)).toMatchObject({ code: "unauthorized", status: 401 });
    expect(wrong.body).not.toContain("lk_nobody");
  });
});

describe("a connection", () => {
  test("takes another key of the same login session (B5, F32)", async () => {
    await bench.addKey("alice", "lk_alice_new");
    const id = await bench.initialize("alice");
    const answer = await bench.post("alice_new", id, callMessage(1, "echo", { text: "hi" }));
    expect(await answer.text()).toContain("alice: hi");
  });

  test("on one transport is unknown on the other (B4)", async () => {
    const id = await bench.initialize("alice");
    const sse = await openSse("lk_alice");
    expect((await bench.raw("POST", `/messages?sessionId=${id}`, { authorization: "Bearer lk_alice", ...json }, body)).status).toBe(404);
    expect((await bench.post("alice", sseIdOf(sse), callMessage(1, "whoami"))).status).toBe(404);
  });

  test("has an id of 256 random bits that the client cannot choose (B6)", async () => {
    const wished = "w".repeat(43);
    const refused = await bench.post("alice", wished, initializeMessage());
    expect(refused.status).toBe(404);
    const [first, second] = [await bench.initialize("alice"), await bench.initialize("alice")];
    expect(first).toMatch(/^[\w-]{43}$/);
    expect(second).not.toBe(first);
  });

  test("is not opened for a login session that has ended, though the key is still there (R3)", async () => {
    await bench.end(alice);
    const answer = await bench.post("alice", undefined, initializeMessage());
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toContain('error="invalid_token"');
    expect((await fetch(`${bench.url}/sse`, { headers: { authorization: "Bearer lk_alice" } })).status).toBe(401);
    expect(bench.registry.size).toBe(0);
    expect(bench.loginSessions.watchedCount).toBe(0);
  });

  test.each([1, 2, 3])("is not opened when the login session ends at read %i of the opening (R3)", async (read) => {
    const { loginSessions } = bench.store;
    const get = loginSessions.get.bind(loginSessions);
    let reads = 0;
    loginSessions.get = async (id) => {
      const record = await get(id);
      reads += 1;
      if (reads === read) await bench.end(alice);
      return record;
    };
    const answer = await bench.post("alice", undefined, initializeMessage());
    loginSessions.get = get;
    if (reads < read) await bench.end(alice);
    expect([200, 401]).toContain(answer.status);
    await eventually(() => bench.registry.size === 0);
    expect(bench.loginSessions.watchedCount).toBe(0);
  });

  test("never answers two clients that use the same JSON-RPC ids with each other's results (F35)", async () => {
    const [a, b] = [await bench.initialize("alice"), await bench.initialize("bob")];
    const first = bench.post("alice", a, callMessage(1, "hold", { label: "alice" }));
    const second = bench.post("bob", b, callMessage(1, "hold", { label: "bob" }));
    await bench.holding(2);
    const find = (label: string) => bench.held.find((call) => call.label === label);
    find("bob")?.release("for bob");
    expect(await (await second).text()).toContain("for bob");
    find("alice")?.release("for alice");
    expect(await (await first).text()).toContain("for alice");
  });
});

describe("an open stream", () => {
  test("closes five minutes after its newest credential has expired (F33)", async () => {
    await bench.addKey("alice", "lk_brief", bench.clock.now() + 60_000);
    const sse = await openSse("lk_brief");
    const id = await bench.initialize("brief");
    const standalone = await RawStream.open(`${bench.url}/mcp`, { authorization: "Bearer lk_brief", "mcp-session-id": id });
    await bench.clock.advance(60_000 + 5 * 60_000 - 1000);
    expect([sse.isEnded, standalone.isEnded]).toEqual([false, false]);
    expect((await bench.post("brief", id, callMessage(1, "whoami"))).status).toBe(401);
    await bench.clock.advance(16_000);
    await Promise.all([sse.ended(), standalone.ended()]);
    expect(bench.events.filter(({ event }) => event === "connection_closed")).toMatchObject([
      { transport: "sse", reason: "credential_expired" },
    ]);
    // The Streamable HTTP connection has lost its stream only: a new key of the same login session carries on.
    expect((await bench.post("alice", id, callMessage(2, "whoami"))).status).toBe(200);
  });

  test("stays open when a POST has brought a newer credential (F33)", async () => {
    await bench.addKey("alice", "lk_brief", bench.clock.now() + 60_000);
    const sse = await openSse("lk_brief");
    const renewed = await bench.raw("POST", `/messages?sessionId=${sseIdOf(sse)}`, { authorization: "Bearer lk_alice", ...json }, body);
    expect(renewed).toMatchObject({ status: 202, body: "Accepted" });
    await bench.clock.advance(20 * 60_000);
    expect(sse.isEnded).toBe(false);
  });

  test("ends with the login session, on every connection, and delivers nothing more (B9)", async () => {
    const sse = await openSse("lk_alice");
    const id = await bench.initialize("alice");
    const standalone = await RawStream.open(`${bench.url}/mcp`, { authorization: "Bearer lk_alice", "mcp-session-id": id });
    const bobs = await openSse("lk_bob");
    const call = bench.post("alice", id, callMessage(1, "hold", {}, "p"));
    await bench.holding(1);
    bench.held[0]?.context.progress(1);
    const stream = new RawStream(await call);
    await stream.until(({ text }) => text.includes("progress"));
    await bench.end(alice);
    bench.held[0]?.context.progress(2);
    bench.held[0]?.release("the secret report");
    await Promise.all([sse.ended(), standalone.ended(), stream.ended()]);
    expect(stream.messages).toHaveLength(2);
    expect(stream.messages[1]).toMatchObject({ id: 1, result: { isError: true, _meta: { "latchkey/error": { code: "login_ended" } } } });
    expect(stream.text + sse.text + standalone.text).not.toContain("secret report");
    expect(bobs.isEnded).toBe(false);
    expect((await bench.post("alice", id, callMessage(2, "whoami"))).status).toBe(401);
    expect(bench.registry.sizes()).toMatchObject({ connections: 1, loginSessions: 1, scheduled: 1, clientsSeen: 0 });
  });

  test("delivers the answer to the call that asked for the end, and nothing else in between (B9)", async () => {
    const sse = await openSse("lk_alice");
    const post = (message: object) =>
      bench.raw("POST", `/messages?sessionId=${sseIdOf(sse)}`, { authorization: "Bearer lk_alice", ...json }, JSON.stringify(message));
    let finish: () => void = () => {};
    let isEnded = false;
    bench.afterEnd = () =>
      new Promise((resolve) => {
        isEnded = true;
        finish = resolve;
      });
    await post(callMessage(1, "hold", {}, "p"));
    await bench.holding(1);
    await post(callMessage(2, "sign_out"));
    await eventually(() => isEnded);
    bench.held[0]?.context.progress(1);
    bench.held[0]?.release("too late");
    expect((await post(callMessage(3, "whoami"))).status).toBe(401);
    expect(sse.isEnded).toBe(false);
    finish();
    await sse.ended();
    expect(sse.messages.map(({ id }) => id)).toEqual([1, 2]);
    expect(sse.messages[0]?.result).toMatchObject({ isError: true, _meta: { "latchkey/error": { code: "login_ended" } } });
    expect(sse.messages[1]?.result).toMatchObject({ structuredContent: { state: "ended" } });
  });

  test("does not wait for ever for the answer to the call that asked for the end (B9)", async () => {
    const sse = await openSse("lk_alice");
    let isEnded = false;
    bench.afterEnd = () => {
      isEnded = true;
      return new Promise(() => {});
    };
    await bench.raw(
      "POST",
      `/messages?sessionId=${sseIdOf(sse)}`,
      { authorization: "Bearer lk_alice", ...json },
      JSON.stringify(callMessage(2, "sign_out")),
    );
    await eventually(() => isEnded);
    await bench.clock.advance(10_000);
    await sse.ended();
    expect(bench.loginSessions.watchedCount).toBe(0);
  });

  test("stays when signing out fails, and the answer says that nothing was ended", async () => {
    const id = await bench.initialize("alice");
    bench.beforeEnd = async () => {
      throw new Error("the store is away");
    };
    const answer = await (await bench.post("alice", id, callMessage(1, "sign_out"))).json();
    expect(answer).toMatchObject({ result: { isError: true } });
    expect((await bench.post("alice", id, callMessage(2, "whoami"))).status).toBe(200);
  });
});
