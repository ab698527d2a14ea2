/** A tool as the configuration declares it, for one request to an API. Plain JSON. */
export interface DeclaredTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly api: string;
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly inputSchema: DeclaredSchema;
  readonly outputSchema: DeclaredSchema;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly destructiveHint?: boolean;
    readonly idempotentHint: boolean;
    readonly openWorldHint: boolean;
  };
  readonly query?: readonly string[];
  readonly body?: readonly string[] | "rest" | "none";
  readonly progress?: boolean;
}

/** JSON Schema of an object. A type and no interface, so that it passes for a schema with any other keyword. */
export type DeclaredSchema = {
  readonly type: "object";
  readonly properties: Readonly<Record<string, unknown>>;
  readonly required: readonly string[];
  readonly additionalProperties: boolean;
};

const noteSchema = object({
  id: { type: "string" },
  text: { type: "string" },
  createdAt: { type: "string", format: "date-time" },
});

/** The tools of the sample API, for the configuration's `tools`. `apiName`: what the configuration calls that API. */
export function demoTools(apiName: string): readonly DeclaredTool[] {
  return [
    {
      name: "list_notes",
      title: "List notes",
      description: "Lists the notes of the signed-in user, oldest first.",
      api: apiName,
      method: "GET",
      path: "/notes",
      inputSchema: object({}),
      outputSchema: object({ notes: { type: "array", items: noteSchema } }),
      annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
    },
    {
      name: "add_note",
      title: "Add a note",
      description: "Adds a note for the signed-in user and answers with it.",
      api: apiName,
      method: "POST",
      path: "/notes",
      body: ["text"],
      inputSchema: object({ text: { type: "string", minLength: 1, maxLength: 2000, description: "What the note says." } }),
      outputSchema: noteSchema,
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
    },
    {
      name: "delete_note",
      title: "Delete a note",
      description: "Deletes one note of the signed-in user.",
      api: apiName,
      method: "DELETE",
      path: "/notes/{id}",
      body: "none",
      inputSchema: object({ id: { type: "string", minLength: 1, maxLength: 100, description: "The note's id, as list_notes gives it." } }),
      outputSchema: object({ deleted: { type: "string" } }),
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    },
    {
      name: "slow_report",
      title: "Slow report",
      description: "Makes a report about the signed-in user's notes. It takes the given time and tells its progress each second.",
      api: apiName,
      method: "GET",
      path: "/reports/slow",
      query: ["seconds"],
      inputSchema: object({ seconds: { type: "integer", minimum: 0, maximum: 120, description: "How long the report takes." } }),
      outputSchema: object({ user: { type: "string" }, seconds: { type: "integer" }, notes: { type: "integer" } }),
      annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
      progress: true,
    },
  ];
}

function object(properties: Readonly<Record<string, unknown>>): DeclaredSchema {
  return { type: "object", properties, required: Object.keys(properties), additionalProperties: false };
}
