import { LatchkeyError } from "../errors.ts";
import { problemText } from "./api-failure.ts";
import { isObject, jsonResult, mediaType, type Reading, tooLarge } from "./response-reading.ts";
import type { ToolContext, ToolResult } from "./tool.ts";

/** Whether the API answers with lines of JSON. */
export function isProgressStream(response: Response): boolean {
  return ["application/x-ndjson", "application/ndjson", "application/jsonl"].includes(mediaType(response));
}

/**
 * Reads lines of JSON as they come: `{"progress", "total"?, "message"?}` is told to the client, `{"result": ...}` is
 * the answer and ends the reading, `{"error": ...}` fails it. Blank lines and other objects are passed over. Throws
 * LatchkeyError `upstream_failed` for a line that is no JSON, an error, or an end without a result, and
 * `payload_too_large` for a line over the limit.
 */
export async function readProgressStream(response: Response, reading: Reading, tell: ToolContext["progress"]): Promise<ToolResult> {
  let furthest = Number.NEGATIVE_INFINITY;
  for await (const line of linesOf(response, reading)) {
    if (line.trim() === "") continue;
    const event = parseLine(line, reading.api);
    if ("result" in event) return jsonResult(event.result);
    if ("error" in event) throw failed(reading.api, problemText(event) ?? "it failed without saying why");
    const { progress, total, message } = event;
    // MCP wants progress to grow with each notification.
    if (typeof progress !== "number" || !(progress > furthest)) continue;
    furthest = progress;
    tell(progress, typeof total === "number" ? total : undefined, typeof message === "string" ? message.slice(0, 200) : undefined);
  }
  throw failed(reading.api, "the answer ended without a result");
}

async function* linesOf(response: Response, reading: Reading): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pending = "";
  let pendingBytes = 0;
  for await (const chunk of response.body ?? []) {
    const lines = (pending + decoder.decode(chunk, { stream: true })).split("\n");
    pending = lines.pop() ?? "";
    pendingBytes = lines.length > 0 ? Buffer.byteLength(pending) : pendingBytes + chunk.byteLength;
    if (pendingBytes > reading.maxBytes || lines.some((line) => Buffer.byteLength(line) > reading.maxBytes)) throw tooLarge(reading);
    yield* lines;
  }
  const rest = pending + decoder.decode();
  if (rest !== "") yield rest;
}

function parseLine(line: string, api: string): Readonly<Record<string, unknown>> {
  try {
    const event: unknown = JSON.parse(line);
    if (isObject(event)) return event;
  } catch {
    // Told below, like any other line that is no object.
  }
  throw failed(api, "a line of its answer is no JSON object");
}

function failed(api: string, problem: string): LatchkeyError {
  return new LatchkeyError("upstream_failed", `The API "${api}" gave no result: ${problem}.`, { details: { api } });
}
