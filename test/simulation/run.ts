// Runs simulated worlds, one seed after the other, and says what was found.
//   npm run simulate -- [--seed 1] [--hours 24] [--users 100] [--replicas 2] [--minutes M | --runs N]
// Exit code: 0 nothing found, 1 something, 2 wrong usage. The summary goes to stdout, the progress to stderr.
import { parseArgs } from "node:util";
import { type Mutant, mutants } from "./mutants.ts";
import { simulate } from "./simulation.ts";
import { replayCommand, Summary } from "./summary.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    hours: { type: "string", default: "24" },
    users: { type: "string", default: "100" },
    replicas: { type: "string", default: "2" },
    minutes: { type: "string" },
    runs: { type: "string" },
    mutant: { type: "string", default: "none" },
    trace: { type: "boolean", default: false },
  },
});

function number(name: "seed" | "hours" | "users" | "replicas" | "minutes" | "runs", least: number): number {
  const value = Number(values[name]);
  if (Number.isFinite(value) && value >= least) return value;
  process.stderr.write(`--${name} must be a number from ${least} up.\n`);
  process.exit(2);
}

function isMutant(name: string): name is Mutant {
  return name in mutants;
}

const { mutant } = values;
if (!isMutant(mutant)) {
  process.stderr.write(`--mutant must be one of ${Object.keys(mutants).join(", ")}.\n`);
  process.exit(2);
}
const first = number("seed", 0);
const world = { hours: number("hours", 1), users: number("users", 1), replicas: number("replicas", 1) };
const untilMs = values.minutes === undefined ? undefined : performance.now() + number("minutes", 0) * 60_000;
const runs = values.runs === undefined ? (untilMs === undefined ? 1 : Number.POSITIVE_INFINITY) : number("runs", 1);
const summary = new Summary();
for (let seed = first; seed < first + runs && (untilMs === undefined || seed === first || performance.now() < untilMs); seed += 1) {
  const onProgress = (hours: number): void => {
    if (process.stderr.isTTY) process.stderr.write(`\rseed ${seed}: ${hours} of ${world.hours} h `);
  };
  const begun = performance.now();
  const report = await simulate({ ...world, seed, mutant, keepTrace: values.trace, onProgress });
  const seconds = (performance.now() - begun) / 1000;
  summary.add(report, seconds);
  if (values.trace) process.stdout.write(`${report.trace.join("\n")}\n`);
  const found = `${report.violations.length} violations`;
  process.stderr.write(`\rseed ${seed}: ${report.userHours} user-hours in ${seconds.toFixed(1)} s, trace ${report.traceHash}, ${found}\n`);
  for (const { at, rule, text } of report.violations.slice(0, 10))
    process.stderr.write(`  ${(at / 1000).toFixed(3)} s  ${rule}: ${text}\n`);
  if (report.violations.length > 0) process.stderr.write(`  replay: ${replayCommand({ ...world, seed, mutant })}\n`);
}
process.stdout.write(summary.text());
process.exitCode = summary.violations > 0 ? 1 : 0;
