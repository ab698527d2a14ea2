import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

/*
 * The page docs/testing.md as its reader has it: the examples are compiled against the built package's types, and run
 * against its code, in a project that has installed it.
 */

const root = join(import.meta.dirname, "../..");
const project = mkdtempSync(join(tmpdir(), "latchkey-package-"));
const installed = join(project, "node_modules/latchkey");
const tsc = join(root, "node_modules/typescript/bin/tsc");
const examples = [...readFileSync(join(root, "docs/testing.md"), "utf8").matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, text = ""]) => text);

function run(args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: "utf8" });
  return { status, output: stdout + stderr };
}

beforeAll(() => {
  mkdirSync(installed, { recursive: true });
  cpSync(join(root, "package.json"), join(installed, "package.json"));
  const built = run([tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", join(installed, "dist")]);
  expect(built).toEqual({ status: 0, output: "" });
  symlinkSync(join(root, "node_modules"), join(installed, "node_modules"));
  mkdirSync(join(project, "node_modules/@types"));
  symlinkSync(join(root, "node_modules/@types/node"), join(project, "node_modules/@types/node"));
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  for (const [index, text] of examples.entries()) writeFileSync(join(project, `example-${index}.ts`), text);
  const compilerOptions = { target: "es2024", module: "nodenext", types: ["node"], strict: true, skipLibCheck: true, noEmit: true };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
}, 60_000);

afterAll(() => rmSync(project, { recursive: true }));

test("the examples of docs/testing.md compile against the types of latchkey/testing", () => {
  expect(examples.length).toBeGreaterThan(2);
  expect(run([tsc, "-p", project])).toEqual({ status: 0, output: "" });
}, 60_000);

test("a mistake in an example would be seen", () => {
  writeFileSync(
    join(project, "wrong.ts"),
    'import { startFaultServer } from "latchkey/testing";\n(await startFaultServer()).set({ kind: "lots" });\n',
  );
  const { status, output } = run([tsc, "-p", project]);
  rmSync(join(project, "wrong.ts"));
  expect(status).not.toBe(0);
  expect(output).toContain("wrong.ts(2,");
}, 60_000);

test.each(examples.map((_text, index) => index))(
  "example %i of docs/testing.md runs against the built package",
  (index) => {
    expect(run([join(project, `example-${index}.ts`)])).toEqual({ status: 0, output: "" });
  },
  60_000,
);
