import { z } from "zod";
import { address, count, nameField, seconds, text } from "./fields.ts";

/** A protected API that tools call as the signed-in user. */
export const apiSection = z.strictObject({
  baseUrl: address({ httpsBeyondLoopback: false }).describe(
    'Where the API is, such as "https://notes.example.com/v1". The access token goes nowhere else.',
  ),
  authorizationServer: nameField
    .optional()
    .describe("Name of the authorization server whose access tokens it takes. Default: the only one; with several it must be set."),
  resource: text().optional().describe("Resource indicator (RFC 8707) of its access tokens. Default: that of the authorization server."),
  scopes: z.array(text()).default([]).describe("Scopes that its access tokens need. Default: those of the login."),
  timeoutSeconds: seconds({ min: 0.1, max: 3600 })
    .default(30)
    .describe("How long it may stay silent, in seconds: before its answer begins, and between two parts of it. Default: 30."),
});

const objectSchema = z.looseObject({
  type: z.literal("object"),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z
    .union([z.boolean(), z.record(z.string(), z.unknown())], { error: "must be true, false or a JSON Schema" })
    .optional(),
});

/** A tool that sends one request to an API. */
export const toolSection = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,128}$/, { error: 'must be 1 to 128 letters, digits, "_", "-" and "."' })
    .describe("The tool's name, as MCP clients see it."),
  title: text().optional().describe("A title for people. Default: none."),
  description: text().describe("What the tool does and when to use it: the model chooses tools by it."),
  api: nameField.describe("Name of the API that it calls."),
  method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE"]).default("GET").describe("The HTTP method. Default: GET."),
  path: text().describe("The path below the API's base address, with placeholders: /notes/{id}."),
  inputSchema: objectSchema
    .default({ type: "object", properties: {}, additionalProperties: false })
    .describe("JSON Schema of its arguments. Default: no arguments."),
  outputSchema: objectSchema.optional().describe("JSON Schema of its structured result. Default: none."),
  annotations: z
    .strictObject({
      title: text().optional(),
      readOnlyHint: z.boolean().optional(),
      destructiveHint: z.boolean().optional(),
      idempotentHint: z.boolean().optional(),
      openWorldHint: z.boolean().optional(),
    })
    .optional()
    .describe("Hints for clients (MCP tool annotations). Default: readOnlyHint for GET."),
  query: z
    .array(text())
    .optional()
    .describe("Arguments that go into the query. Default: with a body none, without one all that are not in the path."),
  body: z
    .union([z.array(text()), z.enum(["rest", "none"])], { error: 'must be "rest", "none" or a list of arguments' })
    .optional()
    .describe('Arguments that go into the JSON body; "rest": all others. Default: "rest" for POST, PUT and PATCH, else "none".'),
  headers: z.record(text(), z.string()).optional().describe("Headers with fixed values. Not for credentials. Default: none."),
  progress: z
    .boolean()
    .default(false)
    .describe("The API answers in lines of JSON (application/x-ndjson) that report progress; the last one is the result. Default: false."),
  maxResponseBytes: count({ min: 1, max: 104_857_600 })
    .default(1_048_576)
    .describe("The largest answer that is read, in bytes. Default: 1048576 (1 MiB)."),
});
