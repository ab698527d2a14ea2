import { LatchkeyError } from "../errors.ts";
import type { ToolResult } from "./tool.ts";

/** How the answer of an API is read. */
export interface Reading {
  /** The API's name, for messages. */
  readonly api: string;
  readonly maxBytes: number;
  /** A tool with an output schema owes structured content, whatever came. */
  readonly hasOutputSchema: boolean;
}

/**
 * Turns a successful answer into a tool's: a JSON object is the structured content, other JSON comes as
 * `{ "result": ... }`, both as readable text besides; text is text; an image is an image; of other bytes only type and
 * size are told. Throws LatchkeyError `payload_too_large`, and `upstream_failed` for JSON that is none.
 */
export async function readResponse(response: Response, reading: Reading): Promise<ToolResult> {
  const bytes = await readBytes(response, reading);
  const type = mediaType(response);
  if (bytes.length === 0) return emptyResult(response.status, reading);
  if (isJson(type)) return jsonResult(parseJson(bytes, reading.api));
  if (isText(type)) return textResult(decode(bytes, charset(response)), reading);
  if (type.startsWith("image/"))
    return {
      content: [{ type: "image", data: bytes.toString("base64"), mimeType: type }],
      structured: reading.hasOutputSchema ? { mimeType: type, bytes: bytes.length } : undefined,
    };
  const text = type === "" ? decodeStrictly(bytes) : undefined;
  if (text !== undefined) return textResult(text, reading);
  const shown = type === "" ? "unnamed data" : type;
  return {
    content: [{ type: "text", text: `The API "${reading.api}" answered ${bytes.length} bytes of ${shown}, which cannot be shown here.` }],
    structured: reading.hasOutputSchema ? { mimeType: shown, bytes: bytes.length } : undefined,
  };
}

/** A JSON value as a tool's answer. */
export function jsonResult(value: unknown): ToolResult {
  return {
    content: [{ type: "text", text: JSON.stringify(value, undefined, 2) }],
    structured: isObject(value) ? value : { result: value },
  };
}

/** The type without its parameters, in lower case; "" when there is none. */
export function mediaType(response: Response): string {
  const [type = ""] = (response.headers.get("content-type") ?? "").split(";");
  return type.trim().toLowerCase();
}

export function isJson(type: string): boolean {
  return type === "application/json" || type.endsWith("+json");
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function tooLarge(reading: Reading): LatchkeyError {
  return new LatchkeyError(
    "payload_too_large",
    `The answer of the API "${reading.api}" is larger than ${reading.maxBytes} bytes, the limit of this tool. Ask for less.`,
    { details: { api: reading.api, maxBytes: reading.maxBytes } },
  );
}

async function readBytes(response: Response, reading: Reading): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early cancels the body, and with it the transfer.
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > reading.maxBytes) throw tooLarge(reading);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function emptyResult(status: number, reading: Reading): ToolResult {
  return {
    content: [{ type: "text", text: `Done (${status}); the answer is empty.` }],
    structured: reading.hasOutputSchema ? {} : undefined,
  };
}

function textResult(text: string, reading: Reading): ToolResult {
  return { content: [{ type: "text", text }], structured: reading.hasOutputSchema ? { result: text } : undefined };
}

function parseJson(bytes: Buffer, api: string): unknown {
  try {
    // RFC 8259, section 8.1: JSON is UTF-8; the decoder takes a byte order mark away.
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new LatchkeyError("upstream_failed", `The API "${api}" answered something that it calls JSON, but that is none.`, {
      details: { api },
    });
  }
}

function isText(type: string): boolean {
  return (
    type.startsWith("text/") ||
    type.endsWith("+xml") ||
    ["application/xml", "application/yaml", "application/javascript", "application/x-www-form-urlencoded", "application/x-ndjson"].includes(
      type,
    )
  );
}

function charset(response: Response): string {
  return /;\s*charset="?([^";\s]+)/i.exec(response.headers.get("content-type") ?? "")?.[1] ?? "utf-8";
}

function decode(bytes: Buffer, label: string): string {
  try {
    return new TextDecoder(label).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

function decodeStrictly(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
