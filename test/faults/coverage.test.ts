import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type FaultOutcome, faultIdOf, isFailure, readFaultReport } from "../../scripts/fault-outcomes.ts";
import { faultsDocument, terminalTable } from "../../scripts/fault-tables.ts";
import { faultFiles, faultTests } from "./fault-files.ts";
import { type FaultRow, faultMatrix } from "./matrix.ts";

const root = join(import.meta.dirname, "../..");

describe("the fault matrix", () => {
  test("has the rows F1 to F49, in order", () => {
    expect(faultMatrix.map(({ id }) => id)).toEqual(Array.from({ length: 49 }, (_, index) => `F${index + 1}`));
  });

  test("has a test for each row but those that say why not", () => {
    const files = faultFiles();
    expect(faultMatrix.filter(({ id, notYet }) => files.has(id) === (notYet !== undefined))).toEqual([]);
  });

  test("has a row for each test that names one", () => {
    const tests = faultTests().flatMap(({ name }) => faultIdOf(name) ?? []);
    expect(tests.filter((id) => !faultMatrix.some((row) => row.id === id))).toEqual([]);
  });

  test("is shown by docs/faults.md as `npm run faults -- --write` writes it when all rows pass", () => {
    const outcomes = new Map<string, FaultOutcome>(
      faultMatrix.map(({ id, notYet }) => [
        id,
        notYet === undefined ? { kind: "passed", tests: [] } : { kind: "not_yet", because: notYet },
      ]),
    );
    expect(readFileSync(join(root, "docs/faults.md"), "utf8")).toBe(faultsDocument(faultMatrix, outcomes, faultFiles()));
  });
});

describe("the report of the fault matrix", () => {
  const rows: readonly FaultRow[] = [
    { id: "F1", fault: "a", expected: "b" },
    { id: "F2", fault: "c", expected: "d", notYet: "it rains" },
  ];

  function reportOf(...tests: readonly (readonly [title: string, status: string])[]): unknown {
    const assertionResults = tests.map(([title, status]) => ({ title, status }));
    const status = tests.every(([, each]) => each === "passed") ? "passed" : "failed";
    return { testResults: [{ name: join(root, "test/faults/x.test.ts"), status, message: "", assertionResults }] };
  }

  test("passes when each row that has no excuse has passed", () => {
    const report = readFaultReport(rows, reportOf(["F1 works", "passed"], ["a check of its own", "passed"]), root);
    expect(isFailure(report)).toBe(false);
    expect(terminalTable(rows, report.outcomes)).toBe("F1   a  passed (1)\nF2   c  not yet, because it rains");
  });

  test.each([
    ["a row failed", reportOf(["F1 works", "passed"], ["F1 works twice", "failed"])],
    ["a row was skipped", reportOf(["F1 works", "pending"])],
    ["a row has no test", reportOf(["F10 works", "passed"])],
    ["a row has a test and an excuse", reportOf(["F1 works", "passed"], ["F2 works", "passed"])],
    ["a test names no row", reportOf(["F1 works", "passed"], ["F50 works", "passed"])],
    ["a test beside the rows failed", reportOf(["F1 works", "passed"], ["counts", "failed"])],
    [
      "a file could not be loaded",
      { testResults: [...Object(reportOf(["F1 works", "passed"])).testResults, { name: "/x", status: "failed", assertionResults: [] }] },
    ],
  ])("fails when %s", (_name, report) => {
    expect(isFailure(readFaultReport(rows, report, root))).toBe(true);
  });

  test("is none when it is something else", () => {
    expect(() => readFaultReport(rows, {}, root)).toThrow('no list "testResults"');
  });
});
