import type { ListToolsResult, Tool as WireTool } from "@modelcontextprotocol/sdk/types.js";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";
import { LatchkeyError } from "../errors.ts";
import type { ObjectSchema, Tool, ToolTable } from "../tool/tool.ts";

/** Gives the problems of a value, in words; undefined: it matches. */
export type Check = (value: unknown) => string | undefined;

/** A tool with its schemas compiled. */
export interface CatalogEntry {
  readonly tool: Tool;
  readonly checkArguments: Check;
  /** Undefined: the tool has no output schema. */
  readonly checkStructured: Check | undefined;
}

/** All that connections share of the tools. It is made once and never changes (B2). */
export interface ToolCatalog {
  /** The answer to `tools/list`, ready. */
  readonly list: ListToolsResult;
  readonly entries: ReadonlyMap<string, CatalogEntry>;
  /** One validator for every server: one made for each costs 19 KiB of heap and 190 microseconds a connection. */
  readonly validator: AjvJsonSchemaValidator;
}

/** Compiles a tool table. Throws LatchkeyError `configuration_invalid` that names each schema that cannot be compiled. */
export function createToolCatalog(tools: ToolTable): ToolCatalog {
  const validator = new AjvJsonSchemaValidator();
  const problems: string[] = [];
  const entries = new Map<string, CatalogEntry>();
  const compile = (tool: Tool, schema: ObjectSchema, what: string): Check => {
    try {
      return createCheck(validator, schema);
    } catch (error) {
      problems.push(
        `the ${what} schema of the tool "${tool.name}" is not usable: ${error instanceof Error ? error.message : String(error)}`,
      );
      return () => undefined;
    }
  };
  for (const tool of tools.values())
    entries.set(tool.name, {
      tool,
      checkArguments: compile(tool, tool.inputSchema, "input"),
      checkStructured: tool.outputSchema === undefined ? undefined : compile(tool, tool.outputSchema, "output"),
    });
  if (problems.length > 0) throw new LatchkeyError("configuration_invalid", problems.join("\n"), { details: { problems } });
  return { list: { tools: [...tools.values()].map(wireTool) }, entries, validator };
}

function createCheck(validator: AjvJsonSchemaValidator, schema: ObjectSchema): Check {
  // The SDK's type knows every keyword of JSON Schema; ours only says that it is an object.
  const plain: object = schema;
  const validate = validator.getValidator(plain);
  return (value) => {
    const result = validate(value);
    // Ajv calls the root "data", which means nothing to the reader.
    return result.valid ? undefined : result.errorMessage.replaceAll(/(^|, )data(?=[ /])/g, "$1arguments");
  };
}

function wireTool({ name, title, description, inputSchema, outputSchema, annotations }: Tool): WireTool {
  return {
    name,
    ...(title === undefined ? {} : { title }),
    description,
    inputSchema: wireSchema(inputSchema),
    ...(outputSchema === undefined ? {} : { outputSchema: wireSchema(outputSchema) }),
    ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
  };
}

function wireSchema({ properties, required, ...rest }: ObjectSchema): WireTool["inputSchema"] {
  return {
    ...rest,
    type: "object",
    ...(properties === undefined ? {} : { properties: objectsOf(properties) }),
    ...(required === undefined ? {} : { required: [...required] }),
  };
}

/** MCP wants a schema object for each property; JSON Schema's `true` and `false` are written out. */
function objectsOf(properties: Readonly<Record<string, unknown>>): Record<string, object> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [
      name,
      typeof schema === "object" && schema !== null ? schema : schema === false ? { not: {} } : {},
    ]),
  );
}
