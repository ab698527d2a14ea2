import {
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  createRequestStateCodec,
  type InputRequest,
  inputRequired,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as content from "./fixture-content.ts";

const codec = createRequestStateCodec({ key: new Uint8Array(32).fill(7) });

type Answers = Readonly<Record<string, unknown>>;

const ask = (message: string, property: string, type: "string" | "boolean" = "string"): InputRequest =>
  inputRequired.elicit({
    message,
    requestedSchema: {
      type: "object",
      properties: { [property]: type === "string" ? { type: "string" } : { type: "boolean" } },
      required: [property],
    },
  });
const sample = (text: string, maxTokens: number): InputRequest =>
  inputRequired.createMessage({ messages: [{ role: "user", content: { type: "text", text } }], maxTokens });

/** What a tool has to be told before it can answer, round by round. */
interface Asking {
  readonly rounds: readonly Readonly<Record<string, InputRequest>>[];
  /** Whether it hands out a signed state and wants it back. */
  readonly hasState?: boolean;
  readonly answer: (answers: Answers) => string;
}

const askName = ask("What is your name?", "name");
const asking: Readonly<Record<string, Asking>> = {
  test_input_required_result_elicitation: { rounds: [{ user_name: askName }], answer: () => "Hello!" },
  test_input_required_result_sampling: {
    rounds: [{ capital_question: sample("What is the capital of France?", 100) }],
    answer: ({ capital_question: answer }) => JSON.stringify(answer),
  },
  test_input_required_result_list_roots: {
    rounds: [{ client_roots: inputRequired.listRoots() }],
    answer: ({ client_roots: roots }) => JSON.stringify(roots),
  },
  test_input_required_result_request_state: {
    rounds: [{ confirm: ask("Please confirm", "ok", "boolean") }],
    hasState: true,
    answer: () => "state-ok",
  },
  test_input_required_result_tampered_state: {
    rounds: [{ confirm: ask("Please confirm", "ok", "boolean") }],
    hasState: true,
    answer: () => "state-ok",
  },
  test_input_required_result_multiple_inputs: {
    rounds: [{ user_name: askName, greeting: sample("Generate a greeting", 50), client_roots: inputRequired.listRoots() }],
    hasState: true,
    answer: (answers) => JSON.stringify(answers),
  },
  test_input_required_result_multi_round: {
    rounds: [{ step1: ask("Step 1: What is your name?", "name") }, { step2: ask("Step 2: What is your favorite color?", "color") }],
    hasState: true,
    answer: (answers) => JSON.stringify(answers),
  },
  test_streaming_elicitation: { rounds: [{ user_name: askName }], answer: () => "Hello!" },
};

/** The next question of an asking tool, or what it says when all is known. */
async function proceed({ rounds, hasState = false, answer }: Asking, { mcpReq }: ServerContext) {
  const answers = mcpReq.inputResponses ?? {};
  const state = mcpReq.requestState();
  if (typeof state === "string") await codec.verify(state, { mcpReq } as ServerContext).catch(refuseState);
  const round = rounds.findIndex((requests) => Object.keys(requests).some((key) => answers[key] === undefined));
  const asked = rounds.findLastIndex((requests) => Object.keys(requests).every((key) => answers[key] !== undefined));
  const next = asked + 1 < rounds.length ? rounds[asked + 1] : undefined;
  if (next === undefined || round === -1) return content.textResult(answer(answers));
  return inputRequired({
    inputRequests: { ...next },
    ...(hasState ? { requestState: await codec.mint({ round: asked + 1 }, { mcpReq } as ServerContext) } : {}),
  });
}

function refuseState(): never {
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, "This requestState is not one of this server.");
}

async function callTool(name: string, context: ServerContext) {
  const { mcpReq } = context;
  const fixed = Object.entries(content.fixedTools).find(([known]) => known === name)?.[1];
  if (fixed !== undefined) return fixed();
  const asker = asking[name];
  if (asker !== undefined) return proceed(asker, context);
  const envelope: Readonly<Record<string, ClientCapabilities | undefined>> = Object(mcpReq.envelope);
  const capabilities = envelope[CLIENT_CAPABILITIES_META_KEY] ?? {};
  switch (name) {
    case "test_input_required_result_capabilities":
      return inputRequired({
        inputRequests: {
          ...(capabilities.sampling === undefined ? {} : { greeting: sample("Generate a greeting", 50) }),
          ...(capabilities.elicitation === undefined ? {} : { user_name: askName }),
        },
      });
    case "test_missing_capability":
      if (capabilities.sampling === undefined) throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
      return content.textResult("The client can sample.");
    case "test_logging_tool":
      await mcpReq.log("info", "A line that only a client that asked for it may see.");
      return content.textResult("Logged.");
    case "test_tool_with_progress": {
      const progressToken = mcpReq._meta?.progressToken;
      for (const progress of progressToken === undefined ? [] : content.progressSteps)
        await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
      return content.textResult("It is done.");
    }
    default:
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${name}`);
  }
}

const others = ["test_input_required_result_capabilities", "test_missing_capability", "test_logging_tool", "test_tool_with_progress"];
const askingPrompt: Asking = { rounds: [{ user_context: ask("What context should the prompt use?", "context") }], answer: () => "" };
const askingPromptName = "test_input_required_result_prompt";
const hint = { ttlMs: 0, cacheScope: "private" as const };

/** The fixture on top of a modern server that Latchkey has made. */
export function equipModern(server: Server): void {
  server.registerCapabilities({ prompts: {}, resources: {}, completions: {}, logging: {} });
  const names = [...Object.keys(content.fixedTools), ...Object.keys(asking), ...others];
  server.setRequestHandler("tools/list", () => ({
    tools: names.map((name) => ({ name, description: name, inputSchema: content.noArguments })),
  }));
  server.setRequestHandler("tools/call", ({ params }, context) => callTool(params.name, context));
  server.setRequestHandler("prompts/list", () => ({
    ...hint,
    prompts: [...content.prompts, { name: askingPromptName, description: "Asks first" }],
  }));
  server.setRequestHandler("prompts/get", async ({ params }, context) => {
    if (params.name !== askingPromptName) return mustFind(content.getPrompt(params.name, params.arguments), params.name);
    const step = await proceed(askingPrompt, context);
    return "content" in step ? mustFind(content.getPrompt("test_simple_prompt"), params.name) : step;
  });
  server.setRequestHandler("resources/list", () => ({ ...hint, resources: content.resources }));
  server.setRequestHandler("resources/templates/list", () => ({ ...hint, resourceTemplates: content.resourceTemplates }));
  server.setRequestHandler("resources/read", ({ params }) => ({ ...hint, ...mustFind(content.readResource(params.uri), params.uri) }));
  server.setRequestHandler("completion/complete", () => content.completion);
}

function mustFind<T>(found: T | undefined, uri: string): T {
  if (found === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no ${uri}.`, { uri });
  return found;
}
