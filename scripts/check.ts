import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { checkDeploy } from "./deploy/check.ts";
import { checkDirection } from "./direction.ts";
import { checkDocs } from "./docs.ts";
import { checkLockfile } from "./lockfile.ts";
import { checkMutation } from "./mutation-document.ts";

/*
 * npm run check: everything that can be said about the source without running it. All steps run, whatever fails; with
 * names as arguments, only these.
 */

const root = join(import.meta.dirname, "..");

interface Step {
  readonly name: string;
  /** One line for each problem; the tools of others print their own. */
  run(): readonly string[] | Promise<readonly string[]>;
}

const steps: readonly Step[] = [
  { name: "types", run: () => tool("typescript", "bin/tsc", ["-p", root, "--noEmit"]) },
  { name: "biome", run: () => tool("@biomejs/biome", "bin/biome", ["check", "--error-on-warnings", "--max-diagnostics=50", root]) },
  {
    name: "direction",
    async run() {
      const { modules, violations } = await checkDirection(root);
      console.log(`  ${modules} modules`);
      return violations;
    },
  },
  { name: "knip", run: () => tool("knip", "bin/knip.js", ["--no-progress"]) },
  { name: "docs", run: () => checkDocs(root) },
  { name: "deploy", run: () => checkDeploy(root) },
  { name: "lockfile", run: () => checkLockfile(root) },
  { name: "mutation", run: () => checkMutation(root) },
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(", ")}. There are: ${steps.map((step) => step.name).join(", ")}.`);
  process.exit(2);
}

const failed: string[] = [];
for (const step of steps.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  console.log(`check ${step.name}`);
  const problems = await step.run();
  for (const problem of problems) console.error(`  ${problem}`);
  if (problems.length > 0) failed.push(step.name);
}
if (failed.length > 0) {
  console.error(`check failed: ${failed.join(", ")}`);
  process.exit(1);
}
console.log("check passed");

function tool(name: string, script: string, args: readonly string[]): readonly string[] {
  const path = join(root, "node_modules", name, script);
  const { status, error } = spawnSync(process.execPath, [path, ...args], { cwd: root, stdio: "inherit" });
  if (error !== undefined) return [`${name} could not be started: ${error.message}`];
  return status === 0 ? [] : [`${name} ended with ${status ?? "a signal"}`];
}
