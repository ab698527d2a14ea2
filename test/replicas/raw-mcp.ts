import { isFields, parseFields } from "../support/e2e-json.ts";

export type ToolOutcome =
  | { readonly kind: "answer"; readonly structured: Readonly<Record<string, unknown>> }
  /** A tool error; `code` as Latchkey names it. */
  | { readonly kind: "tool_error"; readonly code: string; readonly text: string }
  | { readonly kind: "http_error"; readonly status: number; readonly text: string }
  /** The connection was refused or broke. */
  | { readonly kind: "broken"; readonly error: unknown };

const accept = "application/json, text/event-stream";

/** One tool call over Streamable HTTP on a connection of its own, without an SDK: thousands of them cost little. */
export async function callTool(url: string, key: string, name: string): Promise<ToolOutcome> {
  const headers: Record<string, string> = { authorization: `Bearer ${key}`, "content-type": "application/json", accept };
  try {
    const opened = await post(url, headers, {
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "fleet", version: "1" } },
    });
    const session = opened.response.headers.get("mcp-session-id");
    if (opened.response.status !== 200 || session === null) return httpError(opened);
    const bound = { ...headers, "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" };
    const called = await post(url, bound, { jsonrpc: "2.0", id: 2, method: "tools/call", params: { name, arguments: {} } });
    if (called.response.status !== 200) return httpError(called);
    await (await fetch(`${url}/mcp`, { method: "DELETE", headers: bound })).arrayBuffer();
    return outcomeOf(called.message);
  } catch (error) {
    return { kind: "broken", error };
  }
}

async function post(url: string, headers: Readonly<Record<string, string>>, message: unknown) {
  const response = await fetch(`${url}/mcp`, { method: "POST", headers, body: JSON.stringify(message) });
  const text = await response.text();
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const data = isStream ? (/^data: (\{.*)$/m.exec(text)?.[1] ?? "") : text;
  return { response, text, message: parseFields(data) };
}

function httpError({ response, text }: { readonly response: Response; readonly text: string }): ToolOutcome {
  return { kind: "http_error", status: response.status, text };
}

function outcomeOf(message: Readonly<Record<string, unknown>>): ToolOutcome {
  const { result } = message;
  if (!isFields(result)) throw new Error(`There is no result in ${JSON.stringify(message)}.`);
  const structured = isFields(result["structuredContent"]) ? result["structuredContent"] : {};
  if (result["isError"] !== true) return { kind: "answer", structured };
  const meta = JSON.stringify(result);
  return { kind: "tool_error", code: /"code":"([a-z_]+)"/.exec(meta)?.[1] ?? "unknown", text: meta };
}
