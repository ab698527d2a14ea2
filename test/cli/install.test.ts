import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { changeClientFile } from "../../src/local/client-file.ts";
import { type Outcome, run } from "./fake-io.ts";

const files = {
  "claude-desktop": ".config/Claude/claude_desktop_config.json",
  "claude-code": ".claude.json",
  cursor: ".cursor/mcp.json",
  vscode: ".config/Code/User/mcp.json",
};
type Client = keyof typeof files;
const clients: Client[] = ["claude-desktop", "claude-code", "cursor", "vscode"];
const command = "/opt/node/bin/node";
let home = "";
let config = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "latchkey-install-"));
  config = join(home, "latchkey.config.json");
  writeFileSync(config, JSON.stringify({ authorizationServers: { main: { issuer: "https://login.example.com", clientId: "latchkey" } } }));
});
afterEach(() => rmSync(home, { recursive: true }));

const at = (client: Client): string => join(home, files[client]);
const call = (argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
  run(argv, { cwd: home, homeDirectory: home, env });
const text = (client: Client): string => readFileSync(at(client), "utf8");
function give(client: Client, content: string, mode = 0o640): void {
  mkdirSync(dirname(at(client)), { recursive: true });
  writeFileSync(at(client), content);
  chmodSync(at(client), mode);
}
const backups = (client: Client): readonly string[] => readdirSync(dirname(at(client))).filter((name) => name.endsWith(".bak"));
/** Files beside the client's own that are neither a backup nor were there before. */
const leftovers = (client: Client): readonly string[] =>
  readdirSync(dirname(at(client))).filter((name) => /json\.[0-9a-f]{12}$/.test(name));

/** A file with what people have in it: comments, tabs, another server with a secret. */
const commented = `{
	// my servers
	"inputs": [],
	"servers": {
		"other": { "command": "x", "env": { "TOKEN": "very-secret" } }, /* keep */
		"last": {"url":"https://example.com"}
	}
}
`;

describe("install", () => {
  test.each(clients)("makes the file of %s with absolute paths, private, and does nothing the second time", async (client) => {
    const first = await call(["install", client, "--config", "latchkey.config.json"]);
    expect(first).toMatchObject({ exitCode: 0, stderr: "" });
    expect(first.stdout).toContain(at(client));
    const section = client === "vscode" ? "servers" : "mcpServers";
    const type = client === "vscode" || client === "claude-code" ? { type: "stdio" } : {};
    const args = ["/opt/latchkey/bin/latchkey.js", "stdio", "--config", config];
    expect(JSON.parse(text(client))).toEqual({ [section]: { latchkey: { ...type, command, args } } });
    expect(statSync(at(client)).mode & 0o777).toBe(0o600);
    const written = text(client);
    const second = await call(["install", client]);
    expect(second).toEqual({ exitCode: 0, stdout: expect.stringContaining("nothing was changed"), stderr: "" });
    expect(text(client)).toBe(written);
    expect([...backups(client), ...leftovers(client)]).toEqual([]);
  });

  test("keeps every byte of the rest, comments, tabs and mode, and a copy; uninstall puts it back to the byte", async () => {
    give("vscode", commented);
    expect((await call(["install", "vscode", "--profile", "work"])).exitCode).toBe(0);
    const after = text("vscode");
    const [start = "", end = ""] = commented.split(/(?<=example\.com"\})/);
    expect(after.startsWith(start)).toBe(true);
    expect(after.endsWith(end)).toBe(true);
    expect(after).toContain('\n\t\t"latchkey-work": {\n\t\t\t"type": "stdio",');
    expect(after).toContain('"--profile",');
    expect(statSync(at("vscode")).mode & 0o777).toBe(0o640);
    expect(backups("vscode")).toHaveLength(1);
    const backup = join(dirname(at("vscode")), backups("vscode")[0] ?? "");
    expect(readFileSync(backup, "utf8")).toBe(commented);
    expect(statSync(backup).mode & 0o777).toBe(0o640);
    expect((await call(["uninstall", "vscode", "--profile", "work"])).exitCode).toBe(0);
    expect(text("vscode")).toBe(commented);
    expect(backups("vscode")).toHaveLength(2);
    expect(leftovers("vscode")).toEqual([]);
  });

  test("keeps Windows line ends and a byte order mark", async () => {
    give("cursor", '\uFEFF{\r\n    "mcpServers": {}\r\n}\r\n');
    expect((await call(["install", "cursor"])).exitCode).toBe(0);
    expect(text("cursor")).toMatch(/^\uFEFF\{\r\n {4}"mcpServers"/);
    expect(text("cursor").replaceAll("\r\n", "")).not.toContain("\n");
  });

  test("brings stale paths up to date, and keeps what the user added to the entry", async () => {
    const stale = { command: "/old/node", args: ["/old/latchkey.js", "stdio"], env: { CLIENT_SECRET: "s" }, disabled: true };
    give("cursor", JSON.stringify({ mcpServers: { latchkey: stale } }));
    const { stdout } = await call(["install", "cursor", "--print"]);
    expect(stdout).toContain('-   "command": "/old/node",');
    expect(stdout).toContain(`+   "command": "${command}",`);
    expect(stdout).toContain('"CLIENT_SECRET": "(set)"');
    await call(["install", "cursor"]);
    const args = ["/opt/latchkey/bin/latchkey.js", "stdio", "--config", config];
    expect(JSON.parse(text("cursor")).mcpServers.latchkey).toEqual({ ...stale, command, args });
  });

  test("hands the data folder on, and names the variables that a client would not have", async () => {
    const server = { issuer: "https://login.example.com", clientId: "a", clientSecret: "${CLIENT_SECRET}" };
    writeFileSync(config, JSON.stringify({ authorizationServers: { main: server } }));
    const { exitCode, stderr } = await call(["install", "cursor"], { LATCHKEY_DATA_DIR: "data", CLIENT_SECRET: "very-secret" });
    expect(exitCode).toBe(0);
    expect(stderr).toContain("takes CLIENT_SECRET from the environment");
    expect(JSON.parse(text("cursor")).mcpServers.latchkey.env).toEqual({ LATCHKEY_DATA_DIR: join(home, "data") });
    expect(stderr + text("cursor")).not.toContain("very-secret");
  });

  test("--print writes nothing, and shows nothing of other entries", async () => {
    give("vscode", commented);
    const { exitCode, stdout } = await call(["install", "vscode", "--print"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`+   "command": "${command}",`);
    expect(stdout).not.toMatch(/very-secret|other/);
    expect(text("vscode")).toBe(commented);
    expect((await call(["install", "claude-desktop", "--print"])).exitCode).toBe(0);
    expect(readdirSync(join(home, ".config"))).toEqual(["Code"]);
    expect([...backups("vscode"), ...leftovers("vscode")]).toEqual([]);
  });

  test("follows a link, and leaves it one", async () => {
    const real = join(home, "dotfiles.json");
    writeFileSync(real, "{}");
    symlinkSync(real, at("claude-code"));
    expect((await call(["install", "claude-code"])).exitCode).toBe(0);
    expect(lstatSync(at("claude-code")).isSymbolicLink()).toBe(true);
    expect(JSON.parse(readFileSync(real, "utf8"))).toHaveProperty("mcpServers.latchkey");
  });

  test.each([
    ["a file that is cut off", '{ "mcpServers": {', "no JSON that Claude Desktop can read"],
    [
      "a comment that the client cannot read",
      '{ /* x */ "mcpServers": {} }',
      "no JSON that Claude Desktop can read (InvalidCommentToken at line 1, column 3)",
    ],
    ["a list", "[]", "no object at its top level"],
    ["servers that are no object", '{ "mcpServers": [] }', '"mcpServers" in it is no object'],
    ["servers twice", '{ "mcpServers": {}, "mcpServers": {} }', 'The key "mcpServers" is in it twice'],
    ["an entry of somebody else", '{ "mcpServers": { "latchkey": { "url": "https://x" } } }', "does not start latchkey stdio"],
  ])("refuses %s, and leaves it as it is", async (_, content, problem) => {
    give("claude-desktop", content);
    for (const name of ["install", "uninstall"]) {
      const { exitCode, stdout, stderr } = await call([name, "claude-desktop"]);
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
      expect(stderr).toContain(problem);
      expect(stderr).toContain(at("claude-desktop"));
      expect(text("claude-desktop")).toBe(content);
    }
    expect([...backups("claude-desktop"), ...leftovers("claude-desktop")]).toEqual([]);
  });

  test("refuses a link to nowhere and a folder in the file's place", async () => {
    symlinkSync(join(home, "nowhere"), at("claude-code"));
    expect((await call(["install", "claude-code"])).stderr).toContain("is a link to a file that does not exist");
    mkdirSync(at("cursor"), { recursive: true });
    expect((await call(["install", "cursor"])).stderr).toContain("(EISDIR)");
  });

  test("refuses an unknown client, and a configuration that is not there", async () => {
    const unknown = await call(["install", "cursr"]);
    expect(unknown.exitCode).toBe(2);
    expect(unknown.stderr).toContain('Did you mean "cursor"?');
    expect((await call(["uninstall"])).stderr).toContain("say which client: claude-desktop, claude-code, cursor or vscode.");
    const missing = await call(["install", "cursor", "--config", "none.json"]);
    expect(missing.exitCode).toBe(2);
    expect(missing.stderr).toContain(join(home, "none.json"));
    expect(readdirSync(home)).toEqual(["latchkey.config.json"]);
  });

  test("loses nothing that the client writes meanwhile", () => {
    give("claude-code", "1");
    const seen: string[] = [];
    const edit = (old: string) => {
      seen.push(old);
      if (seen.length === 1) writeFileSync(at("claude-code"), "2");
      return { kind: "changed" as const, text: `${old} and ours`, before: undefined, after: {} };
    };
    expect(changeClientFile({ path: at("claude-code"), edit, write: true, now: 0 }).kind).toBe("changed");
    expect(seen).toEqual(["1", "2"]);
    expect(text("claude-code")).toBe("2 and ours");
    expect(leftovers("claude-code")).toEqual([]);
  });
});

test("uninstall without an entry, or without a file, changes nothing", async () => {
  give("vscode", commented);
  for (const client of ["vscode", "cursor"])
    expect(await call(["uninstall", client])).toEqual({ exitCode: 0, stdout: expect.stringContaining("nothing was changed"), stderr: "" });
  expect(text("vscode")).toBe(commented);
  expect(readdirSync(home).sort()).toEqual([".config", "latchkey.config.json"]);
});
