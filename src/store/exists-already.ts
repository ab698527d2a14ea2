import { LatchkeyError } from "../errors.ts";

/** What each store answers to a second record of one id, one handle or one imported refresh token. */
export function existsAlready(): LatchkeyError {
  return new LatchkeyError("conflict", "A login session of this id, handle or imported refresh token exists already.");
}
