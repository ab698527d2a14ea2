import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openBrowser } from "../../src/local/open-browser.ts";
import { eventually } from "../support/e2e-wait.ts";

const path = process.env["PATH"];
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "latchkey-browser-"));
  process.env["PATH"] = folder;
});
afterEach(() => {
  process.env["PATH"] = path;
  rmSync(folder, { recursive: true });
});

test.each([
  ["linux", "xdg-open", []],
  ["darwin", "open", []],
  ["win32", "rundll32", ["url.dll,FileProtocolHandler"]],
])("on %s it is %s that gets the address, as one argument that no shell reads", async (platform, command, before) => {
  const opener = join(folder, command);
  writeFileSync(opener, `#!/bin/sh\nprintf '%s\\n' "$@" > "${folder}/draft"\n/bin/mv "${folder}/draft" "${folder}/arguments"\n`);
  chmodSync(opener, 0o700);
  const address = "https://as.example/authorize?a=1&b=$(id)'\"";
  expect(await openBrowser(address, platform)).toBe(true);
  await eventually("it has run", () => existsSync(join(folder, "arguments")));
  expect(readFileSync(join(folder, "arguments"), "utf8").trimEnd().split("\n")).toEqual([...before, address]);
});

test("says so when there is no such command", async () => {
  expect(await openBrowser("https://as.example/", "linux")).toBe(false);
});
