import { readFileSync } from "node:fs";

/*
 * node scripts/count-tests.ts FILE...: adds up what vitest's JSON reporter wrote, and prints "PASSED FAILED". A file that is
 * missing or is no report counts as one failure: a run that broke must not look like a run without failures.
 */

let passed = 0;
let failed = 0;
for (const file of process.argv.slice(2)) {
  const report = readReport(file);
  passed += report?.passed ?? 0;
  failed += report?.failed ?? 1;
}
console.log(`${passed} ${failed}`);

function readReport(file: string): { readonly passed: number; readonly failed: number } | undefined {
  try {
    const report: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof report !== "object" || report === null) return undefined;
    const passed = "numPassedTests" in report ? report.numPassedTests : undefined;
    const failed = "numFailedTests" in report ? report.numFailedTests : undefined;
    const success = "success" in report ? report.success : undefined;
    if (typeof passed !== "number" || typeof failed !== "number") return undefined;
    // A file that cannot even be loaded fails without a failed test.
    return { passed, failed: success === true || failed > 0 ? failed : 1 };
  } catch {
    return undefined;
  }
}
