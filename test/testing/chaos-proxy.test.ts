import { createServer, type Socket, connect as tcpConnect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";
import { chaosProxy, faultServer, refresh } from "./plain-client.ts";

const toClose: (() => void)[] = [];
afterEach(() => {
  for (const close of toClose.splice(0)) close();
});

/** Answers each piece that it gets by the same, and remembers it. */
async function echo(): Promise<{ readonly port: number; received(): string; closed(): number }> {
  let received = "";
  let closed = 0;
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      closed += 1;
    });
    socket.on("data", (data) => {
      received += data.toString();
      socket.write(data);
    });
    toClose.push(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  toClose.push(() => server.close());
  const address = server.address();
  return { port: typeof address === "object" ? (address?.port ?? 0) : 0, received: () => received, closed: () => closed };
}

interface Peer {
  readonly socket: Socket;
  text: string;
  end: "open" | "ended" | "reset" | "refused";
}

function peer(port: number): Peer {
  const socket = tcpConnect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const state: Peer = { socket, text: "", end: "open" };
  socket.on("data", (data) => {
    state.text += data.toString();
  });
  socket.on("end", () => {
    state.end = "ended";
  });
  socket.on("error", (error) => {
    state.end = "code" in error && error.code === "ECONNREFUSED" ? "refused" : "reset";
  });
  toClose.push(() => socket.destroy());
  return state;
}

describe("to a login's refresh, the proxy's plan", () => {
  test.each([
    ["drop_request: consumes nothing", { kind: "drop_request" } as const, 0, true],
    ["drop_reply: the reply is delivered as far as the server knows", { kind: "drop_reply" } as const, 1, false],
    ["drop_reply with an end", { kind: "drop_reply", ending: "end" } as const, 1, false],
    ["reset_after, in the reply", { kind: "reset_after", bytes: 40, direction: "reply" } as const, 1, false],
    ["reset_at_once", { kind: "reset_at_once" } as const, 0, true],
    ["half_close", { kind: "half_close", afterReplyBytes: 20 } as const, 1, false],
  ])("%s", async (_name, plan, arrived, isActive) => {
    const server = await faultServer();
    const proxy = await chaosProxy({ target: server.origin });
    const { refreshToken } = await server.issue({ subject: "alice" });
    proxy.next(plan);
    await expect(refresh(server, refreshToken, proxy.origin)).rejects.toThrow();
    await server.settled();
    expect(server.ledger.refreshes).toHaveLength(arrived);
    expect(server.isActive(refreshToken)).toBe(isActive);
    if (plan.kind === "drop_reply") expect(server.ledger.refreshes[0]?.reply).toBe("whole");
    expect(proxy.counts).toEqual({ connections: 1, plans: { [plan.kind]: 1 }, cut: 1 });
    if (isActive) expect((await refresh(server, refreshToken, proxy.origin)).status).toBe(200);
  });

  test("published at the proxy, issuer and endpoints are the proxy's", async () => {
    const server = await faultServer({ issuerPath: "/realms/one" });
    const proxy = await chaosProxy({ target: server.port });
    server.publishAt(proxy.origin);
    const document = await (await fetch(`${proxy.origin}/realms/one/.well-known/openid-configuration`)).json();
    expect(document).toMatchObject({ issuer: `${proxy.origin}/realms/one`, token_endpoint: `${proxy.origin}/realms/one/token` });
    expect(server.issuer).toBe(`${proxy.origin}/realms/one`);
  });
});

describe("the proxy", () => {
  test("passes bytes both ways, and counts them", async () => {
    const target = await echo();
    const proxy = await chaosProxy({ target: target.port });
    const client = peer(proxy.port);
    client.socket.write("hello");
    await expect.poll(() => client.text).toBe("hello");
    client.socket.end("bye");
    await expect.poll(() => client.end).toBe("ended");
    expect(client.text).toBe("hellobye");
    expect(proxy.connections).toMatchObject([{ number: 1, plan: { kind: "pass" }, requestBytes: 8, replyBytes: 8 }]);
  });

  test("resets after so many bytes of the request", async () => {
    const target = await echo();
    const proxy = await chaosProxy({ target: target.port });
    proxy.always({ kind: "reset_after", bytes: 3, direction: "request" });
    const client = peer(proxy.port);
    client.socket.write("hello");
    await expect.poll(() => client.end).toBe("reset");
    expect(target.received()).toBe("hel");
  });

  test("drops a reply without telling the target: the rest of a long reply is taken as well", async () => {
    const target = await echo();
    const proxy = await chaosProxy({ target: target.port });
    const client = peer(proxy.port);
    const other = peer(proxy.port);
    await expect.poll(() => proxy.connections.length).toBe(2);
    proxy.always({ kind: "drop_reply" });
    const dropped = peer(proxy.port);
    dropped.socket.write("hello");
    await expect.poll(() => dropped.end).toBe("reset");
    // Others that end, and are heard of by the target, show that it would have heard of this one by now.
    client.socket.resetAndDestroy();
    other.socket.resetAndDestroy();
    await expect.poll(() => target.closed()).toBeGreaterThanOrEqual(2);
    expect([target.closed(), target.received()]).toEqual([2, "hello"]);
  });

  test("half-closes: the client's bytes still arrive", async () => {
    const target = await echo();
    const proxy = await chaosProxy({ target: target.port });
    proxy.always({ kind: "half_close" });
    const client = peer(proxy.port);
    client.socket.write("one");
    await expect.poll(() => client.end).toBe("ended");
    client.socket.write("two");
    await expect.poll(() => target.received()).toBe("onetwo");
    expect(client.text).toBe("");
  });

  test("is a black hole that accepts and stays silent, until its connections are closed", async () => {
    const target = await echo();
    const proxy = await chaosProxy({ target: target.port });
    proxy.always({ kind: "black_hole" });
    const client = peer(proxy.port);
    client.socket.write("hello");
    await expect.poll(() => proxy.connections.length).toBe(1);
    expect([client.end, client.text, target.received(), proxy.connections[0]?.open]).toEqual(["open", "", "", true]);
    proxy.closeConnections();
    await expect.poll(() => client.end).not.toBe("open");
    expect(proxy.connections[0]?.open).toBe(false);
  });

  test("refuses connections, and accepts them again on the same port", async () => {
    const target = await echo();
    const proxy = await chaosProxy({ target: target.port });
    const { port } = proxy;
    proxy.refuse();
    const refused = peer(port);
    await expect.poll(() => refused.end).toBe("refused");
    await proxy.accept();
    const client = peer(port);
    client.socket.write("hello");
    await expect.poll(() => client.text).toBe("hello");
  });

  test("delays by its clock, in order", async () => {
    const clock = new ManualClock();
    const target = await echo();
    const proxy = await chaosProxy({ target: target.port, clock });
    proxy.always({ kind: "delay", milliseconds: 1_000, direction: "reply" });
    const client = peer(proxy.port);
    client.socket.write("hello");
    await expect.poll(() => clock.pending).toBe(1);
    expect([target.received(), client.text]).toEqual(["hello", ""]);
    await clock.advance(1_000);
    await expect.poll(() => client.text).toBe("hello");
  });

  test("keeps a bandwidth by its clock", async () => {
    const clock = new ManualClock();
    const target = await echo();
    const proxy = await chaosProxy({ target: target.port, clock });
    proxy.always({ kind: "bandwidth", bytesPerSecond: 20 });
    const client = peer(proxy.port);
    client.socket.write("0123456789");
    await expect.poll(() => target.received()).toBe("0");
    await clock.advance(100);
    await expect.poll(() => target.received()).toBe("012");
  });

  test("chooses by a function, by a seeded share, or for the next ones", async () => {
    const target = await echo();
    const kinds = async (seed: number): Promise<string> => {
      const proxy = await chaosProxy({ target: target.port, seed });
      proxy.next({ kind: "black_hole" }, 2);
      proxy.sometimes({ kind: "drop_request" }, 0.5);
      for (let count = 1; count <= 12; count += 1) {
        peer(proxy.port);
        await expect.poll(() => proxy.connections.length, { interval: 2 }).toBe(count);
      }
      proxy.choose(({ number }) => ({ kind: number % 2 === 1 ? "pass" : "delay", milliseconds: 1 }));
      peer(proxy.port);
      await expect.poll(() => proxy.connections.length).toBe(13);
      return proxy.connections.map(({ plan }) => plan.kind.slice(0, 2)).join(" ");
    };
    const first = await kinds(7);
    expect(first).toMatch(/^bl bl (pa |dr ){10}pa$/);
    expect(first).toContain("pa dr");
    expect(await kinds(7)).toBe(first);
    expect(await kinds(8)).not.toBe(first);
  });

  test("tells what is no target", async () => {
    await expect(chaosProxy({ target: "nowhere" })).rejects.toThrow("nowhere is no address with a port.");
  });
});
