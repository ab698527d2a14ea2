import { relative } from "node:path";
import type { FaultRow } from "../test/faults/matrix.ts";

/** A test of the fault matrix, as vitest's JSON reporter tells it. */
interface RanTest {
  readonly file: string;
  readonly name: string;
  readonly passed: boolean;
}

/** What became of one row. */
export type FaultOutcome =
  | { readonly kind: "passed"; readonly tests: readonly RanTest[] }
  | { readonly kind: "failed"; readonly tests: readonly RanTest[] }
  | { readonly kind: "not_yet"; readonly because: string }
  | { readonly kind: "missing" }
  /** It has a test, although the matrix says that it has none yet. */
  | { readonly kind: "contradiction" };

export interface FaultReport {
  readonly outcomes: ReadonlyMap<string, FaultOutcome>;
  /** What is wrong beyond single rows: a file that cannot be loaded, a test of an id that there is not. */
  readonly problems: readonly string[];
}

/** The row that a test shows: its own name begins with the id and a space. */
export function faultIdOf(testName: string): string | undefined {
  return /^(F[0-9]+) /.exec(testName.split(" > ").at(-1) ?? "")?.[1];
}

/** The outcome of each row out of the report of vitest's JSON reporter. Throws when it is no such report. */
export function readFaultReport(matrix: readonly FaultRow[], report: unknown, root: string): FaultReport {
  const { tests, problems } = readTests(report, root);
  const ids = new Set(matrix.map(({ id }) => id));
  const strangers = tests.filter(({ name }) => {
    const id = faultIdOf(name);
    return id !== undefined && !ids.has(id);
  });
  const failedBeside = tests.filter(({ name, passed }) => !passed && faultIdOf(name) === undefined);
  return {
    outcomes: new Map(
      matrix.map((row) => [
        row.id,
        outcomeOf(
          row,
          tests.filter(({ name }) => faultIdOf(name) === row.id),
        ),
      ]),
    ),
    problems: [
      ...problems,
      ...strangers.map(({ file, name }) => `there is no such row: ${name} (${file})`),
      ...failedBeside.map(({ file, name }) => `failed: ${name} (${file})`),
    ],
  };
}

/** True when `npm run faults` must fail. */
export function isFailure({ outcomes, problems }: FaultReport): boolean {
  return problems.length > 0 || [...outcomes.values()].some(({ kind }) => kind !== "passed" && kind !== "not_yet");
}

function outcomeOf(row: FaultRow, tests: readonly RanTest[]): FaultOutcome {
  if (row.notYet !== undefined) return tests.length > 0 ? { kind: "contradiction" } : { kind: "not_yet", because: row.notYet };
  if (tests.length === 0) return { kind: "missing" };
  const failed = tests.filter(({ passed }) => !passed);
  return failed.length > 0 ? { kind: "failed", tests: failed } : { kind: "passed", tests };
}

function readTests(report: unknown, root: string): { readonly tests: readonly RanTest[]; readonly problems: readonly string[] } {
  const tests: RanTest[] = [];
  const problems: string[] = [];
  for (const result of listIn(report, "testResults")) {
    const file = relative(root, textIn(result, "name"));
    const assertions = listIn(result, "assertionResults");
    for (const each of assertions) tests.push({ file, name: textIn(each, "title"), passed: textIn(each, "status") === "passed" });
    // A file that cannot even be loaded fails without a failed test.
    if (textIn(result, "status") === "failed" && assertions.every((each) => textIn(each, "status") === "passed"))
      problems.push(`${file}: ${textIn(result, "message")}`);
  }
  return { tests, problems };
}

function listIn(value: unknown, name: string): readonly unknown[] {
  const list: unknown = typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
  if (!Array.isArray(list)) throw new Error(`The report has no list "${name}".`);
  return list;
}

function textIn(value: unknown, name: string): string {
  const text: unknown = typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
  return typeof text === "string" ? text : "";
}
