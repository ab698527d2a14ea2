import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";

export type BodyRead =
  | { readonly kind: "complete"; readonly text: string }
  | { readonly kind: "too_large" }
  /** The client went away before the body was complete. */
  | { readonly kind: "aborted" };

/** Reads a request's body as UTF-8, at most `limitBytes` of it. Never rejects. */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<BodyRead> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let size = 0;
    request.on("data", (part: Buffer) => {
      size += part.length;
      // What is beyond the limit is read and dropped: a client that still writes would not see the answer otherwise.
      if (size <= limitBytes) parts.push(part);
      else resolve({ kind: "too_large" });
    });
    request.on("end", () => resolve({ kind: "complete", text: Buffer.concat(parts).toString("utf8") }));
    request.on("error", () => resolve({ kind: "aborted" }));
    request.on("close", () => resolve({ kind: "aborted" }));
  });
}

/** The value of a JSON text, or undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Answers with JSON that nobody caches. */
export function sendJson(response: ServerResponse, status: number, body: unknown, headers: OutgoingHttpHeaders = {}): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    ...headers,
  });
  response.end(text);
}

export interface Problem {
  readonly status: number;
  /** Stable word for programs. */
  readonly code: string;
  /** What is wrong and what to do, for people. */
  readonly detail: string;
  /** Each problem by itself, where there can be several. */
  readonly problems?: readonly string[];
}

/** Answers with a problem document (RFC 9457). */
export function sendProblem(response: ServerResponse, problem: Problem, headers: OutgoingHttpHeaders = {}): void {
  const title = titles[problem.status] ?? "Error";
  sendJson(
    response,
    problem.status,
    { type: "about:blank", title, ...problem },
    { "content-type": "application/problem+json", ...headers },
  );
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  500: "Internal Server Error",
  503: "Service Unavailable",
};
