import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isStale, type MutationResults, type MutationSurvivor, readResults, resultsFile } from "./mutation-results.ts";

const documentFile = "docs/mutation.md";
const begin = "<!-- written by npm run mutate -- --document: begin -->";
const end = "<!-- written by npm run mutate -- --document: end -->";
const staleMark = "stale";

/** Writes the table and the survivors of `docs/mutation.json` into `docs/mutation.md`, between its two marks. */
export function writeMutationDocument(root: string): void {
  const path = join(root, documentFile);
  const text = readFileSync(path, "utf8");
  const parts = splitDocument(text);
  if (parts === undefined) throw new Error(`${documentFile} has not the two lines ${begin} and ${end}, in this order.`);
  writeFileSync(path, [parts.before, begin, mutationTables(root, readResults(root)), end, parts.after].join("\n"));
}

/**
 * What is wrong with the recorded results of mutation testing, one line each: a document that says another thing than
 * `docs/mutation.json`, figures that cannot be, a survivor without a reason. A source that has changed since it was measured is
 * allowed, and so is a document in which it is not yet marked: measuring it takes minutes, and nobody owes them for each change.
 */
export function checkMutation(root: string): readonly string[] {
  const results = readResults(root);
  // Reading nothing must not look like finding nothing.
  if (Object.keys(results).length === 0) return [`${resultsFile} holds no result`];
  const problems = Object.entries(results).flatMap(([file, { mutants, killed, survivors }]) => [
    ...(killed > mutants ? [`${resultsFile}: ${file} has ${killed} killed of ${mutants} mutants`] : []),
    ...(survivors !== null && survivors.length !== mutants - killed
      ? [`${resultsFile}: ${file} lists ${survivors.length} survivors, and ${mutants - killed} of its mutants live`]
      : []),
    ...(survivors ?? [])
      .filter(({ reason }) => reason.trim() === "")
      .map((survivor) => `${resultsFile}: ${file}:${survivor.line} ${survivor.mutator} lives without a reason; test it, or say why not`),
  ]);
  const written = splitDocument(readFileSync(join(root, documentFile), "utf8"))?.between;
  const matches = written !== undefined && withoutMarks(written) === withoutMarks(mutationTables(root, results));
  return matches ? problems : [...problems, `${documentFile} is not what ${resultsFile} says; run npm run mutate -- --document`];
}

/** The table of scores, then the survivors file by file. */
export function mutationTables(root: string, results: MutationResults): string {
  const files = Object.entries(results);
  return [
    "",
    "| file | measured | tests | mutants | killed | score | source |",
    "|---|---|---|---|---|---|---|",
    ...files.map(
      ([file, result]) =>
        `| ${file} | ${result.date} | ${result.tests} | ${score(result)} | ${isStale(root, file, result) ? staleMark : "as measured"} |`,
    ),
    ...totals(results),
    "",
    "### What lives",
    "",
    ...files.flatMap(([file, { mutants, killed, survivors, notes = [] }]) => {
      if (mutants === killed) return [];
      const heading = `**${file}**`;
      if (survivors !== null) return [heading, "", ...survivors.map(survivorLine), ""];
      const unlisted = `${heading}: ${mutants - killed}, not recorded one by one.`;
      return notes.length === 0
        ? [`${unlisted} No reasons were written down.`, ""]
        : [unlisted, "", ...notes.map((note) => `- ${note}`), ""];
    }),
  ].join("\n");
}

function survivorLine({ line, mutator, replacement, reason }: MutationSurvivor): string {
  const shown = replacement.length > 80 ? `${replacement.slice(0, 79)}…` : replacement;
  return `- ${line} ${mutator}, made ${shown === "" ? "nothing" : `\`${shown.replaceAll("`", "'")}\``}: ${reason}`;
}

function totals(results: MutationResults): string[] {
  const sums = new Map<string, { mutants: number; killed: number }>();
  for (const [file, { mutants, killed }] of Object.entries(results))
    for (const name of [`all of ${dirname(file)}`, "all"]) {
      const sum = sums.get(name) ?? { mutants: 0, killed: 0 };
      sums.set(name, { mutants: sum.mutants + mutants, killed: sum.killed + killed });
    }
  const byFolder = [...sums].sort(([a], [b]) => b.length - a.length || a.localeCompare(b));
  return byFolder.map(([name, sum]) => `| ${name} | | | ${score(sum)} | |`);
}

function score({ mutants, killed }: { readonly mutants: number; readonly killed: number }): string {
  return `${mutants} | ${killed} | ${((100 * killed) / Math.max(mutants, 1)).toFixed(1)} %`;
}

function withoutMarks(text: string): string {
  return text.replace(new RegExp(`\\| (${staleMark}|as measured) \\|$`, "gm"), "|").trim();
}

function splitDocument(text: string): { before: string; between: string; after: string } | undefined {
  const [before, rest, ...more] = text.split(`\n${begin}\n`);
  const [between, after, ...others] = rest?.split(`\n${end}\n`) ?? [];
  if (before === undefined || between === undefined || after === undefined || more.length + others.length > 0) return undefined;
  return { before, between, after };
}
