import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { startDemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { listen } from "../../src/http/listen.ts";
import { run } from "./fake-io.ts";

interface Found {
  readonly checks: readonly { readonly name: string; readonly status: string; readonly detail: string; readonly remedy?: string }[];
}

function aFolder(issuer: string, more: Readonly<Record<string, unknown>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-doctor-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const main = { issuer, clientId: "c", clientSecret: "canary-4711" };
  const config = { authorizationServers: { main }, store: { file: join(folder, "data", "latchkey.db") }, server: { port: 0 }, ...more };
  writeFileSync(join(folder, "latchkey.config.json"), JSON.stringify(config));
  const call = (...argv: string[]) => run(argv, { cwd: folder });
  const doctor = async (...argv: string[]) => {
    const { exitCode, stdout } = await call("doctor", "--json", ...argv);
    const { checks }: Found = JSON.parse(stdout);
    return { exitCode, stdout, found: (name: string) => checks.find((check) => check.name === name), checks };
  };
  return { folder, call, doctor };
}

async function anIssuer(): Promise<string> {
  const server = await startDemoAuthorizationServer({ redirectUris: ["http://127.0.0.1:9/callback"] });
  onTestFinished(() => server.close());
  return server.issuer;
}

test("all is well with a real authorization server and a store, and no secret is shown (B10)", async () => {
  const { folder, call, doctor } = aFolder(await anIssuer());
  await call("store", "migrate");
  chmodSync(join(folder, "data"), 0o700);
  const { exitCode, checks, stdout } = await doctor();
  expect(checks.map(({ name, status }) => `${status} ${name}`)).toEqual([
    "ok node",
    "ok configuration",
    "ok authorization server main",
    "ok clock of main",
    "ok store",
    "ok sealing key",
    "ok port",
  ]);
  expect(exitCode).toBe(0);
  expect(stdout).toContain("since sealing.keys is not set");
  const text = await call("doctor");
  expect(text.stdout.split("\n")).toHaveLength(checks.length + 1);
  expect(stdout + text.stdout + text.stderr).not.toContain("canary");
});

test("an authorization server that is away fails, and the store that is not there yet is a warning", async () => {
  const gone = await listen({ host: "127.0.0.1", port: 0, clock: systemClock });
  await gone.close(0);
  const { exitCode, found } = await aFolder(gone.url).doctor("--profile", "work");
  expect(exitCode).toBe(1);
  expect(found("authorization server main")).toMatchObject({ status: "fail", remedy: expect.stringContaining("can reach it") });
  expect(found("store")).toMatchObject({ status: "warn", detail: expect.stringContaining("latchkey store migrate") });
  expect(found("profile work")).toMatchObject({ status: "warn", remedy: "Run: latchkey login --profile work" });
});

test("a Node.js that is too old fails", async () => {
  const { folder } = aFolder("https://login.example.com", { strore: {} });
  for (const [nodeVersion, line] of [
    ["22.18.9", "fail  node: "],
    ["22.19.0", "ok    node: "],
    ["24.0.0", "ok    node: "],
  ] as const)
    expect((await run(["doctor"], { cwd: folder, nodeVersion })).stdout.startsWith(line)).toBe(true);
});

test("a wrong configuration is told with all its problems", async () => {
  const { exitCode, checks } = await aFolder("https://login.example.com", { server: { prot: 1 }, strore: {} }).doctor();
  expect(exitCode).toBe(1);
  expect(checks.filter(({ name, status }) => name === "configuration" && status === "fail")).toHaveLength(2);
});

test("a key file that others may read fails, a folder that they may enter is a warning (F37)", async () => {
  const { folder, call, doctor } = aFolder(await anIssuer());
  await call("store", "migrate");
  chmodSync(join(folder, "data"), 0o755);
  const open = await doctor();
  expect(open.found("sealing key")).toMatchObject({ status: "warn", remedy: `Run: chmod 700 ${join(folder, "data")}` });
  expect(open.exitCode).toBe(0);
  chmodSync(join(folder, "data", "sealing-keys.json"), 0o644);
  const { exitCode, found } = await doctor();
  expect(exitCode).toBe(1);
  expect(found("sealing key")).toMatchObject({ status: "fail", detail: expect.stringContaining("sealing-keys.json") });
});

test("a taken port is a warning, since serve may have it, and a clock that is far away too", async () => {
  const yesterday = new Date(Date.now() - 86_400_000).toUTCString();
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json", date: yesterday });
    response.end(JSON.stringify(metadata));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const issuer = `http://127.0.0.1:${port}`;
  const metadata = {
    issuer,
    authorization_endpoint: `${issuer}/a`,
    token_endpoint: `${issuer}/t`,
    jwks_uri: `${issuer}/k`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    code_challenge_methods_supported: ["S256"],
  };
  const { exitCode, found } = await aFolder(issuer, { server: { port }, store: { type: "memory" } }).doctor();
  expect(found("authorization server main")).toMatchObject({ status: "ok" });
  expect(found("clock of main")).toMatchObject({ status: "warn" });
  expect(found("port")).toMatchObject({ status: "warn", remedy: expect.stringContaining("latchkey serve") });
  expect(exitCode).toBe(0);
});
