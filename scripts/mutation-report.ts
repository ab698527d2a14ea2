import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { MutationResult } from "./mutation-results.ts";

const reportSchema = z.object({
  files: z.record(
    z.string(),
    z.object({
      mutants: z.array(
        z.object({
          mutatorName: z.string(),
          replacement: z.string().optional(),
          status: z.string(),
          location: z.object({ start: z.object({ line: z.number() }) }),
        }),
      ),
    }),
  ),
});

/** Texts for people, and what broke outside of a test: Stryker counts neither. */
const uncounted: ReadonlySet<string> = new Set(["Ignored", "RuntimeError", "CompileError"]);

/** What Stryker last found of a file, its survivors without reasons; undefined when it has no mutant or was not measured. */
export function measuredResult(
  root: string,
  file: string,
  measurement: Pick<MutationResult, "sha256" | "date" | "tests">,
): MutationResult | undefined {
  const path = join(root, "reports/mutation/incremental.json");
  if (!existsSync(path)) return undefined;
  const report = reportSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  const mutants = (report.files[file]?.mutants ?? []).filter(({ status }) => !uncounted.has(status));
  if (mutants.length === 0) return undefined;
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  const survivors = mutants
    .filter(({ status }) => status !== "Killed" && status !== "Timeout")
    .map(({ location: { start }, mutatorName, replacement }) => ({
      line: start.line,
      mutator: mutatorName,
      code: (lines[start.line - 1] ?? "").trim(),
      replacement: (replacement ?? "").replace(/\s+/g, " "),
      reason: "",
    }))
    .sort((a, b) => a.line - b.line);
  return { ...measurement, mutants: mutants.length, killed: mutants.length - survivors.length, survivors };
}
