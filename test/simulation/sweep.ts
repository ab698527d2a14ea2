// Runs many simulated worlds in as many processes as there are cores, and sums up what they found.
//   npm run sweep -- --seeds 5000-5031,7000-7031 [--hours 24] [--users 100] [--replicas 3] [--processes N]
// A seed that found something is printed when it is done, with the command that runs it again. Exit code: 0 nothing found,
// 1 something, 2 wrong usage. The summary goes to stdout, the progress to stderr.
import { fork } from "node:child_process";
import { availableParallelism, constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type SimulationReport, simulate } from "./simulation.ts";
import { replayCommand, Summary } from "./summary.ts";

type World = Pick<Parameters<typeof simulate>[0], "hours" | "users" | "replicas">;

/** What a worker says of one seed. */
interface Result {
  readonly report: SimulationReport;
  readonly seconds: number;
}

if (process.send === undefined) await sweep();
else work();

async function sweep(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "1-8" },
      hours: { type: "string", default: "24" },
      users: { type: "string", default: "100" },
      replicas: { type: "string", default: "3" },
      processes: { type: "string", default: String(availableParallelism()) },
    },
  });
  const world = {
    hours: positive("hours", values.hours),
    users: positive("users", values.users),
    replicas: positive("replicas", values.replicas),
  };
  const seeds = seedsOf(values.seeds);
  const summary = new Summary();
  const workers = Array.from({ length: Math.min(seeds.length, positive("processes", values.processes)) }, () =>
    runWorker(
      world,
      () => seeds.shift(),
      ({ report, seconds }) => {
        summary.add(report, seconds);
        tell(world, report, seconds);
      },
    ),
  );
  await Promise.all(workers);
  process.stdout.write(summary.text());
  process.exitCode = summary.violations > 0 ? 1 : 0;
}

/** One process, which gets seeds until there are none. Rejects when it ends before that. */
function runWorker(world: World, next: () => number | undefined, done: (result: Result) => void): Promise<void> {
  const worker = fork(fileURLToPath(import.meta.url), { serialization: "advanced" });
  return new Promise((resolve, reject) => {
    let seed: number | undefined;
    const give = (): void => {
      seed = next();
      if (seed === undefined) worker.disconnect();
      else worker.send({ ...world, seed });
    };
    worker.on("message", (result: Result) => {
      done(result);
      give();
    });
    worker.on("error", reject);
    worker.on("exit", () => {
      if (seed === undefined) resolve();
      else reject(new Error(`The process that ran seed ${seed} ended before it was done.`));
    });
    give();
  });
}

/** The other side: a process that leaves the machine to whoever needs it more. */
function work(): void {
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  process.on("message", (options: World & { readonly seed: number }) => void answer(options));
}

async function answer(options: World & { readonly seed: number }): Promise<void> {
  const begun = performance.now();
  const report = await simulate(options);
  process.send?.({ report, seconds: (performance.now() - begun) / 1000 } satisfies Result);
}

function tell(world: World, { seed, userHours, violations, traceHash }: SimulationReport, seconds: number): void {
  process.stderr.write(
    `seed ${seed}: ${userHours} user-hours in ${seconds.toFixed(1)} s, trace ${traceHash}, ${violations.length} violations\n`,
  );
  for (const { at, rule, text } of violations.slice(0, 10)) process.stderr.write(`  ${(at / 1000).toFixed(3)} s  ${rule}: ${text}\n`);
  if (violations.length > 0) process.stderr.write(`  replay: ${replayCommand({ ...world, seed })}\n`);
}

/** "5000-5031,7000" names 33 seeds. */
function seedsOf(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [, from, until] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (from === undefined || Number(until ?? from) < Number(from))
      return wrong(`--seeds must be like 1-8 or 5000-5031,7000; ${part} is not.`);
    return Array.from({ length: Number(until ?? from) - Number(from) + 1 }, (_, index) => Number(from) + index);
  });
}

function positive(name: string, text: string): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : wrong(`--${name} must be a whole number from 1 up, not ${text}.`);
}

function wrong(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
