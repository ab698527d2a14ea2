/**
 * The stable codes of every error that leaves Latchkey: in problem documents of the HTTP API (RFC 9457),
 * in tool errors and in MCP errors. A code never changes its meaning.
 */
export type LatchkeyErrorCode =
  | "login_required"
  | "login_ended"
  | "authorization_server_unavailable"
  | "refresh_timeout"
  | "insufficient_scope"
  | "forbidden"
  | "not_found"
  | "unauthorized"
  | "invalid_request"
  | "conflict"
  | "payload_too_large"
  | "rate_limited"
  | "login_failed"
  | "store_unavailable"
  | "upstream_failed"
  | "cancelled"
  | "configuration_invalid"
  | "internal_error";

export interface LatchkeyErrorOptions {
  /** True when the same call may succeed later without anybody signing in again. */
  readonly retryable?: boolean;
  /** When to try again, in seconds from now, where that is known. */
  readonly retryAfterSeconds?: number;
  /** Public facts that help to act: handles, links, names. Never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** For the log only. It may hold a foreign error; the logger never prints its properties. */
  readonly cause?: unknown;
}

/**
 * The one error family at Latchkey's public edge. `code` is stable; `message` is safe to show to an MCP
 * client or a user and says what to do next; `cause` is for the log.
 */
export class LatchkeyError extends Error {
  readonly code: LatchkeyErrorCode;
  readonly retryable: boolean;
  readonly retryAfterSeconds: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: LatchkeyErrorCode, message: string, options: LatchkeyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "LatchkeyError";
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.details = options.details ?? {};
  }
}

/** Gives any thrown value as a LatchkeyError; an unknown one becomes `internal_error` with the value as cause. */
export function asLatchkeyError(thrown: unknown): LatchkeyError {
  if (thrown instanceof LatchkeyError) return thrown;
  return new LatchkeyError("internal_error", "Something went wrong inside Latchkey. The log has the cause.", {
    cause: thrown,
  });
}
