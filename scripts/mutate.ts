// Mutation testing of the folders that decide over tokens, file by file (docs/mutation.md):
//   npm run mutate -- [FILE or FOLDER ...] [--changed] [--write] [--minutes 30] [--concurrency 1] [--quick] [--force]
//   npm run mutate -- --document
// What was found before is kept in reports/mutation/ and only looked at again where source or tests have changed;
// --force looks at everything again; --quick leaves the slow tests out, which can only add to the score. --write records
// each file in docs/mutation.json once it is measured, and brings docs/mutation.md up to date; --changed leaves out what is
// recorded there of the same source; --document only writes docs/mutation.md.
import { spawnSync } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { mutationTables, writeMutationDocument } from "./mutation-document.ts";
import { measuredResult } from "./mutation-report.ts";
import { isStale, type MutationResult, readResults, sourceHash, withReasons, writeResults } from "./mutation-results.ts";

const root = join(import.meta.dirname, "..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string" },
    concurrency: { type: "string", default: "1" },
    quick: { type: "boolean", default: false },
    force: { type: "boolean", default: false },
    changed: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    document: { type: "boolean", default: false },
  },
});

if (values.document) writeMutationDocument(root);
else measureAll();

function measureAll(): void {
  const wanted = positionals.length > 0 ? positionals : ["src/session", "src/heartbeat", "src/token"];
  const recorded = readResults(root);
  const files = wanted.flatMap(filesOf).filter((file) => {
    const before = recorded[file];
    return !values.changed || before === undefined || isStale(root, file, before);
  });
  const endsAt = values.minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + Number(values.minutes) * 60_000;
  const measured: Record<string, MutationResult> = {};
  for (const [index, file] of files.entries()) {
    if (performance.now() > endsAt) {
      console.log(`The time is over: not looked at are ${files.slice(index).join(", ")}.`);
      break;
    }
    const sha256 = sourceHash(root, file) ?? null;
    if (!mutate(file)) {
      process.exitCode = 1;
      continue;
    }
    const date = new Date().toISOString().slice(0, 10);
    const result = measuredResult(root, file, { sha256, date, tests: values.quick ? "quick" : "all" });
    if (result === undefined) continue;
    measured[file] = withReasons(result, readResults(root)[file]);
    if (values.write) record(file, measured[file]);
  }
  console.log(mutationTables(root, measured));
}

/** At once, so that a run that is broken off keeps what it has measured. */
function record(file: string, result: MutationResult): void {
  writeResults(root, { ...readResults(root), [file]: result });
  writeMutationDocument(root);
}

function filesOf(path: string): string[] {
  return statSync(join(root, path)).isDirectory() ? globSync(`${path.replace(/\/$/, "")}/**/*.ts`, { cwd: root }).sort() : [path];
}

/** First without the slow tests; then what is left alive meets those too: only that is tried again. */
function mutate(file: string): boolean {
  console.log(`mutate ${file}`);
  return stryker(file, "quick", values.force) && (values.quick || stryker(file, "all", false));
}

function stryker(file: string, tests: "quick" | "all", force: boolean): boolean {
  const bin = join(root, "node_modules/@stryker-mutator/core/bin/stryker.js");
  const options = ["--mutate", file, "--concurrency", values.concurrency, ...(force ? ["--force"] : [])];
  const env = { ...process.env, LATCHKEY_MUTATE: tests, LATCHKEY_MUTATE_FIRST: basename(file, ".ts") };
  return spawnSync(process.execPath, [bin, "run", ...options], { cwd: root, stdio: "inherit", env }).status === 0;
}
