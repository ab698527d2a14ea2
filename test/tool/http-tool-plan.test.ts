import { describe, expect, it } from "vitest";
import { demoTools } from "../../src/demo/tools.ts";
import type { ApiSettings } from "../../src/tool/api.ts";
import { createHttpTool, type HttpToolSettings } from "../../src/tool/http-tool.ts";

const notes: ApiSettings = { name: "notes", baseUrl: "https://notes.example", scopes: [], timeoutSeconds: 30 };
const apis = new Map([["notes", notes]]);
const string = { type: "string" };
const good: HttpToolSettings = {
  name: "get_note",
  description: "Gets a note.",
  api: "notes",
  method: "GET",
  path: "/notes/{id}",
  inputSchema: { type: "object", properties: { id: string }, required: ["id"] },
};

const problemsOf = (settings: HttpToolSettings, known: ReadonlyMap<string, ApiSettings> = apis): unknown => {
  try {
    createHttpTool(settings, known);
    return [];
  } catch (error) {
    expect(error).toMatchObject({ code: "configuration_invalid" });
    return error instanceof Error && "details" in error && (error.details as { problems: unknown }).problems;
  }
};

describe("createHttpTool", () => {
  it("makes a tool of good settings; a GET is read-only unless they say otherwise", () => {
    expect(createHttpTool(good, apis)).toMatchObject({
      name: "get_note",
      annotations: { readOnlyHint: true },
      inputSchema: good.inputSchema,
    });
    expect(createHttpTool({ ...good, annotations: { title: "x" } }, apis).annotations).toEqual({ title: "x" });
    expect(createHttpTool({ ...good, method: "DELETE" }, apis).annotations).toBeUndefined();
  });

  it("tells all problems at once", () => {
    const problems = problemsOf({
      name: "get note",
      description: " ",
      api: "nodes",
      method: "GET",
      path: "/notes/{id}/{missing}/{optional}",
      inputSchema: { type: "object", properties: { id: string, optional: string, unused: string, twice: string }, required: ["id"] },
      query: ["id", "twice", "twice", "nowhere"],
      body: ["id"],
      headers: { Authorization: "Bearer x", "bad name": "x", ok: "x\ny" },
      maxResponseBytes: 0,
    });
    expect(problems).toEqual([
      'tools.get note.api: there is no API named "nodes" (notes)',
      'tools.get note.name must be 1 to 128 letters, digits, "_", "-" and "."',
      "tools.get note.description must not be empty: the model chooses tools by it",
      "tools.get note.maxResponseBytes must be a whole number of bytes, more than 0",
      "tools.get note.body: GET cannot have a body",
      'tools.get note.headers: "Authorization" is set by Latchkey alone',
      'tools.get note.headers: "bad name" is no valid header, or its value is none',
      'tools.get note.headers: "ok" is no valid header, or its value is none',
      "tools.get note.path: the placeholder {missing} has no property of that name in inputSchema",
      "tools.get note.path: the placeholder {optional} must be in inputSchema.required",
      'tools.get note.query: "nowhere" is no property of inputSchema',
      'tools.get note: the argument "id" is used twice (path, query, body)',
      'tools.get note: the argument "twice" is used twice (query, query)',
      'tools.get note: the argument "unused" is used neither in path, nor in query, nor in body',
    ]);
  });

  it("tells what is wrong with the path and with the API's base address", () => {
    expect(problemsOf({ ...good, path: "notes?x={id}" }, new Map([["notes", { ...notes, baseUrl: "notes" }]]))).toEqual([
      "apis.notes.baseUrl must be an absolute http or https address",
      "tools.get_note.path must begin with a slash",
      "tools.get_note.path must have neither query nor fragment; list query parameters in query",
    ]);
  });

  it("takes the tools that the demo declares", () => {
    const tools = demoTools("notes").map(({ inputSchema, outputSchema, ...settings }) =>
      createHttpTool({ ...settings, inputSchema: { ...inputSchema }, outputSchema: { ...outputSchema } }, apis),
    );
    expect(tools.map(({ name }) => name).sort()).toEqual(["add_note", "delete_note", "list_notes", "slow_report"]);
  });
});
