import type { LatchkeyError } from "../errors.ts";
import type { ToolContent } from "../tool/tool.ts";

/** What a tool call is answered with: a CallToolResult of either era. A type and no interface, so that it passes for both. */
export type CallAnswer = {
  content: ToolContent[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
  _meta?: Record<string, unknown>;
};

/** Where a tool error carries its machine-readable form: `{ code, retryable, retryAfterSeconds?, loginUrl?, ...details }`. */
const errorMetaKey = "latchkey/error";

/**
 * A failed call as a tool result. For the model: the message, what to do, and as the last line `code: CODE`. For
 * programs: the same under `_meta["latchkey/error"]`. No structured content: that has the tool's own output schema.
 * `loginUrl`: where the user signs in again.
 */
export function toolErrorResult(error: LatchkeyError, loginUrl?: string): CallAnswer {
  const { code, message, retryable, retryAfterSeconds, details } = error;
  const lines = [message];
  if (loginUrl !== undefined) lines.push(`Sign in here: ${loginUrl}`);
  if (retryAfterSeconds !== undefined) lines.push(`It can be tried again in ${retryAfterSeconds} s.`);
  else if (retryable) lines.push("It can be tried again.");
  lines.push(`code: ${code}`);
  return {
    content: [{ type: "text", text: lines.join("\n") }],
    isError: true,
    _meta: {
      [errorMetaKey]: {
        ...details,
        code,
        retryable,
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
        ...(loginUrl === undefined ? {} : { loginUrl }),
      },
    },
  };
}
