import { describe, expect, test } from "vitest";
import { demoTools } from "../../src/demo/tools.ts";
import { createHttpTool } from "../../src/tool/http-tool.ts";

const api = { name: "notes", baseUrl: "http://127.0.0.1:8422", scopes: [], timeoutSeconds: 30 };

describe("the declared tools of the sample API", () => {
  test("are plain JSON, as a configuration file would hold them", () => {
    const tools = demoTools("notes");
    expect(JSON.parse(JSON.stringify(tools))).toEqual(tools);
    expect(tools.map(({ name }) => name)).toEqual(["list_notes", "add_note", "delete_note", "slow_report"]);
  });

  test.each(demoTools("notes").map((tool) => [tool.name, tool] as const))("make a tool of %s", (name, declared) => {
    const tool = createHttpTool(declared, new Map([["notes", api]]));
    expect(tool).toMatchObject({ name, inputSchema: { type: "object" }, outputSchema: { type: "object" } });
    expect(tool.description.length).toBeGreaterThan(20);
  });
});
