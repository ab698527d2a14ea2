import { z } from "zod";
import { authorizationServerSection } from "./authorization-server-section.ts";
import type { ConfigPath } from "./problem.ts";
import { type Config, configSchema } from "./schema.ts";
import { toolSection } from "./tool-sections.ts";

/** Stands for a mandatory text that is missing, so that the rest of its entry is still looked at. It never leaves this folder. */
const placeholder = "https://missing.invalid";

/** Like the schema, but with fewer mandatory settings. */
const lenientSchema = configSchema.extend({
  authorizationServers: z
    .record(
      z.string(),
      authorizationServerSection.extend({
        issuer: authorizationServerSection.shape.issuer.default(placeholder),
        clientId: authorizationServerSection.shape.clientId.default(placeholder),
      }),
    )
    .default({}),
  tools: z.array(toolSection.extend({ description: toolSection.shape.description.default(placeholder) })).default([]),
});

/** More broken values than this are not looked at one by one. */
const mostCuts = 500;

/**
 * What is left of a configuration when everything that the schema refuses is cut out, so that rules over several fields
 * can be checked although some other field is wrong. Undefined: nothing is left.
 */
export function salvage(value: unknown): Config | undefined {
  let rest = value;
  for (let cuts = 0; cuts < mostCuts; cuts += 1) {
    const result = lenientSchema.safeParse(rest);
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    if (issue === undefined) return undefined;
    const path: ConfigPath = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
    if (path.length === 0) return undefined;
    rest = without(rest, path);
  }
  return undefined;
}

/** A copy without the value at `path`; if there is none, without what should have held it. */
function without(value: unknown, path: ConfigPath): unknown {
  const [key, ...below] = path;
  if (key === undefined || typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  const next = below.length === 0 ? undefined : without(Reflect.get(value, key), below);
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => (index !== key ? [item] : next === undefined ? [] : [next]));
  const kept = Object.entries(value).filter(([name]) => name !== key);
  return Object.fromEntries(next === undefined ? kept : [...kept, [String(key), next]]);
}
