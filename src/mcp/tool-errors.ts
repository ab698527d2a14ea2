import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import type { LatchkeyError } from "../errors.ts";

/** Where a tool error carries its machine-readable form: `{ code, retryable, retryAfterSeconds?, loginUrl?, ...details }`. */
const errorMetaKey = "latchkey/error";

/**
 * A failed call as a tool result. For the model: the message, what to do, and as the last line `code: CODE`. For
 * programs: the same under `_meta["latchkey/error"]`. No structured content: that has the tool's own output schema.
 * `loginUrl`: where the user signs in again.
 */
export function toolErrorResult(error: LatchkeyError, loginUrl?: string): CallToolResult {
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
