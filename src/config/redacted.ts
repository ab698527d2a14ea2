import { configJsonSchema, nodeAt } from "./json-schema.ts";
import type { ConfigPath } from "./problem.ts";
import type { Config } from "./schema.ts";

/** The configuration for printing: every secret is `"set"` or `"missing"`, whatever it is. */
export function redacted(config: Config): Readonly<Record<string, unknown>> {
  const schema = configJsonSchema();
  const walk = (value: unknown, path: ConfigPath): unknown => {
    if (nodeAt(schema, path)?.writeOnly === true) return value === undefined || value === "" ? "missing" : "set";
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (typeof value !== "object" || value === null) return value;
    const secrets = Object.entries(nodeAt(schema, path)?.properties ?? {}).flatMap(([name, node]) =>
      node.writeOnly === true ? [name] : [],
    );
    const missing = secrets.filter((name) => !Object.hasOwn(value, name)).map((name): [string, unknown] => [name, "missing"]);
    const entries = Object.entries(value).map(([name, item]): [string, unknown] => [name, walk(item, [...path, name])]);
    return Object.fromEntries([...entries, ...missing]);
  };
  return Object.fromEntries(Object.entries(config).map(([name, value]) => [name, walk(value, [name])]));
}
