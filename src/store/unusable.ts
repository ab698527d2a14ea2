import { LatchkeyError } from "../errors.ts";

/** An error that names what is wrong with the store: it is told at the start, to whoever runs Latchkey. */
export function unusable(problem: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError("configuration_invalid", `The store cannot be used: ${problem}`, { details: { problems: [problem] }, cause });
}
