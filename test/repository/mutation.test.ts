import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkMutation, writeMutationDocument } from "../../scripts/mutation-document.ts";
import { measuredResult } from "../../scripts/mutation-report.ts";
import { isStale, type MutationResult, readResults, sourceHash, withReasons, writeResults } from "../../scripts/mutation-results.ts";

const file = "src/token/a.ts";
const marks = ["begin", "end"].map((name) => `<!-- written by npm run mutate -- --document: ${name} -->`);
const survivor = {
  line: 2,
  mutator: "EqualityOperator",
  code: "if (a < b) return;",
  replacement: "a <= b",
  reason: "equal ones leave before",
};
const measured: MutationResult = { sha256: null, date: "2026-11-26", tests: "quick", mutants: 4, killed: 3, survivors: [survivor] };

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "latchkey-mutation-"));
  write(file, "const a = 1;\n  if (a < b) return;\n");
  write("docs/mutation.md", `# Mutation testing\n\n${marks.join("\n\n")}\n\n## After\n`);
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function record(change: Partial<MutationResult> = {}): void {
  writeResults(root, { [file]: { ...measured, sha256: sourceHash(root, file) ?? null, ...change } });
  writeMutationDocument(root);
}

const document = (): string => readFileSync(join(root, "docs/mutation.md"), "utf8");

test("what is recorded is written between the marks, and passes", () => {
  record();
  expect(document()).toContain("| src/token/a.ts | 2026-11-26 | quick | 4 | 3 | 75.0 % | as measured |");
  expect(document()).toContain("- 2 EqualityOperator, made `a <= b`: equal ones leave before");
  expect(document()).toMatch(/^# Mutation testing\n[\s\S]*\n## After\n$/);
  expect(checkMutation(root)).toEqual([]);
  const once = document();
  writeMutationDocument(root);
  expect(document()).toBe(once);
});

test("a document that was edited by hand, or not written again, is caught", () => {
  const problem = "docs/mutation.md is not what docs/mutation.json says; run npm run mutate -- --document";
  record();
  write("docs/mutation.md", document().replace("75.0 %", "100.0 %"));
  expect(checkMutation(root)).toEqual([problem]);
  write("docs/mutation.md", "# Mutation testing\n");
  expect(checkMutation(root)).toEqual([problem]);
  expect(() => writeMutationDocument(root)).toThrow("docs/mutation.md has not the two lines");
});

test("a survivor without a reason is caught, and so are figures that do not agree", () => {
  record({ survivors: [{ ...survivor, reason: " " }] });
  expect(checkMutation(root)).toEqual([
    "docs/mutation.json: src/token/a.ts:2 EqualityOperator lives without a reason; test it, or say why not",
  ]);
  record({ survivors: [] });
  expect(checkMutation(root)).toEqual(["docs/mutation.json: src/token/a.ts lists 0 survivors, and 1 of its mutants live"]);
  record({ killed: 5, survivors: null });
  expect(checkMutation(root)).toEqual(["docs/mutation.json: src/token/a.ts has 5 killed of 4 mutants"]);
});

test("nothing recorded is a problem, not a pass", () => {
  expect(checkMutation(root)).toEqual(["docs/mutation.json holds no result"]);
});

test("a source that has changed is stale: allowed, and marked when the document is written again", () => {
  record();
  write(file, "const a = 2;\n");
  expect(checkMutation(root)).toEqual([]);
  writeMutationDocument(root);
  expect(document()).toContain("| 75.0 % | stale |");
  expect(checkMutation(root)).toEqual([]);
  rmSync(join(root, file));
  expect(isStale(root, file, { ...measured, sha256: "0".repeat(64) })).toBe(true);
});

test("a row without a list of survivors says so, with the notes that it has", () => {
  record({ survivors: null });
  expect(document()).toContain("**src/token/a.ts**: 1, not recorded one by one. No reasons were written down.");
  record({ survivors: null, notes: ["2: equal ones leave before."] });
  expect(document()).toContain("**src/token/a.ts**: 1, not recorded one by one.\n\n- 2: equal ones leave before.\n");
});

test("of a report, killed and timed out mutants count as killed, ignored and broken ones not at all", () => {
  const mutant = (status: string, line: number) => ({
    mutatorName: "EqualityOperator",
    replacement: "a <=\n  b",
    status,
    location: { start: { line } },
  });
  const mutants = [mutant("NoCoverage", 2), mutant("Killed", 1), mutant("Timeout", 1), mutant("Ignored", 1), mutant("RuntimeError", 1)];
  write("reports/mutation/incremental.json", JSON.stringify({ files: { [file]: { mutants: [...mutants, mutant("Survived", 1)] } } }));
  expect(measuredResult(root, file, { sha256: null, date: "2026-11-26", tests: "all" })).toEqual({
    ...{ sha256: null, date: "2026-11-26", tests: "all", mutants: 4, killed: 2 },
    survivors: [
      { line: 1, mutator: "EqualityOperator", code: "const a = 1;", replacement: "a <= b", reason: "" },
      { line: 2, mutator: "EqualityOperator", code: "if (a < b) return;", replacement: "a <= b", reason: "" },
    ],
  });
  expect(measuredResult(root, "src/token/b.ts", { sha256: null, date: "2026-11-26", tests: "all" })).toBeUndefined();
});

test("a reason stays with its line of code when lines move, and with no other", () => {
  const moved = { ...survivor, line: 9, reason: "" };
  const other = { ...moved, code: "if (c < b) return;" };
  const again = withReasons({ ...measured, killed: 2, survivors: [moved, other] }, measured);
  expect(again.survivors?.map(({ reason }) => reason)).toEqual(["equal ones leave before", ""]);
  expect(withReasons({ ...measured, survivors: [moved] }, undefined).survivors).toEqual([moved]);
});

test("a file of results with an unknown field, or none that fits, is refused", () => {
  record();
  expect(readResults(root)[file]?.survivors).toEqual([survivor]);
  write("docs/mutation.json", JSON.stringify({ [file]: { ...measured, score: 75 } }));
  expect(() => readResults(root)).toThrow("score");
});
