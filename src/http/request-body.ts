import { LatchkeyError } from "../errors.ts";
import type { RouteContext } from "./route.ts";

/** The largest body that any route takes. Two long JWTs fit in. */
const bodyLimitBytes = 128 * 1024;

/** The members of a JSON object. Throws LatchkeyError `invalid_request` naming what is wrong, `payload_too_large`. */
export async function readJsonObject(context: RouteContext): Promise<Readonly<Record<string, unknown>>> {
  const type = mediaType(context);
  if (type !== "application/json") throw invalid(`The body must be application/json${type === "" ? "" : `, not ${type.slice(0, 100)}`}.`);
  const text = await readText(context);
  if (text.trim() === "") throw invalid("The body is empty; it must be a JSON object.");
  const value = parse(text);
  if (!isObject(value)) throw invalid("The body must be a JSON object.");
  return value;
}

/** The fields of a form (application/x-www-form-urlencoded), or a JSON object's strings, or nothing where there is no body. */
export async function readFields(context: RouteContext): Promise<ReadonlyMap<string, string>> {
  const type = mediaType(context);
  if (type === "") return new Map();
  if (type === "application/x-www-form-urlencoded") return new Map(new URLSearchParams(await readText(context)));
  const members = Object.entries(await readJsonObject(context));
  return new Map(members.flatMap(([name, value]) => (typeof value === "string" ? [[name, value] as const] : [])));
}

/** True for what an HTML form sends. */
export function isForm(context: RouteContext): boolean {
  return mediaType(context) === "application/x-www-form-urlencoded";
}

function mediaType(context: RouteContext): string {
  const [type = ""] = (context.req.header("content-type") ?? "").split(";");
  return type.trim().toLowerCase();
}

async function readText(context: RouteContext): Promise<string> {
  const declared = Number(context.req.header("content-length") ?? 0);
  if (declared > bodyLimitBytes) throw tooLarge();
  const body = await collect(context.req.raw.body);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw invalid("The body is not valid UTF-8.");
  }
}

async function collect(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of body ?? []) {
      length += chunk.byteLength;
      if (length > bodyLimitBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (thrown) {
    throw thrown instanceof LatchkeyError ? thrown : invalid("The body did not arrive whole.");
  }
  return Buffer.concat(chunks);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the body, which may hold tokens.
    throw invalid("The body is not valid JSON.");
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(message: string): LatchkeyError {
  return new LatchkeyError("invalid_request", message);
}

function tooLarge(): LatchkeyError {
  return new LatchkeyError("payload_too_large", `The body is larger than ${bodyLimitBytes / 1024} KiB.`);
}
