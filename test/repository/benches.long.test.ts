import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

// Figures are for people to read: here it only counts that the benches run, and that their own checks hold.
test.each([
  ["tools-call", ["--slices", "1", "--seconds-per-slice", "0.2", "--connections", "8", "--sockets", "4"]],
  ["stdio", ["--slices", "1", "--seconds-per-slice", "0.2"]],
  ["connections", ["--connections", "50"]],
  ["acquire", ["--slices", "1", "--seconds-per-slice", "0.1", "--login-sessions", "100", "--callers", "500"]],
  ["store", ["--slices", "1", "--login-sessions", "200"]],
])("the bench %s runs, and its checks hold", (name, settings) => {
  const root = join(import.meta.dirname, "../..");
  const { status, stdout, stderr } = spawnSync(process.execPath, [`bench/${name}.ts`, ...settings], { cwd: root, encoding: "utf8" });
  // Older versions of Node warn there about running TypeScript.
  expect({ status, problem: status === 0 ? "" : stderr }).toEqual({ status: 0, problem: "" });
  expect(JSON.parse(stdout.split("\n")[0] ?? "")).toMatchObject({ bench: name });
});
