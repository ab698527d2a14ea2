import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { callMessage, McpBench, type RawAnswer, RawStream } from "../transport/mcp-bench.ts";

const alice = "id-alice" as LoginSessionId;

let bench: McpBench;
beforeEach(async () => {
  bench = await McpBench.start();
});
afterEach(() => bench.stop());

const json = { "content-type": "application/json", accept: "application/json, text/event-stream" };

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

describe.each(attempts)("$name on somebody's connection", ({ name, send }) => {
  test("F31 another user's credential is answered like an unknown id, byte for byte, and audited (B4)", async () => {
    const streamableId = await bench.initialize("alice");
    const standalone = await RawStream.open(`${bench.url}/mcp`, { authorization: "Bearer lk_alice", "mcp-session-id": streamableId });
    const sse = await bench.openSse("lk_alice");
    const before = [standalone.text, sse.text];
    const foreign = await send("lk_bob", streamableId, sse.sseId);
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

  test("F31 a second login session of the same user is answered in the same way (B8)", async () => {
    await bench.signIn("alice2", "alice");
    const streamableId = await bench.initialize("alice");
    const sse = await bench.openSse("lk_alice");
    expect((await send("lk_alice2", streamableId, sse.sseId)).status).toBe(404);
  });

  test("F33 without a credential it asks for one, and says when one is not good", async () => {
    const streamableId = await bench.initialize("alice");
    const sse = await bench.openSse("lk_alice");
    const without = await send(undefined, streamableId, sse.sseId);
    expect(without.status).toBe(401);
    expect(without.headers).toContain('www-authenticate: Bearer realm="latchkey"');
    const wrong = await send("lk_nobody", streamableId, sse.sseId);
    expect(wrong.status).toBe(401);
    expect(wrong.headers.find((header) => header.startsWith("www-authenticate"))).toContain('error="invalid_token"');
    expect(JSON.parse(wrong.body)).toMatchObject({ code: "unauthorized", status: 401 });
    expect(wrong.body).not.toContain("lk_nobody");
  });
});

describe("an open connection", () => {
  test("F32 another key of the same login session carries on (B5)", async () => {
    await bench.addKey("alice", "lk_alice_new");
    const id = await bench.initialize("alice");
    const answer = await bench.post("alice_new", id, callMessage(1, "echo", { text: "hi" }));
    expect(await answer.text()).toContain("alice: hi");
  });

  test("F33 closes five minutes after its newest credential has expired", async () => {
    await bench.addKey("alice", "lk_brief", bench.clock.now() + 60_000);
    const sse = await bench.openSse("lk_brief");
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

  test("F33 stays open when a POST has brought a newer credential", async () => {
    await bench.addKey("alice", "lk_brief", bench.clock.now() + 60_000);
    const sse = await bench.openSse("lk_brief");
    const renewed = await bench.raw("POST", `/messages?sessionId=${sse.sseId}`, { authorization: "Bearer lk_alice", ...json }, body);
    expect(renewed).toMatchObject({ status: 202, body: "Accepted" });
    await bench.clock.advance(20 * 60_000);
    expect(sse.isEnded).toBe(false);
  });
});
