import type { FaultRow } from "../test/faults/matrix.ts";
import type { FaultOutcome } from "./fault-outcomes.ts";

/** The matrix with its outcomes, for a terminal. */
export function terminalTable(matrix: readonly FaultRow[], outcomes: ReadonlyMap<string, FaultOutcome>): string {
  const widest = Math.max(...matrix.map(({ fault }) => fault.length));
  return matrix
    .map((row) => `${row.id.padEnd(4)} ${row.fault.padEnd(Math.min(widest, 70))}  ${outcomeText(outcomes.get(row.id))}`)
    .join("\n");
}

/** `docs/faults.md`. `files`: where the tests of each row are, from the project's root. */
export function faultsDocument(
  matrix: readonly FaultRow[],
  outcomes: ReadonlyMap<string, FaultOutcome>,
  files: ReadonlyMap<string, readonly string[]>,
): string {
  const rows = matrix.map((row) => {
    const links = (files.get(row.id) ?? []).map((file) => `[${shortName(file)}](../${file})`).join(", ");
    return `| ${[row.id, row.fault, row.expected, links, outcomeWord(outcomes.get(row.id))].map(cell).join(" | ")} |`;
  });
  return [
    "# Faults",
    "",
    "What can go wrong between a client, Latchkey, its store and an authorization server, and what Latchkey does then. Each row is a",
    "test that injects the fault and looks at what comes of it. `npm run faults` runs them all and prints the outcomes; with",
    "`-- --write` it writes this page.",
    "",
    "| # | Fault | Expected | Test | Outcome |",
    "|---|---|---|---|---|",
    ...rows,
    "",
    "`npm run accept` runs the long ones in full: a server process is killed with SIGKILL 100 times between a reply and its commit, and",
    "started again each time (F8). The last such run: 100 kills, 100 logins alive afterwards, each refresh token presented once.",
    "",
  ].join("\n");
}

function outcomeText(outcome: FaultOutcome | undefined): string {
  switch (outcome?.kind) {
    case "passed":
      return `passed (${outcome.tests.length})`;
    case "failed":
      return `FAILED: ${outcome.tests.map(({ name, file }) => `${name} (${file})`).join("; ")}`;
    case "not_yet":
      return `not yet, because ${outcome.because}`;
    case "contradiction":
      return "FAILED: it has a test, but the matrix says that it has none yet";
    case "missing":
    case undefined:
      return "FAILED: it has no test";
  }
}

/** As short as the table of the document needs it: without what changes from run to run. */
function outcomeWord(outcome: FaultOutcome | undefined): string {
  switch (outcome?.kind) {
    case "passed":
      return "passes";
    case "not_yet":
      return `not yet, because ${outcome.because}`;
    case "failed":
    case "contradiction":
    case "missing":
    case undefined:
      return "**fails**";
  }
}

function shortName(file: string): string {
  return (file.split("/").at(-1) ?? file).replace(/\.test\.ts$/, "");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
