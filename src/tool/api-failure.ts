import { STATUS_CODES } from "node:http";
import { LatchkeyError } from "../errors.ts";
import { isJson, isObject, mediaType } from "./response-reading.ts";

/** Of the body of an error this much is looked at, bytes; and this much of its message is told, characters. */
const readBytes = 16 * 1024;
const toldCharacters = 300;

/**
 * What an answer of 400 and more, or a redirect that was not followed, means to the caller of the tool.
 * `insufficient_scope` when the challenge says so (RFC 6750, section 3.1), naming the scopes; else `upstream_failed`
 * with the status and the message of the problem document (RFC 9457). Headers are never told.
 */
export async function apiFailure(api: string, response: Response): Promise<LatchkeyError> {
  const { status } = response;
  const said = await messageOf(response);
  const tail = said === undefined ? "" : `: ${said}`;
  const missing = status === 401 || status === 403 ? missingScopes(response.headers.get("www-authenticate") ?? "") : undefined;
  if (missing !== undefined) return insufficientScope(api, status, missing, tail);
  if (status === 401)
    return new LatchkeyError(
      "upstream_failed",
      `The API "${api}" refused the access token of this login session (401)${tail}. The login itself may be well: check apis.${api}.resource and apis.${api}.scopes in the configuration.`,
      { details: { api, status } },
    );
  const retryAfterSeconds = retryAfter(response);
  return new LatchkeyError(
    "upstream_failed",
    `The API "${api}" answered ${status} ${STATUS_CODES[status] ?? ""}`.trimEnd() + tail + (tail === "" ? "." : ""),
    {
      details: { api, status },
      retryable: [408, 429, 502, 503, 504].includes(status),
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    },
  );
}

/** The message of a problem document or of one of its older cousins, on one line and cut to a length. */
export function problemText(body: unknown): string | undefined {
  if (typeof body === "string") return oneLine(body);
  if (!isObject(body)) return undefined;
  for (const name of ["detail", "title", "error_description", "message", "error"]) {
    const value = body[name];
    const text = name === "error" && isObject(value) ? problemText(value) : typeof value === "string" ? oneLine(value) : undefined;
    if (text !== undefined) return text;
  }
  return undefined;
}

async function messageOf(response: Response): Promise<string | undefined> {
  const type = mediaType(response);
  try {
    const text = await readBeginning(response);
    if (isJson(type)) return problemText(JSON.parse(text));
    // A page in HTML is for people at browsers.
    return type === "text/plain" ? oneLine(text) : undefined;
  } catch (error) {
    // The end of the login session is more important than what the API said.
    if (error instanceof LatchkeyError && error.code !== "upstream_failed") throw error;
    return undefined;
  }
}

async function readBeginning(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size >= readBytes) break;
  }
  return new TextDecoder().decode(Buffer.concat(chunks).subarray(0, readBytes));
}

function oneLine(text: string): string | undefined {
  const line = text.replace(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
  if (line === "") return undefined;
  return line.length > toldCharacters ? `${line.slice(0, toldCharacters).trimEnd()}...` : line;
}

/** The scopes of an `insufficient_scope` challenge, perhaps none; undefined: it is no such challenge. */
function missingScopes(challenge: string): readonly string[] | undefined {
  const parameters = new Map(
    [...challenge.matchAll(/([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi)].map(([, name = "", quoted, bare]) => [
      name.toLowerCase(),
      quoted ?? bare ?? "",
    ]),
  );
  if (parameters.get("error") !== "insufficient_scope") return undefined;
  // RFC 6749, section 3.3: what a scope is made of.
  return (parameters.get("scope") ?? "")
    .split(" ")
    .filter((scope) => /^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(scope))
    .slice(0, 20);
}

function insufficientScope(api: string, status: number, scopes: readonly string[], tail: string): LatchkeyError {
  const wanted = scopes.length === 0 ? "more scopes" : `the scope ${scopes.join(" ")}`;
  return new LatchkeyError(
    "insufficient_scope",
    `The API "${api}" wants ${wanted}, which the access token does not have${tail}. Add it to apis.${api}.scopes and to the scopes of the authorization server in the configuration, then sign in again.`,
    { details: { api, status, scopes } },
  );
}

/** RFC 9110, section 10.2.3, in its form of seconds; a date would need the API's clock to agree with ours. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get("retry-after") ?? "";
  return /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}
