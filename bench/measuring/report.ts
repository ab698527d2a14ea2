/** The one in the middle; of an even number the upper of the two. */
export function median(all: readonly number[]): number {
  const sorted = [...all].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The median of the ratios of two series, pair by pair: what slowed the machine down slowed both of a pair down. */
export function medianRatio(series: readonly number[], yardstick: readonly number[]): number {
  return median(series.map((each, index) => each / (yardstick[index] ?? Number.NaN)));
}

export function rounded(value: number, digits = 2): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

/** Rows of text under their headings; numbers to the right. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const text = [headings, ...rows.map((row) => row.map((cell) => (typeof cell === "number" ? cell.toLocaleString("en") : cell)))];
  const widths = headings.map((_heading, column) => Math.max(...text.map((row) => (row[column] ?? "").length)));
  const isNumber = headings.map((_heading, column) => rows.some((row) => typeof row[column] === "number"));
  return text
    .map((row) => row.map((cell, column) => (isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))))
    .map((row) => `${row.join("  ").trimEnd()}\n`)
    .join("");
}

/** One JSON line, and the table below it. */
export function print(result: object, text: string): void {
  process.stdout.write(`${JSON.stringify(result)}\n${text}`);
}
