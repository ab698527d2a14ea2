import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { describe, expect, test, vi } from "vitest";
import { Program } from "../support/e2e-process.ts";
import { connectStdio } from "../support/e2e-stdio.ts";
import type { AtEnd } from "../support/e2e-world.ts";

// Each starts programs of its own, at one time with all the others.
vi.setConfig({ testTimeout: 60_000 });

describe.concurrent("latchkey stdio --demo", () => {
  test("acts for the user that it was started as, each process for its own (R9)", async ({ onTestFinished }) => {
    const users = ["alice", "yvonne"];
    const clients = await Promise.all(users.map((user) => connectStdio(onTestFinished, ["stdio", "--demo", "--as", user])));
    expect(await Promise.all(clients.map(({ client }) => client.whoami()))).toEqual(users);
    for (const [index, { client }] of clients.entries()) await client.mustCall("add_note", { text: `of ${users[index]}` });
    expect(await Promise.all(clients.map(({ client }) => client.notes()))).toEqual(users.map((user) => [`of ${user}`]));
  });

  test("says nothing but MCP on stdout, ends with 0 at the end of stdin, and its log is JSON without a token (B10)", async ({
    onTestFinished,
  }) => {
    const program = Program.latchkey(onTestFinished, ["stdio", "--demo", "--as", "zoe"]);
    const initialize = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "0" } };
    const send = (message: object): void => void program.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    send({ id: 1, method: "initialize", params: initialize });
    await program.says(/"id":1/);
    send({ method: "notifications/initialized" });
    send({ id: 2, method: "tools/call", params: { name: "whoami", arguments: {} } });
    send({ id: 3, method: "tools/call", params: { name: "list_notes", arguments: {} } });
    await program.says(/"id":3/);
    program.child.stdin.end();
    const { code, stdout, stderr } = await program.exit;
    expect(code).toBe(0);
    const messages: unknown[] = linesOf(stdout).map((line) => JSON.parse(line));
    expect(messages).toHaveLength(3);
    for (const message of messages) expect(message).toMatchObject({ jsonrpc: "2.0", result: expect.any(Object) });
    expect(stdout).toContain('"subject":"zoe"');
    for (const line of linesOf(stderr)) expect(JSON.parse(line)).toMatchObject({ time: expect.any(String), level: expect.any(String) });
    // A JWT begins like this; the access token and the ID token are some.
    expect(stdout + stderr).not.toMatch(/eyJ[\w-]{10,}/);
  });

  test("signs out at the authorization server and stays, to say what is to be done", async ({ onTestFinished }) => {
    const { client } = await connectStdio(onTestFinished, ["stdio", "--demo"]);
    expect((await client.mustCall("sign_out")).structured).toMatchObject({ state: "ended" });
    const { error, text } = await client.call("list_notes");
    expect(error).toMatchObject({ code: "login_ended", reason: "logout", retryable: false });
    expect(text).toContain("Sign in again");
  });
});

describe.concurrent("latchkey stdio in the modern era, from the SDK's own client", () => {
  const connect = async (atEnd: AtEnd, args: readonly string[]): Promise<Client> => {
    const client = new Client({ name: "modern", version: "1" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    const bin = join(import.meta.dirname, "..", "..", "bin", "latchkey.js");
    await client.connect(new StdioClientTransport({ command: process.execPath, args: [bin, "stdio", ...args], stderr: "ignore" }));
    atEnd(() => client.close());
    return client;
  };

  test("acts for the user that it was started as, and is seen as a client of the login session (R9)", async ({ onTestFinished }) => {
    const client = await connect(onTestFinished, ["--demo", "--as", "xenia"]);
    expect((await client.callTool({ name: "whoami" })).structuredContent).toMatchObject({ subject: "xenia" });
    expect((await client.callTool({ name: "add_note", arguments: { text: "modern" } })).isError).not.toBe(true);
    expect((await client.callTool({ name: "session_status" })).structuredContent).toMatchObject({ clients: [{ name: "modern" }] });
    expect((await client.callTool({ name: "sign_out" })).structuredContent).toMatchObject({ state: "ended" });
    expect(await client.callTool({ name: "list_notes" })).toMatchObject({
      isError: true,
      _meta: { "latchkey/error": { code: "login_ended" } },
    });
  });

  test("is told of a wrong configuration through MCP (R5)", async ({ onTestFinished }) => {
    const client = await connect(onTestFinished, ["--config", join(tmpdir(), "latchkey-no-such-file.json")]);
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain("whoami");
    const refused = await client.callTool({ name: "session_status" });
    expect(refused).toMatchObject({ isError: true, _meta: { "latchkey/error": { code: "configuration_invalid" } } });
  });
});

describe.concurrent("latchkey stdio with a wrong configuration", () => {
  test("tells all problems through MCP, to a client that would not show a silent exit (R5)", async ({ onTestFinished }) => {
    const folder = await mkdtemp(join(tmpdir(), "latchkey-e2e-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "latchkey.config.json");
    const main = { issuer: "http://127.0.0.1:9", clientId: "latchkey", refreshTokenLifetimeSeconds: 5 };
    await writeFile(file, JSON.stringify({ authorizationServers: { main }, sesion: {} }));
    const { client, exit } = await connectStdio(onTestFinished, ["stdio", "--config", file]);
    expect((await client.client.listTools()).tools.map(({ name }) => name)).toContain("whoami");
    const { isError, text, error } = await client.call("whoami");
    expect(isError).toBe(true);
    expect(error).toMatchObject({ code: "configuration_invalid" });
    expect(text).toContain("authorizationServers.main.refreshTokenLifetimeSeconds (5)");
    expect(text).toContain("sesion");
    await client.close();
    expect(await exit()).toBe(2);
  });
});

function linesOf(text: string): readonly string[] {
  return text.split("\n").filter((line) => line !== "");
}
