import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const suite = join(import.meta.dirname, "../../node_modules/@modelcontextprotocol/conformance");

/** How a command of the suite ended. */
export interface SuiteRun {
  readonly code: number | null;
  readonly output: string;
}

/** What the summary says of one scenario. */
export interface ScenarioOutcome {
  readonly isGood: boolean;
  readonly passed: number;
  readonly failed: number;
}

/** Runs a command of the suite to its end. `onOutput` sees all that it has said so far. */
export function runSuite(args: readonly string[], onOutput: (output: string) => void = () => {}): Promise<SuiteRun> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env["PATH"], NO_COLOR: "1" };
    const child = spawn(process.execPath, [join(suite, "dist/index.js"), ...args], { stdio: ["ignore", "pipe", "pipe"], env });
    let output = "";
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
      onOutput(output);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, output }));
  });
}

/** The scenarios of a server that a revision's own, frozen requirement set scores. */
export function scoredScenarios(revision: string): readonly string[] {
  const requirements: { readonly server: readonly string[] } = parse(readFileSync(join(suite, `requirements/${revision}.yaml`), "utf8"));
  return requirements.server;
}

/** The summary of a run, by scenario. */
export function outcomes(output: string): ReadonlyMap<string, ScenarioOutcome> {
  const lines = [...output.matchAll(/^([✓✗]) ([\w-]+): (\d+) passed, (\d+) failed/gm)];
  return new Map(
    lines.map(([, mark, name = "", passed, failed]) => [name, { isGood: mark === "✓", passed: Number(passed), failed: Number(failed) }]),
  );
}
