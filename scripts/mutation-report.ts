import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";

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

/** What Stryker last found of these files: a Markdown table with the score of each, and a line for each mutant that no test noticed. */
export function mutationReport(root: string, files: readonly string[]): string {
  const path = join(root, "reports/mutation/incremental.json");
  if (!existsSync(path)) return "There is no report.";
  const report = reportSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  const rows: string[] = [];
  const unnoticed: string[] = [];
  const folders = new Map<string, { killed: number; all: number }>();
  for (const file of files) {
    const mutants = (report.files[file]?.mutants ?? []).filter(({ status }) => !uncounted.has(status));
    const alive = mutants.filter(({ status }) => status !== "Killed" && status !== "Timeout");
    if (mutants.length === 0) continue;
    const killed = mutants.length - alive.length;
    rows.push(row(file, killed, mutants.length));
    for (const name of [`all of ${dirname(file)}`, "all"]) {
      const total = folders.get(name) ?? { killed: 0, all: 0 };
      folders.set(name, { killed: total.killed + killed, all: total.all + mutants.length });
    }
    for (const { location, mutatorName, status, replacement } of alive)
      unnoticed.push(`${file}:${location.start.line} ${mutatorName} ${status}: ${(replacement ?? "").replace(/\s+/g, " ")}`);
  }
  return [
    "",
    "| file | mutants | killed | score |",
    "|---|---|---|---|",
    ...rows,
    ...[...folders].sort(([a], [b]) => b.length - a.length || a.localeCompare(b)).map(([name, { killed, all }]) => row(name, killed, all)),
    "",
    ...unnoticed,
  ].join("\n");
}

function row(name: string, killed: number, all: number): string {
  return `| ${name} | ${all} | ${killed} | ${((100 * killed) / Math.max(all, 1)).toFixed(1)} % |`;
}
