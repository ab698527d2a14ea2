/**
 * How an entry changes, line by line, marked "+" and "-" as diff does it. Only the entry is shown, since nothing else changes,
 * and of its variables only the names: they may be secrets, and so may what stands beside it in the file.
 */
export function entryDifference(before: unknown, after: unknown): string {
  const [old, next] = [linesOf(before), linesOf(after)];
  let first = 0;
  while (first < Math.min(old.length, next.length) && old[first] === next[first]) first += 1;
  let last = 0;
  while (last < Math.min(old.length, next.length) - first && old.at(-1 - last) === next.at(-1 - last)) last += 1;
  return [
    ...next.slice(0, first).map((line) => `  ${line}`),
    ...old.slice(first, old.length - last).map((line) => `- ${line}`),
    ...next.slice(first, next.length - last).map((line) => `+ ${line}`),
    ...next.slice(next.length - last).map((line) => `  ${line}`),
  ].join("\n");
}

function linesOf(entry: unknown): readonly string[] {
  if (entry === undefined) return [];
  return JSON.stringify(entry, withoutVariables, 2).split("\n");
}

function withoutVariables(key: string, value: unknown): unknown {
  if (key !== "env" || typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.keys(value).map((name) => [name, "(set)"]));
}
