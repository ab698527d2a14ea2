import { LatchkeyError } from "../errors.ts";

/** One request of a chain of redirects, without the access token. Immutable. */
export interface OutgoingRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: RequestInit["body"];
}

/** Headers that decide who speaks, or to whom. They are Latchkey's alone. */
const reserved = ["authorization", "proxy-authorization", "cookie", "host"];

/** Headers that may go to an origin which the tool did not choose. An API key in a header of the tool's own may not. */
const harmlessElsewhere = new Set(["accept", "accept-language", "content-type", "content-language", "content-encoding", "user-agent"]);

const bodyHeaders = ["content-encoding", "content-language", "content-location", "content-type", "content-length"];

/**
 * Reads what the tool wants to send. Throws LatchkeyError `invalid_request` for headers that are malformed, or that a
 * tool cannot set: Authorization, Proxy-Authorization, Cookie and Host are refused, not dropped, so that nobody
 * believes they were sent.
 */
export function outgoingRequest(url: URL, init: RequestInit): OutgoingRequest {
  const headers = readHeaders(init.headers);
  const refused = reserved.filter((name) => headers.has(name));
  if (refused.length > 0)
    throw new LatchkeyError(
      "invalid_request",
      `A tool cannot set the header ${refused.join(", ")}: Latchkey attaches the signed-in user's access token by itself.`,
    );
  return { url, method: (init.method ?? "GET").toUpperCase(), headers, body: init.body };
}

/** Whether the same body can be sent a second time. A stream is used up by the first. */
export function isReplayable(request: OutgoingRequest): boolean {
  const { body } = request;
  return (
    body === undefined ||
    body === null ||
    typeof body === "string" ||
    body instanceof URLSearchParams ||
    body instanceof FormData ||
    body instanceof Blob ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  );
}

/** Whether sending the request twice may do something twice (RFC 9110, section 9.2.1). */
export function isUnsafe(request: OutgoingRequest): boolean {
  return !["GET", "HEAD", "OPTIONS"].includes(request.method);
}

/** What a redirect asks for: the next request, nothing (an ordinary answer), or something that is not done. */
export type Redirect =
  | { readonly kind: "none" }
  | { readonly kind: "to"; readonly request: OutgoingRequest }
  | { readonly kind: "refused"; readonly problem: string };

/**
 * Works out the next request as the Fetch standard does (HTTP-redirect fetch): 303, and 301 or 302 after a POST,
 * become GET without a body; 307 and 308 keep both. Stricter in two things: another origin gets only harmless headers,
 * and https never leads to http.
 */
export function followRedirect(request: OutgoingRequest, response: Response): Redirect {
  if (![301, 302, 303, 307, 308].includes(response.status)) return { kind: "none" };
  const location = response.headers.get("location");
  if (location === null) return { kind: "none" };
  const url = URL.parse(location, request.url.href);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    return { kind: "refused", problem: "redirects to an address that is neither http nor https" };
  if (url.username !== "" || url.password !== "") return { kind: "refused", problem: "redirects to an address with credentials in it" };
  if (request.url.protocol === "https:" && url.protocol === "http:") return { kind: "refused", problem: "redirects from https to http" };
  const { status } = response;
  const becomesGet = status === 303 ? request.method !== "HEAD" : (status === 301 || status === 302) && request.method === "POST";
  if (!becomesGet && !isReplayable(request)) return { kind: "refused", problem: "wants a streamed body a second time" };
  const headers = headersFor(request, url);
  if (!becomesGet) return { kind: "to", request: { ...request, url, headers } };
  for (const name of bodyHeaders) headers.delete(name);
  return { kind: "to", request: { url, method: "GET", headers, body: undefined } };
}

function headersFor(request: OutgoingRequest, url: URL): Headers {
  if (url.origin === request.url.origin) return new Headers(request.headers);
  return new Headers([...request.headers].filter(([name]) => harmlessElsewhere.has(name)));
}

function readHeaders(headers: RequestInit["headers"]): Headers {
  try {
    return new Headers(headers);
  } catch {
    // Not kept as the cause: its message quotes the value.
    throw new LatchkeyError("invalid_request", "A header of this request is malformed.");
  }
}
