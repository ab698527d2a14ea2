import { decodeJwt } from "jose";
import { describe, expect, test } from "vitest";
import { httpTransports, type McpClient, type ToolAnswer } from "../support/e2e-clients.ts";
import { findHistoryFaults } from "../support/e2e-token-history.ts";
import { breath, eventually, nothingHappensFor } from "../support/e2e-wait.ts";
import { type User, World } from "../support/e2e-world.ts";

interface Outage {
  readonly name: string;
  readonly begin: (world: World) => void | Promise<void>;
  readonly end: (world: World) => void | Promise<void>;
}

const outages: readonly Outage[] = [
  {
    name: "refuses connections",
    begin: (world) => world.authorizationServer.pause(),
    end: (world) => world.authorizationServer.resume(),
  },
  {
    name: "cuts every connection",
    begin: (world) => world.authorizationServer.setFault({ kind: "down", seconds: 3600 }),
    end: (world) => world.authorizationServer.setFault({ kind: "none" }),
  },
  {
    name: "answers 503",
    begin: (world) => world.authorizationServer.setFault({ kind: "503", seconds: 3600 }),
    end: (world) => world.authorizationServer.setFault({ kind: "none" }),
  },
];

describe.concurrent("an authorization server that is away", { timeout: 40_000 }, () => {
  test.for(outages)(
    "and $name: calls are served while tokens last, then told to come back, and all recover with no login (S6, I10)",
    async ({ begin, end }, { onTestFinished }) => {
      const world = await World.start(onTestFinished, { accessTokenSeconds: 8 });
      const users = await Promise.all(["nick", "olivia", "peggy"].map((name) => world.signIn(name)));
      const clients = await Promise.all(users.flatMap((user) => httpTransports.map((kind) => world.connect(kind, user))));
      // From right after a refresh on: the tokens of everybody have some life left.
      await eventually("everybody was refreshed", () => users.every(({ name }) => world.refreshes(name) >= 1));
      // The API has to know the authorization server's keys by then.
      for (const client of clients) expect(await client.notes()).toEqual([]);
      await begin(world);
      const lives = await Promise.all(users.map((user) => lifeOf(world, user)));
      const served = await callUntil(clients, Math.min(...lives.map(({ soonestEnd }) => soonestEnd)) - 1_000);
      expect(new Set(served.flatMap(({ isError, text }) => (isError ? [text] : [])))).toEqual(new Set());
      expect(served.length).toBeGreaterThan(clients.length);

      // A call and its answer may stand on both sides of the moment of expiry; well after it there is no doubt.
      await callUntil(clients, Math.max(...lives.map(({ latestEnd }) => latestEnd)) + 500);
      const refused = await Promise.all(clients.map((client) => client.call("list_notes")));
      for (const { isError, error, text } of refused) {
        expect(isError).toBe(true);
        expect(error).toMatchObject({ code: "authorization_server_unavailable", retryable: true, retryAfterSeconds: expect.any(Number) });
        expect(text).toContain("The login is kept");
      }
      // What needs no access token is answered all the while.
      expect(await Promise.all(clients.map((client) => client.whoami()))).toEqual(users.flatMap(({ name }) => [name, name]));
      const states = await Promise.all(users.map(async ({ window }) => (await window.health()).state));
      for (const state of states) expect(["live", "refreshing", "uncertain"]).toContain(state);

      await end(world);
      for (const client of clients)
        await eventually("the call is served again", async () => !(await client.call("list_notes")).isError, 20_000);
      expect(world.events().filter(({ kind }) => kind === "issued")).toHaveLength(users.length + 2);
      expect(world.audit("login_required")).toEqual([]);
      expect(findHistoryFaults(world.events())).toEqual([]);
    },
  );
});

describe.concurrent("a refresh token that is dead", { timeout: 40_000 }, () => {
  test("is presented once: the calls say why and where to sign in, and that repairs the same connections (R14, I9, I11)", async ({
    onTestFinished,
  }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 4 });
    const browser = world.browser();
    const user = await world.signIn("quinn", browser);
    const other = await world.signIn("rupert");
    const clients = await Promise.all(httpTransports.map((kind) => world.connect(kind, user)));
    await world.killGrant(user.handle);
    await eventually("it was found out", async () => (await world.record(user.handle)).state === "login_required");
    for (const client of clients) {
      const { isError, error, text } = await client.call("list_notes");
      expect(isError).toBe(true);
      const loginUrl = `${world.url}/login?repair=${user.handle}`;
      expect(error).toMatchObject({ code: "login_required", reason: "grant_dead", retryable: false, loginUrl });
      expect(text).toContain("does not accept its refresh token any more");
      expect(text).toContain(loginUrl);
    }
    expect(await user.window.health()).toMatchObject({ state: "login_required", reason: "grant_dead" });

    // The others go on being refreshed, so the heartbeat is awake; this one is left alone, calls or not.
    const presented = world.audit("refresh_presented", user.handle).length;
    const before = world.refreshes(other.name);
    await eventually("another login session was refreshed twice", async () => {
      await clients[0]?.call("list_notes");
      return world.refreshes(other.name) >= before + 2;
    });
    await nothingHappensFor(0.5);
    expect(world.audit("refresh_presented", user.handle)).toHaveLength(presented);
    expect(world.audit("login_required", user.handle)).toHaveLength(1);

    const repaired = await browser.signIn("quinn", `/login?repair=${user.handle}`);
    expect(repaired.handle).toBe(user.handle);
    for (const client of clients) expect(await client.notes()).toEqual([]);
    expect(world.events().filter(({ kind }) => kind === "reuse")).toEqual([]);
  });

  test("is not repaired by another user's sign-in, whose new tokens are revoked (R14, B7)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 4 });
    const user = await world.signIn("sybil");
    await world.killGrant(user.handle);
    await eventually("it was found out", async () => (await world.record(user.handle)).state === "login_required");
    const browser = world.browser();
    const form = await browser.openLoginForm(`/login?repair=${user.handle}`);
    const page = await browser.open(await browser.submitLoginForm(form, "trent"));
    expect(page.status).toBeGreaterThanOrEqual(400);
    expect(await world.record(user.handle)).toMatchObject({ state: "login_required", principal: { subject: "sybil" } });
    await eventually("trent's tokens are revoked", () => world.events("trent").some(({ kind }) => kind === "revoked"));
  });
});

/** When the access token of now ends: for the API, which reads whole seconds in it, and for Latchkey, which counted from its request. */
async function lifeOf(world: World, { handle }: User): Promise<{ readonly soonestEnd: number; readonly latestEnd: number }> {
  const [entry] = (await world.record(handle)).accessTokens;
  if (entry === undefined) throw new Error("There is no access token.");
  const { exp = 0 } = decodeJwt(entry.accessToken);
  return { soonestEnd: Math.min(exp * 1000, entry.expiresAt), latestEnd: Math.max(exp * 1000, entry.expiresAt) };
}

/** Calls on all clients, round after round, until `time` (ms since the epoch). */
async function callUntil(clients: readonly McpClient[], time: number): Promise<readonly ToolAnswer[]> {
  const answers: ToolAnswer[] = [];
  for (; Date.now() < time; await breath()) answers.push(...(await Promise.all(clients.map((client) => client.call("list_notes")))));
  return answers;
}
