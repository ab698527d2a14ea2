import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { httpTransports, McpClient } from "../support/e2e-clients.ts";
import { Program } from "../support/e2e-process.ts";
import { findHistoryFaults } from "../support/e2e-token-history.ts";
import { eventually, timed } from "../support/e2e-wait.ts";
import { World } from "../support/e2e-world.ts";

describe.concurrent("logout", { timeout: 40_000 }, () => {
  test("revokes at the authorization server, and signing in at once again raises no alarm (R7, S3, F22)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 5 });
    const browser = world.browser();
    for (let round = 1; round <= 3; round += 1) {
      const user = await world.signIn("carol", browser);
      const { refreshToken = "" } = await world.record(user.handle);
      expect(await isActive(world, refreshToken)).toBe(true);
      const client = await world.connect("http", user);
      expect((await user.window.signOut()).json).toMatchObject({ state: "ended", revocation: "done" });
      expect(await isActive(world, refreshToken)).toBe(false);
      await expect(client.notes()).rejects.toThrow();
      const again = await world.signIn("carol", browser);
      expect(await (await world.connect("sse", again)).whoami()).toBe("carol");
      expect((await again.window.signOut()).status).toBe(200);
    }
    const kinds = world.events("carol").map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "revoked")).toHaveLength(6);
    expect(findHistoryFaults(world.events())).toEqual([]);
  });

  test("is the last that the authorization server hears: nothing is refreshed afterwards (R4, R7, I12)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 4 });
    const [gone, staying] = [await world.signIn("dave"), await world.signIn("erin")];
    // One logout while nothing runs, one while the refresh is under way.
    const busy = await world.signIn("frank");
    expect((await gone.window.signOut()).status).toBe(200);
    world.authorizationServer.setFault({ kind: "slow", seconds: 60, delaySeconds: 1 });
    await eventually("the refresh is under way", async () => (await world.record(busy.handle)).state === "refreshing");
    expect((await busy.window.signOut()).status).toBe(200);
    world.authorizationServer.setFault({ kind: "none" });
    const before = world.refreshes("erin");
    await eventually("others are refreshed twice more", () => world.refreshes("erin") >= before + 2, 15_000);
    for (const user of [gone, busy]) {
      expect((await world.record(user.handle)).state).toBe("ended");
      const kinds = world.events(user.name).map(({ kind }) => kind);
      expect(kinds.indexOf("refreshed", kinds.indexOf("revoked"))).toBe(-1);
      expect(kinds).toContain("revoked");
    }
    expect(world.refreshes("dave")).toBe(0);
    expect(world.audit("refresh_presented", gone.handle)).toEqual([]);
    expect(world.audit("refresh_presented", busy.handle)).toHaveLength(1);
    // Its next refresh may be under way just now.
    expect(["live", "refreshing"]).toContain((await staying.window.health()).state);
    expect(world.events().filter(({ kind }) => kind === "reuse")).toEqual([]);
  });

  test("answers the same the second time, by the page, by the form and by the tool (R15)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished);
    const { window, handle } = await world.signIn("grace");
    const csrfToken = await window.csrfToken();
    const first = await window.signOut(csrfToken);
    const second = await window.signOut(csrfToken);
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(first.json).toMatchObject({ id: handle, state: "ended", revocation: "done" });
    expect(second.json).toEqual(first.json);
    const byForm = await window.browser.request("POST", "/logout", {
      headers: { "x-latchkey-login": handle, "x-csrf-token": csrfToken },
    });
    expect(byForm.json).toMatchObject({ state: "ended", revocation: "done" });

    const heidi = await world.signIn("heidi");
    const clients = await Promise.all(httpTransports.map((kind) => world.connect(kind, heidi)));
    // Both ask at once; the one that comes second may find its connection closed already.
    const answers = await Promise.allSettled(clients.map((client) => client.call("sign_out")));
    const told = answers.flatMap((each) => (each.status === "fulfilled" && !each.value.isError ? [each.value.structured.state] : []));
    expect(new Set(told)).toEqual(new Set(["ended"]));
    await eventually("the tokens are revoked", () => world.events("heidi").some(({ kind }) => kind === "revoked"));
    expect(world.events("heidi").filter(({ kind }) => kind === "revoked")).toHaveLength(1);
    expect(findHistoryFaults(world.events())).toEqual([]);
  });

  test("leaves no connection behind, however it meets a connect (R3)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished);
    const outcomes = new Map<string, number>();
    for (let turns = 0; turns < 40; turns += 1) {
      const kind = httpTransports[turns % 2] ?? "http";
      const user = await world.signIn(`judy-${turns}`);
      const csrfToken = await user.window.csrfToken();
      const connecting = McpClient.connectHttp(kind, world.url, user.key).then(
        (client) => ({ client }),
        () => ({ client: undefined }),
      );
      // Each turn of the loop lets the connect get a little further before the logout begins.
      for (let turn = 0; turn < turns * 2; turn += 1) await setImmediate();
      const [{ client }, logout] = await Promise.all([connecting, user.window.signOut(csrfToken)]);
      expect(logout.json).toMatchObject({ state: "ended" });
      const { id } = await world.record(user.handle);
      expect(world.server.core.registry.countByLoginSession(id)).toBe(0);
      if (client !== undefined) await expect(client.call("whoami")).rejects.toThrow();
      await client?.close();
      const outcome = client === undefined ? "refused" : "closed";
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // Both orders came up, or the test has shown nothing.
    expect([...outcomes.keys()].sort()).toEqual(["closed", "refused"]);
    await eventually("nothing is left in the registry", () => world.server.core.registry.size === 0);
    expect(findHistoryFaults(world.events())).toEqual([]);
  });

  test.for(httpTransports)(
    "wins over a connect over %s that has been authenticated but is not bound yet (R3)",
    async (kind, { onTestFinished }) => {
      const world = await World.start(onTestFinished);
      const user = await world.signIn("kate");
      const { id } = await world.record(user.handle);
      const { store, logout, registry } = world.server.core;
      const lookUp = store.connectionKeys.getByHash.bind(store.connectionKeys);
      const ended: string[] = [];
      Reflect.set(store.connectionKeys, "getByHash", async (hash: Parameters<typeof lookUp>[0]) => {
        const found = await lookUp(hash);
        if (found?.loginSessionId === id) ended.push((await logout.end(id, "logout")).loginSession.state);
        return found;
      });
      await expect(world.connect(kind, user)).rejects.toThrow(/401|ended/);
      expect(ended).toContain("ended");
      expect(registry.countByLoginSession(id)).toBe(0);
      expect(registry.size).toBe(0);
    },
  );
});

describe.concurrent("logout during a workflow", { timeout: 40_000 }, () => {
  test.for(httpTransports)(
    "stops a running slow_report over %s within 1 s, with a clear error (S4, B9)",
    async (kind, { onTestFinished }) => {
      const world = await World.start(onTestFinished);
      const user = await world.signIn("kim");
      const client = await world.connect(kind, user);
      let begun = false;
      const report = client.call("slow_report", { seconds: 60 }, { onProgress: () => (begun = true) });
      await eventually("the report runs", () => begun && world.api.stats().runningReports === 1);
      const { value: answer, milliseconds } = await timed(async () => {
        const [result] = await Promise.all([report, user.window.signOut()]);
        return result;
      });
      expect(milliseconds).toBeLessThan(1_000);
      expect(answer.isError).toBe(true);
      expect(answer.error).toMatchObject({ code: "login_ended", reason: "logout", retryable: false });
      expect(answer.text).toContain("Sign in again");
      await eventually("the request to the API was given up", () => world.api.stats().runningReports === 0, 1_000);
      await expect(client.call("whoami")).rejects.toThrow();
      await expect(world.connect(kind, user)).rejects.toThrow();
    },
  );

  test.for(httpTransports)("lets the agent over %s end cleanly, and it says what to do (S4)", async (kind, { onTestFinished }) => {
    const world = await World.start(onTestFinished);
    const user = await world.signIn("lena");
    const args = ["--transport", kind, "--url", world.url, "--key", user.key, "--rounds", "100"];
    const agent = Program.start(onTestFinished, "examples/agent.ts", args);
    await agent.says(/slow_report: 0 of 2/);
    const { value: exit, milliseconds } = await timed(async () => {
      expect((await user.window.signOut()).status).toBe(200);
      return agent.exit;
    });
    expect(exit).toMatchObject({ code: 3, stderr: "" });
    expect(exit.stdout).toMatch(/stopped at slow_report in round \d+, after \d+ calls\ncode: login_ended\n/);
    expect(exit.stdout).toContain(`open ${world.url}/login`);
    expect(milliseconds).toBeLessThan(1_000);
  });
});

describe.concurrent("the list of login sessions", { timeout: 40_000 }, () => {
  test("never fails while login sessions of the same user begin and end (R12)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished);
    const reader = await world.signIn("mia");
    let coming = true;
    const statuses = new Set<number>();
    const lengths = new Set<number>();
    const read = async (): Promise<void> => {
      while (coming) {
        const answer = await reader.window.get("/api/sessions");
        statuses.add(answer.status);
        const list = answer.json.sessions;
        if (!Array.isArray(list)) throw new Error(`no list: ${answer.text}`);
        lengths.add(list.length);
        if (!list.some((each) => each.id === reader.handle)) throw new Error("the reader's own login session is missing");
      }
    };
    const change = async (): Promise<void> => {
      for (let round = 0; round < 10; round += 1) expect((await (await world.signIn("mia")).window.signOut()).status).toBe(200);
    };
    await Promise.all([
      Promise.all([change(), change(), change()]).finally(() => {
        coming = false;
      }),
      read(),
      read(),
    ]);
    expect([...statuses]).toEqual([200]);
    expect(lengths.size).toBeGreaterThan(5);
    expect((await reader.window.list()).filter(({ state }) => state === "ended")).toHaveLength(30);
  });
});

/** Asks the authorization server itself (RFC 7662). */
async function isActive({ authorizationServer }: World, token: string): Promise<boolean> {
  const { issuer, clientId, clientSecret } = authorizationServer;
  const response = await fetch(`${issuer}/token/introspection`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString("base64")}` },
    body: new URLSearchParams({ token, token_type_hint: "refresh_token" }),
  });
  const answer: unknown = await response.json();
  return Reflect.get(Object(answer), "active") === true;
}
