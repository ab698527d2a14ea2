import { describe, expect, test } from "vitest";
import { httpTransports } from "../support/e2e-clients.ts";
import { isFields } from "../support/e2e-json.ts";
import { findHistoryFaults } from "../support/e2e-token-history.ts";
import { breath, eventually, untilTime } from "../support/e2e-wait.ts";
import { type User, World } from "../support/e2e-world.ts";

const callsAtOnce = 200;
const connectionsEach = 5;

/** 200 tool calls that need an access token, at one moment, over ten connections of both kinds. Gives what failed. */
async function callAtOnce(world: World, user: User): Promise<{ readonly run: () => Promise<ReadonlySet<string>> }> {
  const kinds = httpTransports.flatMap((kind) => Array.from({ length: connectionsEach }, () => kind));
  const clients = await Promise.all(kinds.map((kind) => world.connect(kind, user)));
  const run = async (): Promise<ReadonlySet<string>> => {
    const calls = clients.flatMap((client) => Array.from({ length: callsAtOnce / clients.length }, () => client.call("list_notes")));
    return new Set((await Promise.all(calls)).flatMap(({ isError, text }) => (isError ? [text] : [])));
  };
  return { run };
}

describe.concurrent("200 calls at the moment of expiry", { timeout: 40_000 }, () => {
  test("make one refresh when the heartbeat wants it at the same moment (R1, I1, I8)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 5 });
    const user = await world.signIn("carol");
    const { run } = await callAtOnce(world, user);
    for (const generation of [2, 3]) {
      // The heartbeat begins, and its request hangs until the access token is too short for a call.
      world.authorizationServer.setFault({ kind: "slow", seconds: 60, delaySeconds: 2 });
      const [entry] = (
        await eventually("the heartbeat refreshes", async () => {
          const record = await world.record(user.handle);
          return record.state === "refreshing" && record;
        })
      ).accessTokens;
      await untilTime((entry?.expiresAt ?? 0) - 900);
      expect(await run()).toEqual(new Set());
      expect(world.refreshes("carol")).toBe(generation - 1);
      expect((await world.record(user.handle)).generation).toBe(generation);
    }
    expect(findHistoryFaults(world.events())).toEqual([]);
  });

  test("make one refresh when they come first, and a second one is not begun (R1, F1)", async ({ onTestFinished }) => {
    // A heartbeat that looks too seldom to be in time: all depends on the calls.
    const world = await World.start(onTestFinished, { accessTokenSeconds: 5, heartbeatIntervalSeconds: 60 });
    const user = await world.signIn("carol");
    const { run } = await callAtOnce(world, user);
    for (const generation of [2, 3]) {
      const [entry] = (await world.record(user.handle)).accessTokens;
      await untilTime(entry?.expiresAt ?? 0);
      expect(await run()).toEqual(new Set());
      expect(world.refreshes("carol")).toBe(generation - 1);
    }
    expect(world.audit("refresh_presented", user.handle).map(({ reason }) => reason)).toEqual(["demand", "demand"]);
    expect(findHistoryFaults(world.events())).toEqual([]);
  });
});

describe.concurrent("a slow authorization server", { timeout: 40_000 }, () => {
  test("never sees two refreshes of one login session at once, though its answer takes longer than many heartbeats (R11)", async ({
    onTestFinished,
  }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 5, heartbeatIntervalSeconds: 0.05 });
    const users = await Promise.all(["erin", "frank", "grace"].map((name) => world.signIn(name)));
    world.authorizationServer.setFault({ kind: "slow", seconds: 60, delaySeconds: 1 });
    const refreshedTwice = (): boolean => users.every(({ handle }) => world.audit("refresh_committed", handle).length >= 2);
    await eventually("everybody was refreshed twice", refreshedTwice, 20_000);
    for (const { handle } of users) {
      const steps = world.lines
        .filter((line) => line.includes(handle) && /"event":"refresh_/.test(line))
        .map((line) => /"event":"refresh_(\w+)"/.exec(line)?.[1]);
      expect(steps.slice(0, 4)).toEqual(["presented", "committed", "presented", "committed"]);
    }
    expect(findHistoryFaults(world.events())).toEqual([]);
  });

  test("is waited for: calls go on and tokens are refreshed with 2 s of delay and 10 s of life (S5, F26, I14)", async ({
    onTestFinished,
  }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 10 });
    const user = await world.signIn("heidi");
    world.authorizationServer.setFault({ kind: "slow", seconds: 60, delaySeconds: 2 });
    const clients = await Promise.all(httpTransports.map((kind) => world.connect(kind, user)));
    let calls = 0;
    const begin = performance.now();
    await eventually(
      "it was refreshed, and calls went on for longer than an access token lives",
      async () => {
        for (const client of clients) await client.notes();
        calls += clients.length;
        return world.refreshes("heidi") >= 1 && performance.now() - begin > 11_000;
      },
      20_000,
    );
    expect(calls).toBeGreaterThan(20);
    expect(world.audit("refresh_failed")).toEqual([]);
    expect(findHistoryFaults(world.events())).toEqual([]);
  });
});

describe.concurrent("readers of a login session", { timeout: 40_000 }, () => {
  test("see one snapshot each, by tool, by API and by the page's events, while it is refreshed under load (R6, I5)", async ({
    onTestFinished,
  }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 4 });
    const user = await world.signIn("ivan");
    const clients = await Promise.all(httpTransports.map((kind) => world.connect(kind, user)));
    /** Which expiry was seen beside which refresh: a reader of a half would see two for one. */
    const seen = new Map<string, Set<string>>();
    let reads = 0;
    const note = (lastRefresh: unknown, expiry: unknown): void => {
      reads += 1;
      const key = String(lastRefresh);
      seen.set(key, (seen.get(key) ?? new Set()).add(String(expiry)));
    };
    const done = (): boolean => world.refreshes("ivan") >= 3;
    const readTool = async (client: (typeof clients)[number]): Promise<void> => {
      for (; !done(); await breath()) {
        const { structured } = await client.mustCall("session_status");
        note(structured.lastRefreshAt, structured.accessTokenExpiresAt);
      }
    };
    const readApi = async (): Promise<void> => {
      for (; !done(); await breath()) {
        const session = await user.window.health();
        note(session.lastRefresh, session.accessTokenExpires);
      }
    };
    await Promise.all([
      readEvents(world, user, note, done),
      ...clients.flatMap((client) => [readTool(client), readTool(client)]),
      readApi(),
    ]);
    expect(reads).toBeGreaterThan(200);
    expect(seen.size).toBeGreaterThanOrEqual(3);
    expect([...seen.values()].map((expiries) => expiries.size)).toEqual([...seen].map(() => 1));
    for (const [lastRefresh, [expiry = ""]] of seen) {
      const left = Date.parse(expiry) - Date.parse(lastRefresh);
      if (lastRefresh !== "undefined") expect(left).toBeGreaterThan(3_000);
    }
    expect(findHistoryFaults(world.events())).toEqual([]);
  });

  async function readEvents(
    world: World,
    { window }: User,
    note: (lastRefresh: unknown, expiry: unknown) => void,
    done: () => boolean,
  ): Promise<void> {
    const address = new URL(`/api/events?login=${window.handle}`, world.url);
    const stop = new AbortController();
    const response = await fetch(address, { headers: { cookie: window.browser.cookieHeader(address) }, signal: stop.signal });
    let text = "";
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      const complete = text.split("\n\n");
      text = complete.pop() ?? "";
      for (const event of complete) {
        const data: unknown = JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "{}");
        const session = isFields(data) ? data.session : undefined;
        if (isFields(session)) note(session.lastRefresh, session.accessTokenExpires);
      }
      if (done()) break;
    }
    stop.abort();
  }
});
