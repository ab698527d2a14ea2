import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadCommand } from "../../src/cli/commands.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

describe("mcp.config.json", () => {
  const { mcpServers } = JSON.parse(read("mcp.config.json"));

  test("has the three entries, in the words that the Inspector and Claude Code share", () => {
    expect(Object.keys(mcpServers)).toEqual(["latchkey-stdio", "latchkey-http", "latchkey-sse"]);
    expect(Object.values(mcpServers)).toMatchObject([
      { type: "stdio", command: "node" },
      { type: "http", url: "http://127.0.0.1:8420/mcp", headers: { Authorization: "Bearer lk_demo_alice" } },
      { type: "sse", url: "http://127.0.0.1:8420/sse", headers: { Authorization: "Bearer lk_demo_alice" } },
    ]);
  });

  test("starts a command that exists, with options that it has", async () => {
    const [file, command, ...options] = mcpServers["latchkey-stdio"].args;
    expect(existsSync(join(root, file))).toBe(true);
    const help = (await loadCommand(command))?.help ?? "";
    for (const option of options.filter((each: string) => each.startsWith("--"))) expect(help).toContain(option);
  });
});

describe("package.json", () => {
  const manifest = JSON.parse(read("package.json"));

  test("ships the entry file, which is executable and begins with node", () => {
    expect(manifest.bin).toEqual({ latchkey: "bin/latchkey.js" });
    expect(read("bin/latchkey.js").startsWith("#!/usr/bin/env node\n")).toBe(true);
    expect(statSync(join(root, "bin/latchkey.js")).mode & 0o111).not.toBe(0);
  });

  test("asks for the Node that the entry file asks for", () => {
    const lowest = /var lowest = \[(\d+), (\d+)\];/.exec(read("bin/latchkey.js"));
    expect(manifest.engines.node).toBe(`>=${lowest?.[1]}.${lowest?.[2]}.0`);
    expect(read(".ci/run")).toContain(`-p node@${lowest?.[1]}.${lowest?.[2]} `);
    expect(read("README.md")).not.toMatch(/Node\.js (1\d|20|21)\b/);
  });

  test("allows the install script of node, and has judged every other one", () => {
    const lockfile = JSON.parse(read("package-lock.json"));
    const scripted = Object.entries<{ readonly hasInstallScript?: boolean; readonly optional?: boolean }>(lockfile.packages)
      .filter(([, entry]) => entry.hasInstallScript === true && entry.optional !== true)
      .map(([path]) => path.replace(/^.*node_modules\//, ""));
    expect(Object.keys(manifest.allowScripts)).toEqual(expect.arrayContaining(scripted));
    expect(manifest.allowScripts.node).toBe(true);
  });

  test("runs no build when it is installed from a clone", () => {
    expect(Object.keys(manifest.scripts)).not.toEqual(expect.arrayContaining(["prepare"]));
    expect(Object.keys(manifest.scripts)).not.toEqual(expect.arrayContaining(["postinstall"]));
  });
});

test("every test file belongs to a suite, and lies in a folder that mirrors the source or has a purpose of its own", () => {
  const known = new Set([
    ...globSync("src/*/", { cwd: root }).map((path) => path.replace(/^src\/|\/$/g, "")),
    "conformance",
    "contract",
    "replicas",
    "e2e",
    "faults",
    "model",
    "simulation",
    "repository",
    "browser",
    "long",
    "support",
    "examples",
  ]);
  const folders = globSync("test/**/*.test.ts", { cwd: root }).map((path) => path.split("/")[1] ?? "");
  // The kernel's own tests stand beside the folders, as the kernel does.
  expect([...new Set(folders)].filter((folder) => !known.has(folder) && !folder.endsWith(".test.ts"))).toEqual([]);
});

describe("the count of tests", () => {
  function count(...reports: readonly (string | undefined)[]): string {
    const directory = mkdtempSync(join(tmpdir(), "latchkey-count-"));
    try {
      const files = reports.map((report, index) => {
        const file = join(directory, `${index}.json`);
        if (report !== undefined) writeFileSync(file, report);
        return file;
      });
      return spawnSync(process.execPath, [join(root, "scripts/count-tests.ts"), ...files], { encoding: "utf8" }).stdout.trim();
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  test("adds up what passed and failed", () => {
    expect(
      count(
        '{ "numPassedTests": 3, "numFailedTests": 0, "success": true }',
        '{ "numPassedTests": 4, "numFailedTests": 2, "success": false }',
      ),
    ).toBe("7 2");
  });

  test("takes a report that is missing or broken, and a file that could not be loaded, for a failure", () => {
    expect(count(undefined)).toBe("0 1");
    expect(count("{")).toBe("0 1");
    expect(count('{ "numPassedTests": 3, "numFailedTests": 0, "success": false }')).toBe("3 1");
  });
});

test("the CI script is sound bash", () => {
  const { status, stderr } = spawnSync("bash", ["-n", join(root, ".ci/run")], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(statSync(join(root, ".ci/run")).mode & 0o111).not.toBe(0);
});
