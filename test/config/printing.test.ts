import { describe, expect, test } from "vitest";
import { configJsonSchema, type JsonSchemaNode } from "../../src/config/json-schema.ts";
import { redacted } from "../../src/config/redacted.ts";
import { mustLoad, sound, withServer } from "./loading.ts";

const secret = "canary-4711-this-must-never-be-shown";

test('printing says of secrets only "set" or "missing" (B10)', () => {
  const config = mustLoad(
    {
      authorizationServers: {
        open: { issuer: "https://one.example.com", clientId: "public" },
        confidential: { issuer: "https://two.example.com", clientId: "latchkey", clientSecret: "${CLIENT_SECRET}" },
      },
      import: { secret },
    },
    { env: { CLIENT_SECRET: secret } },
  );
  const printed = redacted(config);
  expect(printed).toMatchObject({
    authorizationServers: { open: { clientSecret: "missing" }, confidential: { clientSecret: "set", clientId: "latchkey" } },
    import: { secret: "set" },
    server: { port: 8420 },
  });
  expect(JSON.stringify(printed)).not.toContain(secret.slice(0, 12));
});

test("printing leaves the configuration as it was", () => {
  const config = mustLoad(withServer({ clientSecret: secret }));
  redacted(config);
  expect(config.authorizationServers["main"]?.clientSecret).toBe(secret);
});

describe("the JSON Schema", () => {
  const schema = configJsonSchema();

  test("describes every setting, with its default or that there is none", () => {
    const undescribed = settings(schema, "").filter(([, node]) => node.description === undefined);
    expect(undescribed.map(([path]) => path)).toEqual([]);
    const required = new Set([
      "issuer",
      "clientId",
      "baseUrl",
      "name",
      "description",
      "api",
      "path",
      "certificateFile",
      "keyFile",
      "secret",
      "id",
      "key",
      "authorizationServers",
    ]);
    const leaves = settings(schema, "").filter(
      ([path, node]) => node.properties === undefined && !required.has(path.split(".").at(-1) ?? ""),
    );
    expect(leaves.filter(([path, node]) => path !== "$schema" && !/Default: /.test(node.description ?? "")).map(([path]) => path)).toEqual(
      [],
    );
  });

  test("says the unit of each time", () => {
    const times = settings(schema, "").filter(([path]) => path.endsWith("Seconds"));
    expect(times.length).toBeGreaterThan(8);
    expect(times.filter(([, node]) => !/in seconds/.test(node.description ?? "")).map(([path]) => path)).toEqual([]);
  });

  test("is strict, and allows both ways to write a secret", () => {
    expect(schema.additionalProperties).toBe(false);
    const server = schema.properties?.["authorizationServers"]?.additionalProperties;
    expect(server).toMatchObject({
      additionalProperties: false,
      properties: { clientSecret: { writeOnly: true, anyOf: [{ type: "string" }, { type: "object" }] } },
    });
  });

  test("has a draft, and asks for nothing but authorization servers", () => {
    expect(schema).toMatchObject({ $schema: "https://json-schema.org/draft/2020-12/schema", required: ["authorizationServers"] });
    expect(mustLoad(sound({ $schema: "./latchkey.schema.json" })).$schema).toBe("./latchkey.schema.json");
  });
});

/** All settings by path; what tools say about themselves (hints, JSON Schemas) is not ours to describe. */
function settings(node: JsonSchemaNode, path: string): readonly (readonly [string, JsonSchemaNode])[] {
  const below = Object.entries(node.properties ?? {}).flatMap(([name, child]): readonly (readonly [string, JsonSchemaNode])[] => {
    const full = path === "" ? name : `${path}.${name}`;
    if (["inputSchema", "outputSchema", "annotations"].includes(name)) return [[full, { ...child, properties: {} }]];
    return [[full, child], ...settings(child, full)];
  });
  const entries = typeof node.additionalProperties === "object" ? settings(node.additionalProperties, `${path}.*`) : [];
  return [...below, ...entries, ...(node.items === undefined ? [] : settings(node.items, `${path}[]`))];
}
