import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseFields } from "../support/e2e-json.ts";
import { Program } from "../support/e2e-process.ts";
import { findHistoryFaults } from "../support/e2e-token-history.ts";
import { breath } from "../support/e2e-wait.ts";
import { type AtEnd, World } from "../support/e2e-world.ts";

async function configFile(atEnd: AtEnd, config: unknown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "latchkey-e2e-"));
  atEnd(() => rm(folder, { recursive: true }));
  const file = join(folder, "latchkey.config.json");
  await writeFile(file, JSON.stringify(config));
  return file;
}

describe.concurrent("a configuration without room for a refresh", () => {
  const main = { issuer: "http://127.0.0.1:9", clientId: "latchkey", accessTokenLifetimeSeconds: 30, refreshTokenLifetimeSeconds: 30 };

  test("is refused by serve, with both values named and exit code 2 (R5)", async ({ onTestFinished }) => {
    const file = await configFile(onTestFinished, { authorizationServers: { main }, refresh: { timeoutSeconds: 20 } });
    const { code, stdout, stderr } = await Program.latchkey(onTestFinished, ["serve", "--config", file, "--port", "0"]).exit;
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("refresh after 15 s plus refresh.timeoutSeconds (20)");
    expect(stderr).toContain("must come before authorizationServers.main.refreshTokenLifetimeSeconds (30)");
  });

  test("is refused because of the heartbeat's interval, with all other problems at once (R5)", async ({ onTestFinished }) => {
    const config = { authorizationServers: { main }, heartbeat: { intervalSeconds: 25 }, apis: { notes: {} }, unheardOf: true };
    const file = await configFile(onTestFinished, config);
    const { code, stderr } = await Program.latchkey(onTestFinished, ["serve", "--config", file]).exit;
    expect(code).toBe(2);
    expect(stderr).toContain("heartbeat.intervalSeconds (25)");
    expect(stderr).toContain("authorizationServers.main.refreshTokenLifetimeSeconds (30)");
    expect(stderr).toContain("apis.notes.baseUrl");
    expect(stderr).toContain("unheardOf");
  });

  test("is refused by the demo, and 30 s of refresh token is room enough for 30 s of access token (R5)", async ({ onTestFinished }) => {
    const lives = (refreshTokenSeconds: number) => ["--access-token-seconds", "30", "--refresh-token-seconds", String(refreshTokenSeconds)];
    const refused = await Program.latchkey(onTestFinished, ["demo", "--port", "0", ...lives(5)]).exit;
    expect({ code: refused.code, stdout: refused.stdout }).toEqual({ code: 2, stdout: "" });
    expect(refused.stderr).toContain("--refresh-token-seconds (5)");

    const demo = Program.latchkey(onTestFinished, ["demo", "--port", "0", ...lives(30)]);
    const [line = ""] = await demo.says(/^\{.*\}$/m);
    const ready = parseFields(line);
    expect(ready).toMatchObject({ ready: true, url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/), pid: demo.child.pid });
    expect((await fetch(`${ready.url}/health/ready`)).status).toBe(200);
    demo.child.kill("SIGTERM");
    expect((await demo.exit).code).toBe(0);
    expect(demo.stdout).toBe(`${line}\n`);
  });
});

describe.concurrent("refresh tokens that live no longer than access tokens", () => {
  test("are refreshed in time, call after call (R5, I14)", { timeout: 30_000 }, async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 6, refreshTokenSeconds: 6 });
    const user = await world.signIn("walter");
    const client = await world.connect("http", user);
    const end = performance.now() + 8_000;
    for (; performance.now() < end; await breath()) expect(await client.notes()).toEqual([]);
    expect(world.refreshes("walter")).toBeGreaterThanOrEqual(2);
    expect(world.audit("login_required")).toEqual([]);
    expect(findHistoryFaults(world.events())).toEqual([]);
  });
});
