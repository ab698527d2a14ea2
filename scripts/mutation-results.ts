import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const survivorSchema = z.strictObject({
  line: z.int().positive(),
  mutator: z.string(),
  /** The source line, without its indentation: it finds the reason again when lines have moved. */
  code: z.string(),
  replacement: z.string(),
  /** Why no test notices it. Empty until somebody has looked: `npm run check` asks for it. */
  reason: z.string(),
});

const resultSchema = z.strictObject({
  /** Of the source as it was measured; null where that is not known, which counts as changed. */
  sha256: z.string().length(64).nullable(),
  date: z.iso.date(),
  tests: z.enum(["quick", "all"]),
  mutants: z.int().positive(),
  killed: z.int().nonnegative(),
  /** null: measured before they were recorded one by one. */
  survivors: z.array(survivorSchema).nullable(),
  /** What was written down instead, for a row without a list. */
  notes: z.array(z.string().min(1)).optional(),
});

export type MutationSurvivor = z.infer<typeof survivorSchema>;
export type MutationResult = z.infer<typeof resultSchema>;
/** By the path of the source from the project's root. */
export type MutationResults = Readonly<Record<string, MutationResult>>;

/** Where the results are kept, from the project's root. */
export const resultsFile = "docs/mutation.json";

/** What is kept in `docs/mutation.json`. @throws {z.ZodError} on what is no such file. */
export function readResults(root: string): MutationResults {
  const path = join(root, resultsFile);
  return existsSync(path) ? z.record(z.string(), resultSchema).parse(JSON.parse(readFileSync(path, "utf8"))) : {};
}

/** Writes `docs/mutation.json`, sorted by path. */
export function writeResults(root: string, results: MutationResults): void {
  const sorted = Object.fromEntries(Object.entries(results).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(join(root, resultsFile), `${JSON.stringify(sorted, null, 2)}\n`);
}

/** The SHA-256 of a source, in hex; undefined when there is no such file. */
export function sourceHash(root: string, file: string): string | undefined {
  const path = join(root, file);
  return existsSync(path) ? createHash("sha256").update(readFileSync(path)).digest("hex") : undefined;
}

/** Whether the source is another than the one that was measured. */
export function isStale(root: string, file: string, result: MutationResult): boolean {
  return result.sha256 === null || result.sha256 !== sourceHash(root, file);
}

/** `measured`, with the reasons that `before` gave for the same change of the same line of code. */
export function withReasons(measured: MutationResult, before: MutationResult | undefined): MutationResult {
  const reasons = new Map((before?.survivors ?? []).map((survivor) => [identity(survivor), survivor.reason]));
  const survivors = measured.survivors?.map((survivor) => ({ ...survivor, reason: reasons.get(identity(survivor)) ?? survivor.reason }));
  return { ...measured, survivors: survivors ?? null };
}

function identity({ mutator, code, replacement }: MutationSurvivor): string {
  return JSON.stringify([mutator, code, replacement]);
}
