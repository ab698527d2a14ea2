/*
 * A plugin of Stryker: texts for people are not mutated, that is whatever a logger is given and every string that holds
 * two words in a row. Codes, states, reasons and keys, which programs read, hold none.
 */

interface SyntaxNode {
  readonly type: string;
  readonly [field: string]: unknown;
}

interface SyntaxPath {
  readonly node: SyntaxNode;
}

const loggerMethods = ["debug", "info", "warn", "error"];
const twoWords = /[a-z],? [a-z]/i;

export const strykerPlugins = [{ kind: "Ignore", name: "texts", value: { shouldIgnore } }];

function shouldIgnore({ node }: SyntaxPath): string | undefined {
  if (isLogging(node)) return "an entry of the log";
  if (node.type === "StringLiteral" && twoWords.test(String(node["value"]))) return "a text for people";
  if (node.type === "TemplateLiteral" && twoWords.test(templateText(node))) return "a text for people";
  return undefined;
}

/** A call of a logger, alone or as a statement, and a block of nothing else. */
function isLogging(node: unknown): boolean {
  if (!isNode(node)) return false;
  if (node.type === "CallExpression") return isLoggerCall(node["callee"]);
  if (node.type === "ExpressionStatement") return isLogging(node["expression"]);
  return node.type === "BlockStatement" && Array.isArray(node["body"]) && node["body"].length > 0 && node["body"].every(isLogging);
}

/** `this.#logger.warn`, `core.logger.warn` and `logger.warn` alike. */
function isLoggerCall(callee: unknown): boolean {
  if (!isNode(callee) || !loggerMethods.includes(nameOf(callee["property"]))) return false;
  const owner = callee["object"];
  return nameOf(isNode(owner) && isNode(owner["property"]) ? owner["property"] : owner) === "logger";
}

function nameOf(node: unknown): string {
  if (!isNode(node)) return "";
  return node.type === "PrivateName" ? nameOf(node["id"]) : String(node["name"]);
}

/** The text of a template; what is filled in stands for a word. */
function templateText(node: SyntaxNode): string {
  const quasis = Array.isArray(node["quasis"]) ? node["quasis"] : [];
  return quasis.map((each) => String(Object(Object(each).value).raw)).join("x");
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value;
}
