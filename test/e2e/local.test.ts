import { DatabaseSync } from "node:sqlite";
import { ElicitationCompleteNotificationSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test } from "vitest";
import { McpClient } from "../support/e2e-clients.ts";
import { mustString } from "../support/e2e-json.ts";
import { addressOf, follow, LocalWorld } from "../support/e2e-local.ts";
import type { Program } from "../support/e2e-process.ts";
import { eventually } from "../support/e2e-wait.ts";

const patient = { timeout: 120_000 };

describe.concurrent("the local side, on a SQLite store that all processes share", patient, () => {
  test("a login in a terminal serves a client that is started afterwards, and is told by status", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished);
    const { code, stdout, page } = await world.logIn("alice");
    expect({ code, stdout }).toEqual({ code: 0, stdout: `Signed in as alice at ${world.server.issuer}, profile "default".\n` });
    expect(page).toMatch(/^200 .*You are signed in as alice/s);
    const { client } = await world.connect();
    expect(await client.whoami()).toBe("alice");
    expect((await client.mustCall("session_status")).structured).toMatchObject({ state: "live" });
    const { profiles } = JSON.parse((await world.run("status", "--json", ...world.config())).stdout);
    expect(profiles).toEqual([
      {
        profile: "default",
        issuer: world.server.issuer,
        subject: "alice",
        name: "alice",
        authorizationServer: "main",
        login: expect.stringMatching(/^ls_/),
        state: "live",
        accessTokenExpiresAt: expect.any(String),
        lastRefreshAt: expect.any(String),
        nextRefreshAt: expect.any(String),
      },
    ]);
    const text = (await world.run("status", ...world.config())).stdout;
    expect(text).toContain("profile default");
    expect(text).toMatch(/user +alice at /);
  });

  test("a login from inside the connection: the link of the tool error, and the same connection goes on", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished);
    const { client } = await world.connect();
    expect((await client.client.listTools()).tools.map(({ name }) => name)).toContain("whoami");
    const { isError, text, error = {} } = await client.call("whoami");
    expect(isError).toBe(true);
    expect(error).toMatchObject({ code: "login_required", profile: "default" });
    expect(text).toContain("Nobody is signed in");
    expect(text).toContain("latchkey login --profile default --config ");
    const link = mustString(error, "loginUrl");
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\//);
    // The same link as long as it is open, and another address on this listener leads nowhere.
    expect((await client.call("whoami")).error).toMatchObject({ loginUrl: link });
    expect(await follow(new URL("/login/callback?code=x&state=y", link).href)).toMatch(/^400 .*cannot be finished/s);
    expect(await follow(new URL("/sign-in/guessed", link).href)).toMatch(/^404 /);
    expect(await follow(link)).toMatch(/^200 .*signed in as alice/s);
    expect(await client.whoami()).toBe("alice");
    await expect(follow(link)).rejects.toThrow();
  });

  test("a client that can do URL elicitation is asked to open the link", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished);
    const asked: string[] = [];
    const client = new McpClient("e2e", { elicitation: { url: {} } });
    client.client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
      if (params.mode === "url") asked.push(params.url);
      return { action: "accept" };
    });
    let completed = 0;
    client.client.setNotificationHandler(ElicitationCompleteNotificationSchema, () => {
      completed += 1;
    });
    await world.connect(world.config(), client);
    await client.call("whoami");
    await client.call("whoami");
    const [url = ""] = await eventually("the question", () => asked.length > 0 && asked);
    expect(await follow(url)).toMatch(/^200 /);
    await eventually("the client is told that it is done", () => completed === 1);
    expect(await client.whoami()).toBe("alice");
    expect(asked).toHaveLength(1);
  });

  test("a logout in a terminal is said by the next call of every running client, and a login of the same user brings them back", async ({
    onTestFinished,
  }) => {
    const world = await LocalWorld.start(onTestFinished);
    await world.logIn("alice");
    const [one, two] = await Promise.all([world.connect(), world.connect()]);
    const clients = [one.client, two.client] as const;
    for (const client of clients) expect(await client.whoami()).toBe("alice");

    const out = await world.run("logout", ...world.config());
    expect(out).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('alice is signed out of the profile "default". None of the tokens'),
    });
    expect(await world.run("logout", ...world.config())).toEqual(out);
    expect(world.server.ledger.families).toMatchObject([{ subject: "alice", ended: "revoked" }]);
    for (const client of clients) {
      const told = await eventually(
        "the logout is seen",
        async () => {
          const { error } = await client.call("whoami");
          return error?.code === "login_ended" && error;
        },
        5_000,
      );
      expect(told).toMatchObject({ reason: "logout", loginUrl: expect.any(String) });
    }

    await world.logIn("alice");
    for (const client of clients) expect(await client.whoami()).toBe("alice");
  });

  test("a login of another user after the logout is not theirs: running clients say so, and new ones have it (B2, B3)", async ({
    onTestFinished,
  }) => {
    const world = await LocalWorld.start(onTestFinished);
    await world.logIn("alice");
    const { client } = await world.connect();
    expect(await client.whoami()).toBe("alice");
    await world.run("logout", ...world.config());
    expect((await world.logIn("bob")).stdout).toContain("Signed in as bob");
    const { error, text } = await client.call("whoami");
    expect(error).toMatchObject({ code: "forbidden" });
    expect(text).toContain("This profile is now bob: restart the client");
    const { client: fresh } = await world.connect();
    expect(await fresh.whoami()).toBe("bob");
    await world.run("logout", ...world.config());
    await world.logIn("alice");
    expect(await client.whoami()).toBe("alice");
  });

  test("a login of somebody else is refused while the profile is signed in, and its tokens are revoked (B2)", async ({
    onTestFinished,
  }) => {
    const world = await LocalWorld.start(onTestFinished);
    await world.logIn("alice");
    const { client } = await world.connect();
    expect(await client.whoami()).toBe("alice");
    const { code, stdout, stderr, page } = await world.logIn("bob");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain('You signed in as bob, but the profile "default" belongs to alice.');
    expect(page).toContain("belongs to alice");
    expect(await client.whoami()).toBe("alice");
    expect(world.server.ledger.families).toMatchObject([
      { subject: "alice", ended: undefined },
      { subject: "bob", ended: "revoked" },
    ]);
  });

  test("a second login of the same user repairs the login session in place: running processes go on, and the old tokens are revoked", async ({
    onTestFinished,
  }) => {
    const world = await LocalWorld.start(onTestFinished);
    await world.logIn("alice");
    const { client } = await world.connect();
    const before = (await client.mustCall("session_status")).structured;
    expect((await world.logIn("alice")).stdout).toContain("The login session goes on with new tokens.");
    const after = (await client.mustCall("session_status")).structured;
    expect(after).toMatchObject({ login: before.login, state: "live" });
    const families = await eventually(
      "the old family is revoked",
      () => {
        const all = world.server.ledger.families;
        return all[0]?.ended === "revoked" && all;
      },
      20_000,
    );
    expect(families).toMatchObject([{ ended: "revoked" }, { ended: undefined }]);
  });

  test("a dead login session asks for a sign-in with its reason, and goes on after it in every process", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished, {
      behaviours: [{ kind: "access_token_life", seconds: 4 }],
    });
    await world.logIn("alice");
    const [one, two] = await Promise.all([world.connect(), world.connect()]);
    for (const { client } of [one, two]) expect(await client.whoami()).toBe("alice");
    const rule = world.server.set({ kind: "oauth_error", error: "invalid_grant" }, { target: "refresh" });
    const { error = {} } = await eventually(
      "the login is dead",
      async () => {
        const answer = await one.client.call("whoami");
        return answer.isError && answer;
      },
      20_000,
    );
    expect(error).toMatchObject({ code: "login_required", reason: "grant_dead" });
    expect((await one.client.mustCall("session_status")).structured).toMatchObject({ state: "login_required" });
    rule.clear();
    expect(await follow(mustString(error, "loginUrl"))).toMatch(/^200 /);
    for (const { client } of [one, two]) await eventually("it goes on", async () => (await client.whoami()) === "alice", 2_000);
  });

  test("the authorization server away at the start, then back: the same connection, without a restart", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished);
    const args = world.config();
    await world.server.suspend();
    const { client } = await world.connect(args);
    expect((await client.client.listTools()).tools.length).toBeGreaterThan(2);
    const { error = {} } = await client.call("whoami");
    const link = mustString(error, "loginUrl");
    expect(await follow(link)).toMatch(/^503 .*authorization_server_unavailable/s);
    const login = await world.run("login", ...args);
    expect(login).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("(authorization_server_unavailable)") });
    await world.server.resume();
    const page = await eventually(
      "signing in works again",
      async () => {
        const answer = await follow(link);
        return answer.startsWith("200 ") && answer;
      },
      20_000,
    );
    expect(page).toContain("signed in as alice");
    expect(await client.whoami()).toBe("alice");
  });

  test("a store that another program holds: the client is answered at once, calls say what is wrong, and it goes on afterwards", async ({
    onTestFinished,
  }) => {
    const world = await LocalWorld.start(onTestFinished);
    await world.logIn("alice");
    const holder = new DatabaseSync(world.storeFile);
    holder.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const { client } = await world.connect();
    expect((await client.client.listTools()).tools.length).toBeGreaterThan(2);
    const { error, text } = await client.call("whoami");
    expect(error).toMatchObject({ code: "configuration_invalid" });
    expect(text).toContain("is held by another program");
    holder.close();
    expect(await client.whoami()).toBe("alice");
  });

  test("profiles stand side by side, each with its user, and a repeat of the redirect signs in nobody (B7)", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished);
    await world.logIn("alice", "--profile", "home");
    await world.logIn("bob", "--profile", "work");
    const home = await world.connect([...world.config(), "--profile", "home"]);
    const work = await world.connect([...world.config(), "--profile", "work"]);
    expect(await home.client.whoami()).toBe("alice");
    expect(await work.client.whoami()).toBe("bob");
    await world.run("logout", "--profile", "work", ...world.config());
    expect(await home.client.whoami()).toBe("alice");
    const { profiles } = JSON.parse((await world.run("status", "--json", ...world.config())).stdout);
    expect(profiles).toMatchObject([
      { profile: "home", subject: "alice", state: "live" },
      { profile: "work", subject: "bob", state: "ended", reason: "logout" },
    ]);
  });

  test("a device code signs in from a terminal without a browser; denied, it says so", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished);
    const program = world.begin("login", "--device", ...world.config());
    const [, page = "", whole = ""] = await codeOf(program);
    expect(page).toBe(`${world.server.issuer}/device`);
    expect(await follow(whole)).toMatch(/^200 /);
    expect(await program.exit).toMatchObject({ code: 0, stdout: expect.stringContaining("Signed in as alice") });
    const { client } = await world.connect();
    expect(await client.whoami()).toBe("alice");
    const denied = world.begin("login", "--device", ...world.config());
    await follow(`${(await codeOf(denied))[2]}&deny`);
    expect(await denied.exit).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("The sign-in was denied") });
    expect(await client.whoami()).toBe("alice");
  });

  test("a device code stands in the tool error too, and the same connection goes on once it was entered", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished);
    const { client } = await world.connect();
    const { text } = await client.call("whoami");
    const [, , whole = ""] = mustMatch(text, deviceWords);
    expect((await client.call("whoami")).text).toContain(whole);
    await follow(whole);
    await eventually("it is signed in", async () => (await client.whoami()) === "alice");
  });

  test("nothing is made by status and logout where nobody ever signed in; a login that is refused there says why", async ({
    onTestFinished,
  }) => {
    const world = await LocalWorld.start(onTestFinished);
    expect(await world.run("status", ...world.config())).toMatchObject({ code: 0, stdout: "Nobody is signed in.\n" });
    expect(await world.run("status", "--json", ...world.config())).toMatchObject({ stdout: '{\n  "profiles": []\n}\n' });
    expect(await world.run("logout", ...world.config())).toMatchObject({
      code: 0,
      stdout: 'Nobody is signed in in the profile "default".\n',
    });
    const program = world.begin("login", ...world.config());
    const address = new URL(await addressOf(program));
    const back = new URL(mustParameter(address, "redirect_uri"));
    back.search = new URLSearchParams({
      error: "access_denied",
      state: mustParameter(address, "state"),
      iss: world.server.issuer,
    }).toString();
    expect(await follow(back.href)).toMatch(/^400 .*Signing in did not work/s);
    expect(await program.exit).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("access_denied") });
  });

  test("tools that cannot be made are told through MCP, and the exit code says so", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished);
    const tool = { name: "whoami", description: "Not ours.", api: "api", method: "GET", path: "/" };
    const args = world.config("alice", {}, { apis: { api: { baseUrl: "http://127.0.0.1:9" } }, tools: [tool] });
    const { client, exit } = await world.connect(args);
    const { error, text } = await client.call("whoami");
    expect(error).toMatchObject({ code: "configuration_invalid" });
    expect(text).toContain("whoami");
    await client.close();
    expect(await exit()).toBe(2);
  });

  test("a login that is given up ends at the signal, and listens no more", async ({ onTestFinished }) => {
    const world = await LocalWorld.start(onTestFinished);
    const program = world.begin("login", ...world.config());
    const address = new URL(await addressOf(program));
    program.child.kill("SIGINT");
    expect(await program.exit).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("nobody was signed in") });
    await expect(follow(mustParameter(address, "redirect_uri"))).rejects.toThrow();
  });
});

function mustParameter(url: URL, name: string): string {
  const value = url.searchParams.get(name);
  if (value === null) throw new Error(`${url.origin} was given no ${name}.`);
  return value;
}

const deviceWords = /open (\S+) and enter the code CODE-\d+ \(or open (\S+)\)/;

function codeOf(program: Program): Promise<RegExpExecArray> {
  return eventually("a device code", () => deviceWords.exec(program.stderr) ?? undefined, 20_000);
}

function mustMatch(text: string, pattern: RegExp): RegExpExecArray {
  const found = pattern.exec(text);
  if (found === null) throw new Error(`${pattern} is not in: ${text}`);
  return found;
}
