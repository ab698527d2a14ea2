import { STATUS_CODES } from "node:http";
import { LatchkeyError, type LatchkeyErrorCode } from "../errors.ts";

/** The HTTP status of each stable code. The only place where the two meet. */
const statusOf: Readonly<Record<LatchkeyErrorCode, number>> = {
  login_required: 401,
  login_ended: 401,
  unauthorized: 401,
  insufficient_scope: 403,
  forbidden: 403,
  not_found: 404,
  invalid_request: 400,
  login_failed: 400,
  conflict: 409,
  payload_too_large: 413,
  rate_limited: 429,
  internal_error: 500,
  configuration_invalid: 500,
  upstream_failed: 502,
  authorization_server_unavailable: 503,
  store_unavailable: 503,
  cancelled: 503,
  refresh_timeout: 504,
};

/** An error of the HTTP API: a problem document (RFC 9457) with a stable `code`, and what `details` of the error add. */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly document: Readonly<Record<string, unknown>>;
}

export interface ProblemOverrides {
  /** Instead of the status that belongs to the code: 405 and the like have no code of their own. */
  readonly status?: number | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The problem document of an error. `cause` stays out: it is for the log. */
export function problemOf(error: LatchkeyError, overrides: ProblemOverrides = {}): Problem {
  const status = overrides.status ?? statusOf[error.code];
  const retryAfter: Record<string, string> =
    error.retryAfterSeconds === undefined ? {} : { "retry-after": String(Math.ceil(error.retryAfterSeconds)) };
  return {
    status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...retryAfter, ...overrides.headers },
    document: {
      ...error.details,
      type: "about:blank",
      title: STATUS_CODES[status] ?? "Error",
      status,
      code: error.code,
      detail: error.message,
      ...(error.retryable ? { retryable: true } : {}),
    },
  };
}

/** The same as a response. */
export function problemResponse(error: LatchkeyError, overrides: ProblemOverrides = {}): Response {
  const { status, headers, document } = problemOf(error, overrides);
  return new Response(JSON.stringify(document), { status, headers });
}

/** True for an error whose cause belongs in the log, since the caller can do nothing about it. */
export function isOurFault(error: LatchkeyError): boolean {
  return statusOf[error.code] >= 500;
}

/** One answer for what does not exist and for what belongs to somebody else, so that the two cannot be told apart (B4). */
export function noSuchLoginSession(): LatchkeyError {
  return new LatchkeyError("not_found", "There is no such login session, or it is not yours.");
}
