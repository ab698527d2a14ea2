import { get, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { settle } from "../support/manual-clock.ts";
import type { TestBrowser, TestWindow } from "./test-browser.ts";
import { startWebBench, type WebBench } from "./web-bench.ts";

interface ServerEvent {
  readonly id: string;
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

let bench: WebBench;
let browser: TestBrowser;
let alice: TestWindow;

beforeEach(async () => {
  bench = await startWebBench();
  browser = bench.browser();
  alice = await browser.signIn("alice");
});

afterEach(() => bench.close());

/** An open stream, as text that has arrived. */
class OpenStream {
  readonly response: IncomingMessage;
  text = "";
  ended = false;
  #changed: () => void = () => {};

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      this.text += chunk;
      this.#changed();
    });
    response.on("close", () => {
      this.ended = true;
      this.#changed();
    });
  }

  get events(): ServerEvent[] {
    return this.text.split("\n\n").flatMap((block) => {
      const match = /^id: (\d+)\nevent: (\w+)\ndata: (.*)$/.exec(block);
      return match === null ? [] : [{ id: match[1] ?? "", name: match[2] ?? "", data: JSON.parse(match[3] ?? "{}") }];
    });
  }

  async until(isDone: (stream: OpenStream) => boolean): Promise<this> {
    while (!isDone(this)) await new Promise<void>((resolve) => (this.#changed = resolve));
    return this;
  }

  untilEvents(count: number): Promise<this> {
    return this.until(({ events }) => events.length >= count);
  }
}

async function open(window: TestWindow): Promise<OpenStream> {
  const headers = { cookie: window.browser.cookieHeader };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${bench.url}/api/events?login=${window.handle}`, { headers }, resolve).on("error", reject);
  });
  return new OpenStream(response);
}

async function refresh(handle: string): Promise<void> {
  await bench.clock.advance(25_000);
  await bench.replica.maintenance.maintain((await bench.mustGet(handle)).id);
}

describe("GET /api/events", () => {
  it("begins with a snapshot of the user's login sessions", async () => {
    const stream = await (await open(alice)).untilEvents(1);
    expect(stream.response.headers).toMatchObject({ "content-type": "text/event-stream", "cache-control": "no-store" });
    expect(stream.events[0]).toMatchObject({
      id: "1",
      name: "snapshot",
      data: { serverTime: "2026-01-01T00:00:00.000Z", sessions: [{ id: alice.handle, state: "live" }] },
    });
    stream.response.destroy();
  });

  it("tells each change of them, a new login in another browser too (R18)", async () => {
    const stream = await (await open(alice)).untilEvents(1);
    bench.server.outage = { kind: "not_sent", cause: new Error("refused") };
    await refresh(alice.handle);
    await stream.until(({ text }) => text.includes('"failures":1'));
    const other = await bench.browser().signIn("alice");
    await stream.until(({ text }) => text.includes(other.handle));
    const ids = stream.events.map(({ id }) => Number(id));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    stream.response.destroy();
  });

  it("tells nothing of other users, even of one in the same browser (S2)", async () => {
    const bob = await browser.signIn("bob");
    const [alices, bobs] = [await (await open(alice)).untilEvents(1), await (await open(bob)).untilEvents(1)];
    await refresh(bob.handle);
    await refresh(alice.handle);
    await bobs.until(({ events }) => events.length > 1);
    await alices.until(({ events }) => events.length > 1);
    expect(alices.text).not.toContain(bob.handle);
    expect(bobs.text).not.toContain(alice.handle);
    alices.response.destroy();
    bobs.response.destroy();
  });

  it("holds no token and no internal id (B10)", async () => {
    const stream = await (await open(alice)).untilEvents(1);
    await refresh(alice.handle);
    await stream.untilEvents(3);
    const record = await bench.mustGet(alice.handle);
    for (const secret of [record.id, record.refreshToken, record.idToken, record.accessTokens[0]?.accessToken])
      expect(stream.text).not.toContain(String(secret));
    stream.response.destroy();
  });

  it("ends with `ended` when the window's own login session has ended, and cannot be opened again", async () => {
    const stream = await (await open(alice)).untilEvents(1);
    await alice.delete(`/api/sessions/${alice.handle}`);
    await stream.until(({ ended }) => ended);
    expect(stream.events.at(-1)).toMatchObject({ name: "ended", data: { login: alice.handle, reason: "logout" } });
    expect((await open(alice)).response.statusCode).toBe(401);
  });

  it("goes on when another login session of the user ends", async () => {
    const other = await bench.browser().signIn("alice");
    const stream = await (await open(alice)).untilEvents(1);
    await alice.delete(`/api/sessions/${other.handle}`);
    await stream.until(({ text }) => text.includes('"state":"ended"'));
    expect(stream.ended).toBe(false);
    stream.response.destroy();
  });

  it("writes a comment every 15 s, and tells within 5 s that a connection has come", async () => {
    const stream = await (await open(alice)).untilEvents(1);
    bench.connections.set((await bench.mustGet(alice.handle)).id, 2);
    await bench.clock.advance(5_000);
    await stream.until(({ text }) => text.includes('"connections":2'));
    await bench.clock.advance(10_000);
    await stream.until(({ text }) => text.includes(": keep-alive\n\n"));
    stream.response.destroy();
  });

  it("ends after an hour, so that the cookie is looked at again", async () => {
    const stream = await (await open(alice)).untilEvents(1);
    await bench.clock.advance(3_606_000);
    await stream.until(({ ended }) => ended);
    expect(stream.events.map(({ name }) => name)).toEqual(["snapshot"]);
  });

  it("leaves no timer and no listener behind when the client goes away (I16)", async () => {
    const timers = bench.clock.pending;
    const stream = await (await open(alice)).untilEvents(1);
    expect(bench.clock.pending).toBe(timers + 1);
    stream.response.destroy();
    while (bench.clock.pending > timers) await settle();
    expect(bench.clock.pending).toBe(timers);
  });

  it("is not opened by HEAD, since nobody would read it", async () => {
    const timers = bench.clock.pending;
    const { status, headers } = await browser.request("HEAD", `/api/events?login=${alice.handle}`);
    expect([status, headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    expect(bench.clock.pending).toBe(timers);
  });

  it("ends when the server closes", async () => {
    const stream = await (await open(alice)).untilEvents(1);
    bench.closing.abort();
    await stream.until(({ ended }) => ended);
  });

  it("are at most 50 of one user", async () => {
    const streams = await Promise.all(Array.from({ length: 50 }, async () => (await open(alice)).untilEvents(1)));
    const refused = await open(alice);
    expect(refused.response.statusCode).toBe(429);
    expect(refused.response.headers["retry-after"]).toBe("30");
    const bob = await bench.browser().signIn("bob");
    const other = await (await open(bob)).untilEvents(1);
    for (const stream of [...streams, other]) stream.response.destroy();
  });

  it("needs a login session of this browser", async () => {
    const mallory = await bench.browser().signIn("mallory");
    const stolen = await open(browser.window(mallory.handle));
    expect(stolen.response.statusCode).toBe(404);
    stolen.response.destroy();
  });
});
