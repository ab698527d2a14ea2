import { LatchkeyError } from "../../errors.ts";

/** A text that a script gave; undefined: it gave nothing. */
export function textOf(reply: unknown): string | undefined {
  return typeof reply === "string" ? reply : undefined;
}

/** A list of texts that a script gave. */
export function textsOf(reply: unknown): readonly string[] {
  if (Array.isArray(reply)) return reply.map((each) => mustText(each));
  throw strange();
}

/** A whole number that a script gave. */
export function mustInteger(reply: unknown): number {
  if (typeof reply === "number") return reply;
  throw strange();
}

function mustText(reply: unknown): string {
  if (typeof reply === "string") return reply;
  throw strange();
}

/** "": it is not there. */
export function orUndefined(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** A list that was written as JSON. What was changed from outside may be anything: it is empty then, and fails its check. */
export function jsonList(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

/** The scripts give nothing else: it cannot be but by another hand. */
function strange(): LatchkeyError {
  return new LatchkeyError("internal_error", "A script in the store did not answer as it should.");
}
