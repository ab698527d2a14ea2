import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseSync } from "@swc/core";
import { isFields } from "./e2e-json.ts";

/** A test as its file names it: the names of its groups and its own, as they are written. */
export interface NamedTest {
  readonly file: string;
  readonly name: string;
}

/** All tests of all `*.test.ts` files under `root`, read from their syntax, not by running them. */
export function findTests(root: string): readonly NamedTest[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.ts"))
    .sort()
    .flatMap((path) => testsIn(readFileSync(join(root, path), "utf8")).map((name) => ({ file: relative(".", join(root, path)), name })));
}

/** The names of the tests in a source, each after the names of the groups around it. */
export function testsIn(source: string): readonly string[] {
  const found: string[] = [];
  walk(parseSync(source, { syntax: "typescript" }), [], found);
  return found;
}

/** The ids of requirements and scenarios in a name: R1, S6. */
export function idsIn(name: string): readonly string[] {
  return name.match(/\b[RS][0-9]{1,2}\b/g) ?? [];
}

const groups: readonly string[] = ["describe", "suite"];
const tests: readonly string[] = ["test", "it"];

function walk(node: unknown, around: readonly string[], found: string[]): void {
  if (Array.isArray(node)) {
    for (const each of node) walk(each, around, found);
    return;
  }
  if (!isFields(node)) return;
  const callee = node.type === "CallExpression" ? rootOf(node.callee) : undefined;
  const [first] = callee !== undefined && Array.isArray(node.arguments) ? node.arguments : [];
  const name = isFields(first) ? textOf(first.expression) : undefined;
  const inside = callee !== undefined && name !== undefined && groups.includes(callee) ? [...around, name] : around;
  if (callee !== undefined && name !== undefined && tests.includes(callee)) found.push([...around, name].join(" > "));
  for (const child of Object.values(node)) walk(child, inside, found);
}

/** `test` of `test`, `test.concurrent`, `test.each(rows)` and `` test.each`table` ``. */
function rootOf(callee: unknown): string | undefined {
  if (!isFields(callee)) return undefined;
  switch (callee.type) {
    case "Identifier":
      return typeof callee.value === "string" ? callee.value : undefined;
    case "MemberExpression":
      return rootOf(callee.object);
    case "CallExpression":
      return rootOf(callee.callee);
    case "TaggedTemplateExpression":
      return rootOf(callee.tag);
  }
  return undefined;
}

/** A string as it is written; of a template the parts that are fixed. */
function textOf(expression: unknown): string | undefined {
  if (!isFields(expression)) return undefined;
  if (expression.type === "StringLiteral") return typeof expression.value === "string" ? expression.value : undefined;
  if (expression.type !== "TemplateLiteral" || !Array.isArray(expression.quasis)) return undefined;
  return expression.quasis.map((quasi: unknown) => (isFields(quasi) && typeof quasi.raw === "string" ? quasi.raw : "")).join("…");
}
