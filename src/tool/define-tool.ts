import { z } from "zod";
import { LatchkeyError } from "../errors.ts";
import type { ObjectSchema, Tool, ToolAnnotations, ToolContext, ToolResult } from "./tool.ts";

/** A tool written in code. `Input` is a zod object: it checks the arguments and gives `run` its types. */
export interface ToolDefinition<Input extends z.ZodObject> {
  /** 1 to 128 letters, digits, `_`, `-` and `.`. */
  readonly name: string;
  readonly title?: string | undefined;
  readonly description: string;
  readonly input: Input;
  /** With an output schema, an object that `run` returns is checked against it and sent as structured content. */
  readonly output?: z.ZodObject | undefined;
  readonly annotations?: ToolAnnotations | undefined;
  /**
   * Runs on behalf of the connection's user. A string becomes text, an object structured content. A thrown LatchkeyError
   * becomes a tool error with its code; anything else is logged and hidden from the client.
   */
  run(args: z.output<Input>, context: ToolContext): Promise<string | ToolResult | Readonly<Record<string, unknown>>>;
}

/** Makes a tool for `createLatchkey({ tools })`. Throws what zod throws for a schema that JSON Schema cannot express. */
export function defineTool<Input extends z.ZodObject>(definition: ToolDefinition<Input>): Tool {
  const { name, title, description, input, output, annotations } = definition;
  return {
    name,
    title,
    description,
    annotations,
    inputSchema: objectSchema(z.toJSONSchema(input, { io: "input" })),
    outputSchema: output === undefined ? undefined : objectSchema(z.toJSONSchema(output)),
    async run(args, context) {
      // Once more, although the schema was checked: defaults, coercions and refinements are zod's own.
      const parsed = await input.safeParseAsync(args);
      if (!parsed.success) throw new LatchkeyError("invalid_request", z.prettifyError(parsed.error));
      return toResult(await definition.run(parsed.data, context));
    },
  };
}

function objectSchema(schema: object): ObjectSchema {
  return { ...schema, type: "object" };
}

function toResult(answer: string | ToolResult | Readonly<Record<string, unknown>>): ToolResult {
  if (typeof answer === "string") return { content: [{ type: "text", text: answer }] };
  if (isToolResult(answer)) return answer;
  return { content: [{ type: "text", text: JSON.stringify(answer, null, 2) }], structured: answer };
}

function isToolResult(answer: ToolResult | Readonly<Record<string, unknown>>): answer is ToolResult {
  return Array.isArray(answer.content);
}
