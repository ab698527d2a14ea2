import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../src/logger.ts";
import type { LoginSession } from "../../src/session/login-session.ts";
import { sessionTools } from "../../src/tool/session-tools.ts";
import type { SignOutRevocation, ToolResult } from "../../src/tool/tool.ts";
import { createToolContext } from "../../src/tool/tool-context.ts";
import { createToolTable } from "../../src/tool/tool-table.ts";
import { canary, FakeCallHost, liveSession } from "../support/fake-call-host.ts";
import { ManualClock } from "../support/manual-clock.ts";

const table = createToolTable(sessionTools);
const validators = new AjvJsonSchemaValidator();

/** Runs a session tool and holds its structured content against its own output schema. */
async function run(name: string, host: FakeCallHost, clockNote?: string): Promise<ToolResult> {
  const tool = table.get(name);
  if (tool?.outputSchema === undefined) throw new Error(`${name} has no output schema.`);
  const services = { clock: new ManualClock(), logger: silentLogger, clockNote: () => clockNote };
  const result = await tool.run({}, createToolContext(host, [], services));
  const { type, ...keywords } = tool.outputSchema;
  expect(validators.getValidator({ type, ...keywords } as never)(result.structured)).toMatchObject({ valid: true });
  return result;
}

const textOf = (result: ToolResult): string => result.content.map((part) => (part.type === "text" ? part.text : "")).join("");
const hostOf = (changes: Partial<LoginSession> = {}): FakeCallHost => Object.assign(new FakeCallHost(), { session: liveSession(changes) });

describe("session tools", () => {
  it("are whoami, session_status and sign_out, with titles, schemas and hints", () => {
    expect([...table.keys()]).toEqual(["whoami", "session_status", "sign_out"]);
    for (const tool of table.values()) expect(tool).toMatchObject({ title: expect.any(String), outputSchema: { type: "object" } });
    expect(table.get("whoami")?.annotations?.readOnlyHint).toBe(true);
    expect(table.get("session_status")?.annotations?.readOnlyHint).toBe(true);
    expect(table.get("sign_out")?.annotations).toMatchObject({ readOnlyHint: false, destructiveHint: true });
  });

  it("whoami tells the user of this connection's login session, and no field that nobody knows", async () => {
    expect((await run("whoami", hostOf())).structured).toEqual({
      issuer: "https://as.example",
      subject: "alice",
      name: "Alice Adams",
      email: "alice@example.com",
    });
    const nameless = await run("whoami", hostOf({ profile: {} }));
    expect(Object.keys(nameless.structured ?? {})).toEqual(["issuer", "subject"]);
    expect(textOf(nameless)).toContain("You act for alice, signed in at https://as.example.");
    expect(nameless.content[0]).toEqual({ type: "text", text: JSON.stringify(nameless.structured, null, 2) });
  });

  it("session_status tells state, times and clients", async () => {
    const host = hostOf();
    host.seen = [
      { name: "inspector", version: "2", transport: "sse", lastSeenAt: 5_000 },
      { name: "agent", version: undefined, transport: "stdio", lastSeenAt: 6_000 },
    ];
    const result = await run("session_status", host);
    expect(result.structured).toEqual({
      login: "ls_alice",
      state: "live",
      accessTokenExpiresAt: "1970-01-01T00:00:30.000Z",
      lastRefreshAt: "1970-01-01T00:00:01.000Z",
      nextRefreshAt: "1970-01-01T00:00:20.000Z",
      clients: [
        { name: "inspector", version: "2", transport: "sse", lastSeenAt: "1970-01-01T00:00:05.000Z" },
        { name: "agent", transport: "stdio", lastSeenAt: "1970-01-01T00:00:06.000Z" },
      ],
    });
    expect(textOf(result)).toContain("inspector 2 over sse");
  });

  it("session_status says that the machine's clock is wrong (core.md, section 7)", async () => {
    const note = "The clock of Latchkey's machine is 3600 s ahead of that of https://as.example.";
    const result = await run("session_status", hostOf(), note);
    expect(result.structured).toMatchObject({ state: "live", clock: note });
    expect(textOf(result)).toContain(note);
  });

  it("session_status says what is wrong and promises no refresh of a login session that is over", async () => {
    const failing = await run("session_status", hostOf({ health: { failures: 3, refusals: 0, lastFailure: { kind: "not_sent", at: 1 } } }));
    expect(failing.structured).toMatchObject({ note: expect.stringContaining("3 refreshes failed (not_sent)") });
    const uncertain = await run("session_status", hostOf({ state: "uncertain" }));
    expect(uncertain.structured).toMatchObject({ state: "uncertain", note: expect.stringContaining("lost") });
    const over = { accessTokens: [], refreshToken: undefined, nextDueAt: 99_000 };
    const required = await run("session_status", hostOf({ ...over, state: "login_required", reason: { code: "grant_dead", at: 1 } }));
    expect(required.structured).toMatchObject({ state: "login_required", reason: "grant_dead", note: expect.stringContaining("sign in") });
    expect(required.structured).not.toHaveProperty("nextRefreshAt");
    const ended = await run("session_status", hostOf({ ...over, state: "ended", reason: { code: "logout", at: 1 } }));
    expect(ended.structured).not.toHaveProperty("accessTokenExpiresAt");
  });

  it("session_status takes the newest snapshot at each call", async () => {
    const host = hostOf();
    const context = createToolContext(host, [], { clock: new ManualClock(), logger: silentLogger });
    host.session = liveSession({ state: "refreshing" });
    expect((await context.status()).state).toBe("refreshing");
  });

  it("sign_out tells what became of the tokens, for each way it can go", async () => {
    const texts = new Set<string>();
    for (const revocation of ["pending", "done", "shared", "unsupported"] satisfies SignOutRevocation[]) {
      const result = await run("sign_out", Object.assign(new FakeCallHost(), { revocation }));
      expect(result.structured).toEqual({ state: "ended", revocation });
      texts.add(textOf(result));
    }
    expect(texts.size).toBe(4);
  });

  it("give no token and no internal id away (B10)", async () => {
    for (const name of table.keys()) {
      const said = JSON.stringify(await run(name, hostOf()));
      expect(said).not.toContain(canary);
      expect(said).not.toContain("internal-id");
    }
  });
});

describe("createToolContext", () => {
  it("hands progress and log lines on to the connection", () => {
    const host = new FakeCallHost();
    const context = createToolContext(host, [], { clock: new ManualClock(), logger: silentLogger });
    context.progress(1, 2, "half");
    context.log("said", { a: 1 });
    expect(host.progressed).toEqual([{ progress: 1, total: 2, message: "half" }]);
    expect(host.logged).toEqual([{ message: "said", fields: { a: 1 } }]);
    expect(context.signal).toBe(host.signal);
  });

  it("holds no access token where a tool could see it (B11)", () => {
    const context = createToolContext(new FakeCallHost(), [], { clock: new ManualClock(), logger: silentLogger });
    expect(Object.keys(context).sort()).toEqual(["fetch", "log", "principal", "progress", "signOut", "signal", "status"]);
    expect(JSON.stringify(context)).not.toContain(canary);
  });
});

describe("createToolTable", () => {
  it("refuses names that MCP does not allow and names that two tools share, all at once", () => {
    const [whoami] = sessionTools;
    if (whoami === undefined) throw new Error("There is no tool.");
    expect(() => createToolTable([...sessionTools, whoami, { ...whoami, name: "a b" }, { ...whoami, name: "" }])).toThrow(
      expect.objectContaining({
        code: "configuration_invalid",
        details: { problems: ['two tools are named "whoami"', expect.stringContaining('"a b"'), expect.stringContaining('""')] },
      }),
    );
  });
});
