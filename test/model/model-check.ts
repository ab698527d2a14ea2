import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const model = join(import.meta.dirname, "refresh.pml");

/** One search of all states: which world, and which property. */
export interface ModelCheck {
  /** Whether the authorization server's introspection is trusted. */
  readonly introspection: boolean;
  /** A property of the model by name; `assertions`: those in its steps, and that it never stands still by mistake. */
  readonly property: "assertions" | "no_reuse" | "reuse_only_of_what_was_lost" | "ended_is_final";
}

export interface ModelResult {
  readonly holds: boolean;
  readonly states: number;
  /** What Spin said. */
  readonly output: string;
}

/** Every search that has to find nothing. */
export const modelChecks: readonly ModelCheck[] = [
  { introspection: true, property: "assertions" },
  { introspection: true, property: "no_reuse" },
  { introspection: true, property: "ended_is_final" },
  { introspection: false, property: "assertions" },
  { introspection: false, property: "reuse_only_of_what_was_lost" },
  { introspection: false, property: "ended_is_final" },
];

/** What is missing on this machine to check the model; undefined: nothing. */
export function missingModelTool(): "spin" | "gcc" | undefined {
  const isThere = (command: string, argument: string): boolean => spawnSync(command, [argument]).status === 0;
  if (!isThere("spin", "-V")) return "spin";
  return isThere("gcc", "--version") ? undefined : "gcc";
}

/** Searches all states of the model. Throws when Spin or the compiler fails, or when the search did not come to its end. */
export function checkModel({ introspection, property }: ModelCheck): ModelResult {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-model-"));
  const run = (command: string, args: readonly string[]): string => {
    const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
    if (error !== undefined || status !== 0) throw new Error(`${command} failed: ${stdout ?? ""}${stderr ?? ""}`, { cause: error });
    return stdout;
  };
  try {
    run("spin", [...(introspection ? ["-DINTROSPECTION"] : []), "-a", model]);
    const assertionsOnly = property === "assertions";
    run("gcc", ["-O2", "-DCOLLAPSE", ...(assertionsOnly ? ["-DSAFETY", "-DNOCLAIM"] : []), "-o", "pan", "pan.c"]);
    const output = run("./pan", ["-m200000", ...(assertionsOnly ? [] : ["-a", "-N", property])]);
    const errors = /errors: (\d+)/.exec(output)?.[1];
    const states = Number(/(\d+) states, stored/.exec(output)?.[1]);
    if (errors === undefined || output.includes("max search depth too small"))
      throw new Error(`The search did not come to its end: ${output}`);
    return { holds: errors === "0", states, output };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
