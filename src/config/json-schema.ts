import { z } from "zod";
import { configSchema } from "./schema.ts";

/** A node of a JSON Schema (draft 2020-12), as far as Latchkey reads its own. */
export interface JsonSchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, JsonSchemaNode>>;
  readonly additionalProperties?: boolean | JsonSchemaNode;
  readonly items?: JsonSchemaNode;
  readonly [keyword: string]: unknown;
}

const node: z.ZodType<JsonSchemaNode> = z.looseObject({
  type: z.string().optional(),
  description: z.string().optional(),
  writeOnly: z.boolean().optional(),
  get properties() {
    return z.record(z.string(), node).optional();
  },
  get additionalProperties() {
    return z.union([z.boolean(), node]).optional();
  },
  get items() {
    return node.optional();
  },
});

/** The JSON Schema of `latchkey.config.json`, as one writes it. Secrets are marked `writeOnly`. */
export function configJsonSchema(): JsonSchemaNode {
  return node.parse(z.toJSONSchema(configSchema, { io: "input" }));
}

/** The node that describes the value at `path`; undefined where the schema says nothing. */
export function nodeAt(root: JsonSchemaNode, path: readonly PropertyKey[]): JsonSchemaNode | undefined {
  let at: JsonSchemaNode | undefined = root;
  for (const key of path) {
    if (at === undefined) return undefined;
    const named: JsonSchemaNode | undefined =
      typeof key === "string" && Object.hasOwn(at.properties ?? {}, key) ? at.properties?.[key] : undefined;
    const other: JsonSchemaNode | undefined = typeof at.additionalProperties === "object" ? at.additionalProperties : undefined;
    at = named ?? (typeof key === "number" ? at.items : other);
  }
  return at;
}
