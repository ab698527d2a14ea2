import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import { directionOptions, directionRules } from "./direction-rules.ts";

/** What the direction check found. */
export interface DirectionReport {
  /** How many files were read. */
  readonly modules: number;
  /** One line each: rule, from, to. */
  readonly violations: readonly string[];
}

/**
 * Checks the imports of all files in `src/` below `directory` against the rules. Throws when not every file
 * was read: a check that reads nothing finds nothing.
 */
export async function checkDirection(directory: string): Promise<DirectionReport> {
  const { output } = await cruise(["src"], {
    ...directionOptions,
    baseDir: directory,
    ruleSet: { forbidden: [...directionRules] },
    validate: true,
  });
  const result = resultOf(output);
  const files = globSync("src/**/*.ts", { cwd: directory }).filter((file) => !file.startsWith("src/console/page/"));
  const read = new Set(result.modules.map((each) => each.source));
  const missed = files.filter((file) => !read.has(file.replaceAll("\\", "/")));
  if (missed.length > 0 || files.length === 0)
    throw new Error(
      `The direction check read ${read.size} modules and missed ${missed.length} of ${files.length} files: ${missed.slice(0, 5).join(", ")}`,
    );
  return {
    modules: files.length,
    violations: [
      ...result.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`),
      ...files.flatMap((file) =>
        typesInPlace(readFileSync(join(directory, file), "utf8")).map((target) => `type-in-place: ${file} -> ${target}`),
      ),
    ],
  };
}

/** `import("./x.ts").Type` and `typeof import("./x.ts")`: swc does not give these as imports. A dynamic import has neither form. */
function typesInPlace(text: string): readonly string[] {
  const forms = /typeof\s+import\(\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)\s*\.(?!then\b|catch\b|finally\b)/g;
  return [...text.matchAll(forms)].map(([, one, other]) => one ?? other ?? "");
}

function resultOf(output: string | ICruiseResult): ICruiseResult {
  if (typeof output === "string") throw new Error("dependency-cruiser gave a text instead of a result.");
  return output;
}
