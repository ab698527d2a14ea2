import type { z } from "zod";
import { type JsonSchemaNode, nodeAt } from "./json-schema.ts";
import { type ConfigPath, type Problem, pathText, valueAt } from "./problem.ts";
import { didYouMean } from "./spelling.ts";

/** Settings that a later version has. */
const later = ["administrators", "upstreams", "policy", "telemetry"];

type Issue = z.core.$ZodIssue;

/** One issue of the schema as problems. `raw` is what was written, before anything was replaced in it: values are shown from there. */
export function issueProblems(issue: Issue, raw: unknown, schema: JsonSchemaNode): readonly Problem[] {
  const shown = showValue(issue.path, raw, schema);
  const say = (sentence: string): readonly Problem[] => [{ paths: [issue.path], text: `${subject(issue.path)} ${sentence}` }];
  const must = (what: string): readonly Problem[] => say(`must be ${what}${shown}`);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey(issue.path, key, schema));
    case "invalid_type":
      if (issue.input === undefined && valueAt(raw, issue.path) === undefined) return say(missing(issue.path, schema));
      return must(typeName(issue.expected));
    case "too_small":
      if (issue.origin === "string" || issue.origin === "array") return say("must not be empty");
      return must(`${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`);
    case "too_big":
      return must(`at most ${issue.maximum}`);
    case "invalid_value":
      if (!issue.message.startsWith("Invalid")) return say(issue.message);
      return must(`${issue.values.length > 1 ? "one of " : ""}${issue.values.map((value) => JSON.stringify(value)).join(", ")}`);
    case "invalid_key":
      return say('is no proper name: use 1 to 64 letters, digits, "_" and "-", beginning with a letter or a digit');
    case "invalid_union":
      return issue.message.startsWith("Invalid") ? must("a text") : say(`${issue.message}${shown}`);
    case "invalid_format":
      if (issue.message.startsWith("Invalid"))
        return must('a name of 1 to 64 letters, digits, "_" and "-", beginning with a letter or a digit');
      return say(`${issue.message}${shown}`);
    case "custom":
      return say(`${issue.message}${isScalar(valueAt(raw, issue.path)) ? shown : ""}`);
    case "not_multiple_of":
    case "invalid_element":
      return say(`is not valid${shown}`);
  }
}

function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

function subject(path: ConfigPath): string {
  return path.length === 0 ? "the configuration" : pathText(path);
}

function unknownKey(path: ConfigPath, key: string, schema: JsonSchemaNode): Problem {
  const known = Object.keys(nodeAt(schema, path)?.properties ?? {});
  const guess = didYouMean(key, known);
  const way = guess === "" ? ` Known here: ${known.filter((name) => name !== "$schema").join(", ")}.` : guess;
  const full = [...path, key];
  if (later.includes(pathText(full))) return { paths: [full], text: `${pathText(full)} is not available in this version: remove it` };
  return { paths: [full], text: `${pathText(full)} is no known setting.${way}` };
}

function missing(path: ConfigPath, schema: JsonSchemaNode): string {
  const description = nodeAt(schema, path)?.description;
  return description === undefined ? "is missing" : `is missing. ${description}`;
}

function typeName(expected: string): string {
  switch (expected) {
    case "string":
      return "a text";
    case "int":
      return "a whole number";
    case "number":
      return "a number";
    case "boolean":
      return "true or false";
    case "array":
      return "a list";
    case "object":
    case "record":
      return "an object";
    default:
      return expected;
  }
}

/**
 * `, not 17`, or nothing where the value is, or may be, a secret: one below a `writeOnly` node, and a text where the
 * schema has an object or a list (`"import": "the secret"`).
 */
function showValue(path: ConfigPath, raw: unknown, schema: JsonSchemaNode): string {
  for (let length = 0; length <= path.length; length += 1) if (nodeAt(schema, path.slice(0, length))?.writeOnly === true) return "";
  const value = valueAt(raw, path);
  const type = nodeAt(schema, path)?.type;
  if (value === undefined) return "";
  if (Array.isArray(value)) return ", not a list";
  if (typeof value === "object" && value !== null) return ", not an object";
  if (typeof value !== "string") return `, not ${JSON.stringify(value)}`;
  if (type === "object" || type === "array" || type === undefined || path.includes("headers")) return ", not a text";
  // Somebody else's tool may have put credentials into an address.
  const safe = value.replace(/\/\/[^/@]*@/g, "//…@");
  return `, not ${JSON.stringify(safe.length > 100 ? `${safe.slice(0, 100)}…` : safe)}`;
}
