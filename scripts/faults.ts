// The fault matrix, run and shown as a table. Exits with 1 when a row fails or has no test.
//   npm run faults -- [--write] [F3 F4 ...]
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { faultFiles } from "../test/faults/fault-files.ts";
import { faultMatrix } from "../test/faults/matrix.ts";
import { isFailure, readFaultReport } from "./fault-outcomes.ts";
import { faultsDocument, terminalTable } from "./fault-tables.ts";

const root = join(import.meta.dirname, "..");
const { values, positionals } = parseArgs({ options: { write: { type: "boolean", default: false } }, allowPositionals: true });
const wanted = faultMatrix.filter(({ id }) => positionals.length === 0 || positionals.includes(id));

if (wanted.length < (positionals.length || faultMatrix.length) || (values.write && positionals.length > 0)) {
  console.error("Name rows of the matrix (F1 to F49), or none for all of it; --write needs all of it.");
  process.exit(2);
}

const work = mkdtempSync(join(tmpdir(), "latchkey-faults-"));
try {
  const file = join(work, "report.json");
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const names = positionals.length === 0 ? [] : ["--testNamePattern", `(^| )(${positionals.join("|")}) `];
  const projects = ["--project", "fast", "--project", "long"];
  const { status } = spawnSync(
    process.execPath,
    [
      vitest,
      "run",
      ...projects,
      ...names,
      "--reporter=dot",
      "--reporter=json",
      `--outputFile.json=${file}`,
      "test/faults/",
      "test/replicas/",
    ],
    { cwd: root, stdio: "inherit" },
  );
  const report = readFaultReport(wanted, JSON.parse(readFileSync(file, "utf8")), root);
  console.log(`\n${terminalTable(wanted, report.outcomes)}`);
  for (const problem of report.problems) console.error(problem);
  if (values.write) writeFileSync(join(root, "docs/faults.md"), faultsDocument(faultMatrix, report.outcomes, faultFiles()));
  // A crash or an unhandled rejection fails the run without failing a test.
  process.exitCode = isFailure(report) || status !== 0 ? 1 : 0;
} finally {
  rmSync(work, { recursive: true });
}
