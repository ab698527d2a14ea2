import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import {
  type CallToolResult,
  CompleteRequestSchema,
  type ElicitRequestFormParams,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  type RequestId,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { type CallHandler, CallLaneServer } from "../../src/mcp/call-lane-server.ts";
import * as content from "./fixture-content.ts";

type Notify = Parameters<CallHandler>[2];
interface Call {
  readonly server: Server;
  readonly id: RequestId;
  readonly args: Readonly<Record<string, unknown>>;
  readonly progressToken: string | number | undefined;
  readonly notify: Notify;
}

const message = { type: "object" as const, properties: { message: { type: "string" } }, required: ["message"] };
const prompt = { type: "object" as const, properties: { prompt: { type: "string" } }, required: ["prompt"] };

const defaults: ElicitRequestFormParams["requestedSchema"] = {
  type: "object",
  properties: {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  },
};
const titled = (word: string) =>
  ["First", "Second", "Third"].map((each, index) => ({ const: `value${index + 1}`, title: `${each} ${word}` }));
const options = ["option1", "option2", "option3"];
const enums: ElicitRequestFormParams["requestedSchema"] = {
  type: "object",
  properties: {
    untitledSingle: { type: "string", enum: options },
    titledSingle: { type: "string", oneOf: titled("Option") },
    legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"] },
    untitledMulti: { type: "array", items: { type: "string", enum: options } },
    titledMulti: { type: "array", items: { anyOf: titled("Choice") } },
  },
};

async function elicit(
  { server, id }: Call,
  question: string,
  requestedSchema: ElicitRequestFormParams["requestedSchema"],
  said: string,
): Promise<CallToolResult> {
  const answer = await server.elicitInput({ mode: "form", message: question, requestedSchema }, { relatedRequestId: id });
  return content.textResult(`${said}: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
}

const person: ElicitRequestFormParams["requestedSchema"] = {
  type: "object",
  properties: { username: { type: "string" }, email: { type: "string" } },
  required: ["username", "email"],
};

/** Tools that talk with the client while they run. */
const talking: Readonly<Record<string, { readonly inputSchema: typeof content.noArguments; run(call: Call): Promise<CallToolResult> }>> = {
  test_tool_with_logging: {
    inputSchema: content.noArguments,
    async run({ notify }) {
      for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"])
        await notify({ method: "notifications/message", params: { level: "info", data } });
      return content.textResult("Three lines were logged.");
    },
  },
  test_tool_with_progress: {
    inputSchema: content.noArguments,
    async run({ notify, progressToken }) {
      for (const progress of progressToken === undefined ? [] : content.progressSteps)
        await notify({ method: "notifications/progress", params: { progressToken: progressToken ?? 0, progress, total: 100 } });
      return content.textResult("It is done.");
    },
  },
  test_sampling: {
    inputSchema: prompt,
    async run({ server, id, args }) {
      const messages = [{ role: "user" as const, content: { type: "text" as const, text: String(args["prompt"]) } }];
      const answer = await server.createMessage({ messages, maxTokens: 100 }, { relatedRequestId: id });
      return content.textResult(`LLM response: ${"text" in answer.content ? answer.content.text : ""}`);
    },
  },
  test_elicitation: {
    inputSchema: message,
    run: (call) => elicit(call, String(call.args["message"]), person, "User response"),
  },
  test_elicitation_sep1034_defaults: {
    inputSchema: content.noArguments,
    run: (call) => elicit(call, "Look at the defaults.", defaults, "Elicitation completed"),
  },
  test_elicitation_sep1330_enums: {
    inputSchema: content.noArguments,
    run: (call) => elicit(call, "Choose.", enums, "Elicitation completed"),
  },
};

/** The fixture on top of a server that Latchkey has made: everything goes over its real transports. */
export function equipLegacy(server: Server): void {
  if (!(server instanceof CallLaneServer)) throw new Error("This is not a server of the legacy era.");
  server.registerCapabilities({ prompts: {}, resources: { subscribe: true }, completions: {}, logging: {} });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [
      ...Object.keys(content.fixedTools).map((name) => ({ name, description: name, inputSchema: content.noArguments })),
      ...Object.entries(talking).map(([name, { inputSchema }]) => ({ name, description: name, inputSchema })),
    ],
  }));
  server.setCallHandler(async (request, id, notify) => {
    const { name, arguments: args = {}, _meta: meta } = request.params;
    const fixed = Object.entries(content.fixedTools).find(([known]) => known === name)?.[1];
    if (fixed !== undefined) return fixed();
    const tool = talking[name];
    if (tool === undefined) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${name}`);
    return tool.run({ server, id, args, progressToken: meta?.progressToken, notify });
  });
  equipRest(server);
}

function equipRest(server: Server): void {
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: content.prompts }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => mustFind(content.getPrompt(params.name, params.arguments), params.name));
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: content.resources }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: content.resourceTemplates }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => mustFind(content.readResource(params.uri), params.uri));
  server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(CompleteRequestSchema, () => content.completion);
}

function mustFind<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new McpError(ErrorCode.InvalidParams, `There is no ${name}.`);
  return found;
}
