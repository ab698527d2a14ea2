// Mutation testing of the folders that decide over tokens, file by file (docs/mutation.md):
//   npm run mutate -- [FILE or FOLDER ...] [--minutes 30] [--concurrency 1] [--quick] [--force]
// What was found before is kept in reports/mutation/ and only looked at again where source or tests have changed;
// --force looks at everything again; --quick leaves the slow tests out, which can only add to the score.
import { spawnSync } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { mutationReport } from "./mutation-report.ts";

const root = join(import.meta.dirname, "..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string" },
    concurrency: { type: "string", default: "1" },
    quick: { type: "boolean", default: false },
    force: { type: "boolean", default: false },
  },
});

const wanted = positionals.length > 0 ? positionals : ["src/session", "src/heartbeat", "src/token"];
const files = wanted.flatMap((path) =>
  statSync(join(root, path)).isDirectory() ? globSync(`${path.replace(/\/$/, "")}/**/*.ts`, { cwd: root }).sort() : [path],
);
const endsAt = values.minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + Number(values.minutes) * 60_000;

let failed = false;
for (const [index, file] of files.entries()) {
  if (performance.now() > endsAt) {
    console.log(`The time is over: not looked at are ${files.slice(index).join(", ")}.`);
    break;
  }
  failed = !mutate(file) || failed;
}
console.log(mutationReport(root, files));
process.exitCode = failed ? 1 : 0;

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
