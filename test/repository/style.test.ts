import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

/** The rules that Biome reports for a text, if it were this file of the project. */
function rulesBroken(path: string, text: string): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), "latchkey-style-"));
  try {
    cpSync(join(root, "biome.json"), join(directory, "biome.json"));
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
    const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
    const { stdout } = spawnSync(process.execPath, [biome, "lint", "--error-on-warnings", "--reporter=github", "."], {
      cwd: directory,
      encoding: "utf8",
    });
    return [...stdout.matchAll(/title=lint\/\w+\/(\w+)/g)].map((match) => match[1] ?? "");
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("a planted violation of the style is caught: ", () => {
  test.each([
    ["any", "src/token/file.ts", "export const value: any = 1;", "noExplicitAny"],
    ["!", "src/token/file.ts", "export const first = (list: string[]) => list[0]!;", "noNonNullAssertion"],
    ["console", "src/token/file.ts", "console.log(1);", "noConsole"],
    ["process.env", "src/token/file.ts", 'export const value = process.env["HOME"];', "noRestrictedGlobals"],
    ["process.exit in a command", "src/cli/file.ts", "process.exit(1);", "noRestrictedGlobals"],
    ["a timer", "src/heartbeat/file.ts", "setTimeout(() => {}, 1);", "noRestrictedGlobals"],
    ["an interval", "src/heartbeat/file.ts", "setInterval(() => {}, 1);", "noRestrictedGlobals"],
    ["the monotonic clock", "src/token/file.ts", "export const now = performance.now();", "noRestrictedGlobals"],
    ["a default export", "src/token/file.ts", "export default 1;", "noDefaultExport"],
    ["passing all on", "src/token/file.ts", 'export * from "./other.ts";', "noReExportAll"],
    ["an enum", "src/token/file.ts", "export enum Kind { One }", "noEnum"],
    ["a namespace", "src/token/file.ts", "export namespace Kind { export const one = 1; }", "noNamespace"],
    ["a parameter property", "src/token/file.ts", "export class A { constructor(private readonly a: string) {} }", "noParameterProperties"],
    ["a type imported as a value", "src/token/file.ts", 'import { Clock } from "../clock.ts";\nexport type A = Clock;', "useImportType"],
    ["a file in camel case", "src/token/myFile.ts", "export const a = 1;", "useFilenamingConvention"],
    ["throwing a text", "src/token/file.ts", 'throw "no";', "useThrowOnlyError"],
    ["a test that is skipped", "test/token/file.test.ts", 'import { test } from "vitest";\ntest.skip("a", () => {});', "noSkippedTests"],
    ["a test that runs alone", "test/token/file.test.ts", 'import { test } from "vitest";\ntest.only("a", () => {});', "noFocusedTests"],
  ])("%s", (_name, path, text, rule) => {
    expect(rulesBroken(path, `${text}\n`)).toContain(rule);
  });

  test("what is allowed is not complained about, while the violation beside it is", () => {
    const violation = "export const planted: any = 1;\n";
    const broken = (path: string, text: string): readonly string[] => rulesBroken(path, `${text}\n${violation}`);
    expect(broken("src/main.ts", "process.exit(1);")).toEqual(["noExplicitAny"]);
    expect(broken("src/clock.ts", "setTimeout(() => {}, performance.now());")).toEqual(["noExplicitAny"]);
    expect(broken("scripts/file.ts", "console.log(process.argv);")).toEqual(["noExplicitAny"]);
  });
});
