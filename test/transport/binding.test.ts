import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { storeAway } from "../support/hooked-store.ts";
import { callMessage, eventually, initializeMessage, McpBench, RawStream } from "./mcp-bench.ts";

const alice = "id-alice" as LoginSessionId;

let bench: McpBench;
beforeEach(async () => {
  bench = await McpBench.start();
});
afterEach(() => bench.stop());

const json = { "content-type": "application/json", accept: "application/json, text/event-stream" };

const body = JSON.stringify(callMessage(7, "whoami"));

describe("a connection", () => {
  test("on one transport is unknown on the other (B4)", async () => {
    const id = await bench.initialize("alice");
    const sse = await bench.openSse("lk_alice");
    expect((await bench.raw("POST", `/messages?sessionId=${id}`, { authorization: "Bearer lk_alice", ...json }, body)).status).toBe(404);
    expect((await bench.post("alice", sse.sseId, callMessage(1, "whoami"))).status).toBe(404);
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
});

describe("an open stream", () => {
  test("closes at once when its connection key is removed, whatever was presented on it since; those of other keys stay", async () => {
    await bench.addKey("alice", "lk_lost");
    const lost = await bench.openSse("lk_lost");
    const others = await bench.openSse("lk_alice");
    const id = await bench.initialize("lost");
    const call = bench.post("lost", id, callMessage(1, "hold"));
    const mixed = await bench.initialize("alice");
    const standalone = await RawStream.open(`${bench.url}/mcp`, { authorization: "Bearer lk_lost", "mcp-session-id": mixed });
    expect((await bench.post("alice", mixed, callMessage(1, "whoami"))).status).toBe(200);
    await bench.holding(1);
    await bench.removeKey("alice", "lk_lost");
    await Promise.all([lost.ended(), standalone.ended()]);
    expect(await (await call).text()).toContain('"code":"unauthorized"');
    expect(bench.held[0]?.context.signal.aborted).toBe(true);
    expect(others.isEnded).toBe(false);
    expect(bench.events.filter(({ event }) => event === "connection_closed")).toMatchObject([
      { transport: "sse", reason: "key_removed" },
      { transport: "streamable-http", reason: "key_removed" },
      { transport: "streamable-http", reason: "key_removed" },
    ]);
    expect(bench.registry.sizes()).toMatchObject({ connections: 1, removedKeys: 1 });
    await bench.clock.advance(11 * 60_000);
    expect(bench.registry.sizes()).toMatchObject({ connections: 1, removedKeys: 0 });
  });

  test.each(["opened", "used"])("is not %s by a request that was authenticated just before its key was removed", async (how) => {
    await bench.addKey("alice", "lk_lost");
    const id = await bench.initialize("alice");
    const getByHash = bench.store.connectionKeys.getByHash.bind(bench.store.connectionKeys);
    bench.store.connectionKeys.getByHash = async (hash) => {
      const found = await getByHash(hash);
      await bench.removeKey("alice", "lk_lost");
      return found;
    };
    const message = how === "opened" ? initializeMessage() : callMessage(1, "whoami");
    const answer = await bench.post("lost", how === "opened" ? undefined : id, message);
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toContain("invalid_token");
    expect(bench.registry.size).toBe(1);
  });

  test("stays open when a sign-out fails for want of the store; running calls are aborted, but the one that asked", async () => {
    bench.beforeEnd = async () => {
      bench.registry.abortCalls(alice);
      throw storeAway();
    };
    const sse = await bench.openSse("lk_alice");
    const id = await bench.initialize("alice");
    const call = bench.post("alice", id, callMessage(1, "hold"));
    const bobs = bench.post("bob", await bench.initialize("bob"), callMessage(1, "hold"));
    await bench.holding(2);
    const signOut = await (await bench.post("alice", id, callMessage(2, "sign_out"))).text();
    expect(signOut).toContain('"code":"store_unavailable"');
    expect(await (await call).text()).toContain('"code":"cancelled"');
    expect(bench.held.map(({ context }) => context.signal.aborted).sort()).toEqual([false, true]);
    expect(sse.isEnded).toBe(false);
    expect((await bench.post("alice", id, callMessage(3, "whoami"))).status).toBe(200);
    for (const { release } of bench.held) release("done");
    expect((await bobs).status).toBe(200);
  });

  test("ends with the login session, on every connection, and delivers nothing more (B9)", async () => {
    const sse = await bench.openSse("lk_alice");
    const id = await bench.initialize("alice");
    const standalone = await RawStream.open(`${bench.url}/mcp`, { authorization: "Bearer lk_alice", "mcp-session-id": id });
    const bobs = await bench.openSse("lk_bob");
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
    const sse = await bench.openSse("lk_alice");
    const post = (message: object) =>
      bench.raw("POST", `/messages?sessionId=${sse.sseId}`, { authorization: "Bearer lk_alice", ...json }, JSON.stringify(message));
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
    const sse = await bench.openSse("lk_alice");
    let isEnded = false;
    bench.afterEnd = () => {
      isEnded = true;
      return new Promise(() => {});
    };
    await bench.raw(
      "POST",
      `/messages?sessionId=${sse.sseId}`,
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
