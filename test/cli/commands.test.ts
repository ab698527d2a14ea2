import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { CommandIo, ExitCode } from "../../src/cli/command.ts";
import { commandNames, loadCommand } from "../../src/cli/commands.ts";
import type { DemoOptions, ServeOptions, StdioOptions } from "../../src/cli/run-options.ts";
import { sound, withServer } from "../config/loading.ts";
import { run } from "./fake-io.ts";

// What the commands start is not started here: these tests are about what is handed to it.
const runDemo = vi.hoisted(() => vi.fn<(options: DemoOptions, io: CommandIo) => Promise<ExitCode>>(async () => 0));
const runServe = vi.hoisted(() => vi.fn<(options: ServeOptions, io: CommandIo) => Promise<ExitCode>>(async () => 0));
const runStdio = vi.hoisted(() => vi.fn<(options: StdioOptions, io: CommandIo) => Promise<ExitCode>>(async () => 0));
vi.mock("../../src/cli/run-demo.ts", () => ({ runDemo }));
vi.mock("../../src/cli/run-serve.ts", () => ({ runServe }));
vi.mock("../../src/cli/run-stdio.ts", () => ({ runStdio }));

const allCommands = ["demo", "serve", "stdio", "login", "logout", "status", "install", "uninstall", "config", "store", "keys", "doctor"];
const version: unknown = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")).version;
let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "latchkey-cli-"));
  for (const mock of [runDemo, runServe, runStdio]) mock.mockClear();
});
afterEach(() => rmSync(directory, { recursive: true }));

function writeConfig(config: unknown, name = "latchkey.config.json"): void {
  writeFileSync(join(directory, name), typeof config === "string" ? config : JSON.stringify(config));
}

describe("help and version", () => {
  test.each([["version"], ["--version"], ["-v"]])("%s writes the version and nothing else", async (argument) => {
    expect(await run([argument])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
  });

  test.each([["help"], ["--help"], ["-h"]])("%s lists every command of this version", async (argument) => {
    const { exitCode, stdout, stderr } = await run([argument]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout.match(/^ {2}[a-z]+ +(?=[A-Z])/gm)?.map((line) => line.trim())).toEqual([...commandNames]);
  });

  test.each(allCommands)("%s --help says how to use it, with an example that it understands", async (name) => {
    const asked = await run([name, "--help"]);
    expect(asked).toEqual({ exitCode: 0, stdout: expect.stringContaining(`Usage: latchkey ${name}`), stderr: "" });
    expect((await run(["help", name])).stdout).toBe(asked.stdout);
    expect(asked.stdout.startsWith(`latchkey ${name}: `)).toBe(true);
    const example = /\nExample:\n {2}latchkey (.+)\n$/.exec(asked.stdout)?.[1] ?? "";
    const { stderr } = await run(example.split(/ >/)[0]?.split(" ") ?? [], { cwd: directory });
    expect(stderr).not.toContain("Try:");
  });

  test("no command has the help of another, and each command has a line of its own", async () => {
    const commands = await Promise.all(allCommands.map((name) => loadCommand(name)));
    expect(new Set(commands.map((command) => command?.help)).size).toBe(allCommands.length);
    expect(await loadCommand("toString")).toBeUndefined();
  });
});

describe("wrong usage ends with 2 and says everything that is wrong, on stderr", () => {
  test.each([
    [[], "latchkey: say which command to run.\nTry: latchkey help\n"],
    [["dmeo"], 'latchkey: "dmeo" is no command. Did you mean "demo"?\nTry: latchkey help\n'],
    [["frobnicate"], 'latchkey: "frobnicate" is no command.\nTry: latchkey help\n'],
    [["toString"], 'latchkey: "toString" is no command.\nTry: latchkey help\n'],
    [["--port", "1"], "latchkey: --port must come after the command's name.\nTry: latchkey help\n"],
    [["version", "now"], 'latchkey: "now" is one argument too many: remove it.\nTry: latchkey help\n'],
    [["help", "dmeo"], 'latchkey: there is no help about "dmeo". Did you mean "demo"?\nTry: latchkey help\n'],
    [["doctor", "--jsno"], 'latchkey doctor: --jsno is no known option. Did you mean "--json"?\nTry: latchkey doctor --help\n'],
    [
      ["login", "--profile", "a b", "now"],
      'latchkey login: "now" is one argument too many: remove it.\nlatchkey login: --profile takes 1 to 64 letters, digits, "_" and "-", not "a b".\nTry: latchkey login --help\n',
    ],
    [["logout", "--json"], "latchkey logout: --json is no known option.\nTry: latchkey logout --help\n"],
    [["status", "--profile="], "latchkey status: --profile needs a value: --profile NAME.\nTry: latchkey status --help\n"],
    [["demo", "--prot", "1"], 'latchkey demo: --prot is no known option. Did you mean "--port"?\nTry: latchkey demo --help\n'],
    [
      ["demo", "--port", "65534", "--access-token-seconds=1", "--state-dir", "--refresh-token-seconds", "now", "more"],
      'latchkey demo: --port must be a whole number from 0 to 65533, not "65534".\n' +
        'latchkey demo: --access-token-seconds must be a whole number from 5 to 86400, not "1".\n' +
        "latchkey demo: --state-dir needs a value: --state-dir DIR.\n" +
        'latchkey demo: "now" is one argument too many: remove it.\n' +
        'latchkey demo: "more" is one argument too many: remove it.\n' +
        "Try: latchkey demo --help\n",
    ],
    [["demo", "--port", "1", "--port", "2"], "latchkey demo: --port is given twice: remove one.\nTry: latchkey demo --help\n"],
    [["demo", "--port"], "latchkey demo: --port needs a value: --port N.\nTry: latchkey demo --help\n"],
    [["demo", "--port="], "latchkey demo: --port needs a value: --port N.\nTry: latchkey demo --help\n"],
    [["demo", "--port", "0x10"], 'latchkey demo: --port must be a whole number from 0 to 65533, not "0x10".\nTry: latchkey demo --help\n'],
    [["serve", "-p", "1"], "latchkey serve: -p is no known option.\nTry: latchkey serve --help\n"],
    [["stdio", "--as", "bob"], "latchkey stdio: --as works with --demo only.\nTry: latchkey stdio --help\n"],
    [
      ["stdio", "--demo=yes", "--config", "x", "--profile", "a b", "--as", "bob smith"],
      "latchkey stdio: --demo takes no value.\n" +
        "latchkey stdio: --demo has a configuration of its own: remove --config.\n" +
        "latchkey stdio: --demo signs in by itself: remove --profile, or say who with --as NAME.\n" +
        'latchkey stdio: --as takes 1 to 64 letters, digits and . _ @ -, not "bob smith".\n' +
        'latchkey stdio: --profile takes 1 to 64 letters, digits, "_" and "-", not "a b".\n' +
        "Try: latchkey stdio --help\n",
    ],
    [["config"], "latchkey config: say what to write: schema or print.\nTry: latchkey config --help\n"],
    [
      ["config", "shema"],
      'latchkey config: "shema" is unknown: say schema or print. Did you mean "schema"?\nTry: latchkey config --help\n',
    ],
    [
      ["config", "schema", "--config", "x"],
      "latchkey config: schema reads no configuration: remove --config.\nTry: latchkey config --help\n",
    ],
  ])("%j", async (argv, stderr) => {
    expect(await run(argv)).toEqual({ exitCode: 2, stdout: "", stderr });
  });
});

describe("demo", () => {
  test("has defaults, and a folder for its state per port", async () => {
    expect((await run(["demo"])).exitCode).toBe(0);
    expect(runDemo.mock.calls[0]?.[0]).toEqual({
      port: 8420,
      accessTokenSeconds: 30,
      refreshTokenSeconds: 600,
      stateDirectory: "/home/nobody/.local/state/latchkey/demo-8420",
    });
  });

  test("takes its options, and the state folder of XDG or of the command line", async () => {
    await run(["demo", "--port", "9000", "--access-token-seconds", "20", "--refresh-token-seconds=60"], {
      env: { XDG_STATE_HOME: "/state" },
    });
    await run(["demo", "--state-dir", "here"], { cwd: "/work" });
    await run(["demo"], { env: { XDG_STATE_HOME: "relative" } });
    const [first, second, third] = runDemo.mock.calls.map(([options]) => options);
    expect(first).toEqual({ port: 9000, accessTokenSeconds: 20, refreshTokenSeconds: 60, stateDirectory: "/state/latchkey/demo-9000" });
    expect(second?.stateDirectory).toBe("/work/here");
    expect(third?.stateDirectory).toBe("/home/nobody/.local/state/latchkey/demo-8420");
  });

  test("on free ports keeps nothing, since its issuer is another one at each start", async () => {
    await run(["demo", "--port", "0"]);
    expect(runDemo.mock.calls[0]?.[0]).toMatchObject({ port: 0, stateDirectory: undefined });
  });

  test("accepts 30 s refresh tokens with 30 s access tokens, and refuses lifetimes that leave no room (R5)", async () => {
    expect((await run(["demo", "--access-token-seconds", "30", "--refresh-token-seconds", "30"])).exitCode).toBe(0);
    expect(await run(["demo", "--access-token-seconds", "300", "--refresh-token-seconds", "30"])).toEqual({
      exitCode: 2,
      stdout: "",
      stderr:
        "latchkey demo: refresh after 15 s plus up to 20 s for the refresh itself must come before --refresh-token-seconds (30): let refresh tokens live longer.\nTry: latchkey demo --help\n",
    });
  });
});

describe("serve", () => {
  test("hands on the checked configuration, with host and port of the command line in it", async () => {
    writeConfig(sound({ server: { publicUrl: "https://latchkey.example.com" } }));
    expect(await run(["serve", "--port", "0", "--host", "0.0.0.0"], { cwd: directory })).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(runServe.mock.calls[0]?.[0].config.server).toMatchObject({
      port: 0,
      host: "0.0.0.0",
      publicUrl: "https://latchkey.example.com",
    });
  });

  test("reads the file that it is told to read", async () => {
    writeConfig(sound(), "other.json");
    expect((await run(["serve", "--config", "other.json"], { cwd: directory })).exitCode).toBe(0);
  });

  test("refuses a wrong configuration with all problems, those of tools and of the command line included, and never starts", async () => {
    writeConfig(
      withServer(
        { clientSecret: "${CLIENT_SECRET}" },
        {
          apis: { notes: { baseUrl: "https://notes.example.com" } },
          tools: [{ name: "get_note", description: "Reads.", api: "nodes", path: "/notes/{id}", headers: { Authorization: "Bearer x" } }],
        },
      ),
    );
    const file = join(directory, "latchkey.config.json");
    expect(await run(["serve", "--host", "0.0.0.0"], { cwd: directory })).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: `latchkey serve: the configuration has 5 problems:
  ${file}: authorizationServers.main.clientSecret needs the environment variable CLIENT_SECRET, which is not set: set it before the start
  ${file}: server.host ("0.0.0.0") is reachable from outside, so server.publicUrl must be set: the https origin that users and clients use
  ${file}: tools.get_note.api ("nodes") is no API. Did you mean "notes"?
  ${file}: tools.get_note.headers: "Authorization" is set by Latchkey alone
  ${file}: tools.get_note.path: the placeholder {id} has no property of that name in inputSchema
`,
    });
    expect(runServe).not.toHaveBeenCalled();
  });

  test("without a configuration says what is missing", async () => {
    const { exitCode, stderr } = await run(["serve"], { cwd: directory });
    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      `latchkey serve: the configuration has a problem:\n  The configuration needs the file ${directory}/latchkey.config.json, which does not exist: create it, or correct the path.\n`,
    );
  });
});

describe("stdio", () => {
  test("signs in alice with --demo, or whom it is told", async () => {
    await run(["stdio", "--demo"]);
    await run(["stdio", "--demo", "--as", "Dvořák.99"]);
    expect(runStdio.mock.calls.map(([options]) => options)).toEqual([
      { kind: "demo", user: "alice" },
      { kind: "demo", user: "Dvořák.99" },
    ]);
  });

  test("hands on a wrong configuration instead of refusing it: the client is told through MCP", async () => {
    writeConfig("{");
    expect((await run(["stdio", "--profile", "work"], { cwd: directory })).exitCode).toBe(0);
    expect(runStdio.mock.calls[0]?.[0]).toMatchObject({
      kind: "configured",
      profile: "work",
      loaded: { ok: false, problems: [expect.stringContaining("line 1")] },
    });
  });
});

describe("config", () => {
  test("schema writes the JSON Schema and nothing else", async () => {
    const { exitCode, stdout, stderr } = await run(["config", "schema"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ type: "object", additionalProperties: false });
  });

  test("print writes the configuration in force, without its secrets (B10)", async () => {
    writeConfig(withServer({ clientSecret: "${CLIENT_SECRET}" }));
    const { exitCode, stdout } = await run(["config", "print"], { cwd: directory, env: { CLIENT_SECRET: "canary-4711" } });
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ authorizationServers: { main: { clientSecret: "set" } }, server: { port: 8420 } });
    expect(stdout).not.toContain("canary");
  });

  test("print says on stderr which settings come from a preset, and why", async () => {
    writeConfig(withServer({ issuer: "https://acme.okta.com", prompt: "login" }));
    const { stdout, stderr } = await run(["config", "print"], { cwd: directory });
    expect(JSON.parse(stdout)).toMatchObject({
      authorizationServers: { main: { preset: "auto", prompt: "login", clientAssertionAudience: "token_endpoint" } },
    });
    expect(stderr).toBe(
      "authorizationServers.main: the preset okta (by the issuer, since authorizationServers.main.preset is auto) sets clientAssertionAudience.\n",
    );
  });

  test("print refuses a wrong one", async () => {
    writeConfig({});
    const { exitCode, stdout, stderr } = await run(["config", "print"], { cwd: directory });
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain("authorizationServers is missing");
  });
});
