import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkDirection } from "../../scripts/direction.ts";

const root = join(import.meta.dirname, "../..");
let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "latchkey-direction-"));
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  symlinkSync(join(root, "package.json"), join(directory, "package.json"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A source tree with these files; whatever they import beside is there as well. */
function plant(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}

const target = "export const value = 1;\nexport interface Shape { readonly value: number }\n";

describe("a planted violation is caught: ", () => {
  test.each([
    ["session uses token", "session", "token", 'import { value } from "../token/target.ts";', "arrow-session"],
    ["session uses a type of token", "session", "token", 'import type { Shape } from "../token/target.ts";', "arrow-session"],
    ["session uses a type of token among values", "session", "token", 'import { type Shape } from "../token/target.ts";', "arrow-session"],
    ["config passes something of http on", "config", "http", 'export { value } from "../http/target.ts";', "arrow-config"],
    ["config passes a type of http on", "config", "http", 'export type { Shape } from "../http/target.ts";', "arrow-config"],
    ["token passes all of oidc on", "token", "oidc", 'export * from "../oidc/target.ts";', "arrow-token"],
    ["store loads token later", "store", "token", 'export const later = () => import("../token/target.ts");', "arrow-store"],
    ["token uses heartbeat", "token", "heartbeat", 'import { value } from "../heartbeat/target.ts";', "arrow-token"],
    ["heartbeat uses oidc", "heartbeat", "oidc", 'import { value } from "../oidc/target.ts";', "arrow-heartbeat"],
    ["tool uses mcp", "tool", "mcp", 'import { value } from "../mcp/target.ts";', "arrow-tool"],
    ["mcp uses transport", "mcp", "transport", 'import { value } from "../transport/target.ts";', "arrow-mcp"],
    ["transport uses token", "transport", "token", 'import { value } from "../token/target.ts";', "arrow-transport"],
    ["http uses store", "http", "store", 'import { value } from "../store/target.ts";', "arrow-http"],
    ["http uses config", "http", "config", 'import { value } from "../config/target.ts";', "arrow-http"],
    ["demo uses session", "demo", "session", 'import { value } from "../session/target.ts";', "arrow-demo"],
    ["console uses http", "console", "http", 'import { value } from "../http/target.ts";', "arrow-console"],
    ["tool uses demo", "tool", "demo", 'import { value } from "../demo/target.ts";', "arrow-tool"],
    ["audit uses session", "audit", "session", 'import { value } from "../session/target.ts";', "arrow-audit"],
    ["oidc uses code of token", "oidc", "token", 'import { value } from "../token/target.ts";', "ports-oidc"],
    ["oidc uses code of token beside a type", "oidc", "token", 'import { type Shape, value } from "../token/target.ts";', "ports-oidc"],
    ["http uses a composition root", "http", "composition", 'import { value } from "../composition/target.ts";', "arrow-http"],
    ["an unknown folder", "helpers", "session", 'import { value } from "../session/target.ts";', "known-folders"],
  ])("%s", async (_name, from, to, line, rule) => {
    plant({ [`src/${from}/file.ts`]: `${line}\n`, [`src/${to}/target.ts`]: target });
    const { violations } = await checkDirection(directory);
    expect(violations).toContain(`${rule}: src/${from}/file.ts -> src/${to}/target.ts`);
  });

  test.each([
    ["openid-client", 'import { discovery } from "openid-client";', "token"],
    ["openid-client, its types", 'import type { Configuration } from "openid-client";', "token"],
    ["jose", 'import { jwtVerify } from "jose";', "session"],
    ["the MCP SDK", 'import { Server } from "@modelcontextprotocol/sdk/server/index.js";', "http"],
    ["hono", 'import { Hono } from "hono";', "mcp"],
    ["hono's adapter", 'import { serve } from "@hono/node-server";', "console"],
    ["async-mutex", 'import { Mutex } from "async-mutex";', "heartbeat"],
    ["oidc-provider", 'import Provider from "oidc-provider";', "oidc"],
    ["a development dependency", 'import fc from "fast-check";', "token"],
    ["process", 'import process from "node:process";', "token"],
    ["process, without its prefix", 'import { env } from "process";', "cli"],
    ["console", 'import { Console } from "node:console";', "session"],
    ["what does not exist", 'import { nothing } from "./nothing.ts";', "session"],
    ["a test", 'import { value } from "../../test/target.ts";', "session"],
  ])("%s outside its fence", async (_name, line, folder) => {
    plant({ [`src/${folder}/file.ts`]: `${line}\n`, "test/target.ts": target });
    const { violations } = await checkDirection(directory);
    expect(violations).toHaveLength(1);
  });

  test("a circle, even if it is of types", async () => {
    plant({
      "src/session/one.ts": 'import type { Two } from "./two.ts";\nexport interface One { readonly two: Two }\n',
      "src/session/two.ts": 'import type { One } from "./one.ts";\nexport interface Two { readonly one: One }\n',
    });
    const { violations } = await checkDirection(directory);
    expect(violations.filter((line) => line.startsWith("no-circle"))).not.toEqual([]);
  });

  test.each(['export type A = import("./target.ts").Shape;', 'export type A = typeof import("./target.ts");'])(
    "a type that is named in place, where the reader does not see it: %s",
    async (line) => {
      plant({ "src/session/file.ts": `${line}\n`, "src/session/target.ts": target });
      expect((await checkDirection(directory)).violations).toEqual(["type-in-place: src/session/file.ts -> ./target.ts"]);
    },
  );

  test("the kernel uses a folder", async () => {
    plant({ "src/clock.ts": 'import { value } from "./audit/target.ts";\n', "src/audit/target.ts": target });
    expect((await checkDirection(directory)).violations).toEqual(["kernel: src/clock.ts -> src/audit/target.ts"]);
  });
});

test("what is allowed is not complained about", async () => {
  plant({
    "src/main.ts": 'import process from "node:process";\nimport "./cli/file.ts";\nexport const argv = process.argv;\n',
    "src/cli/file.ts": 'import { value } from "../http/file.ts";\nexport { value };\n',
    "src/http/file.ts": 'import { Hono } from "hono";\nimport { value } from "../transport/file.ts";\nexport { Hono, value };\n',
    "src/transport/file.ts": 'export { value } from "../mcp/file.ts";\n',
    "src/mcp/file.ts": 'export { value } from "../tool/file.ts";\n',
    "src/tool/file.ts": 'export { value } from "../token/file.ts";\n',
    "src/token/file.ts":
      'import { Mutex } from "async-mutex";\nimport { event } from "../audit/file.ts";\nexport const value = [Mutex, event];\n',
    "src/oidc/file.ts":
      'import * as jose from "jose";\nimport type { Shape } from "../session/file.ts";\nexport const value: [unknown, Shape?] = [jose];\n',
    "src/session/file.ts": 'import { event } from "../audit/file.ts";\nexport interface Shape { readonly event: typeof event }\n',
    "src/audit/file.ts": 'import { now } from "../clock.ts";\nexport const event = now;\n',
    "src/clock.ts": "export const now = 1;\n",
  });
  expect(await checkDirection(directory)).toEqual({ modules: 11, violations: [] });
});

test("reads every file, and refuses to judge when it cannot", async () => {
  mkdirSync(join(directory, "src"));
  await expect(checkDirection(directory)).rejects.toThrow("missed 0 of 0 files");
  plant({ "src/session/file.ts": target, "src/token/deep/er/file.ts": target });
  expect(await checkDirection(directory)).toEqual({ modules: 2, violations: [] });
});

test("the project keeps to its arrows", async () => {
  const { modules, violations } = await checkDirection(root);
  expect(violations).toEqual([]);
  expect(modules).toBeGreaterThan(100);
});
