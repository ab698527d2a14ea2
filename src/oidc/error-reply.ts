import type { HttpAnswer } from "./http-exchange.ts";
import { parseJsonObject } from "./json.ts";

/** What an answer says about an error: its code, if it names one, and whether it challenges the client to authenticate. */
export interface ErrorReply {
  readonly code: string | undefined;
  /** The body names it: then it was hardly a gateway that spoke. */
  readonly isInBody: boolean;
  readonly challenged: boolean;
}

const codeForm = /^[A-Za-z][A-Za-z0-9_.-]{0,39}$/;
const challengeParameter = /([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g;

/**
 * The `error` code of an answer: in a JSON body (RFC 6749, section 5.2), whatever its content type, else in a
 * `WWW-Authenticate` challenge of any scheme (F43). Descriptions are never looked at: they are for people, and some quote tokens.
 */
export function readErrorReply(answer: HttpAnswer): ErrorReply {
  const challenge = answer.headers.get("www-authenticate");
  const inBody = answer.bodyFault === undefined ? codeIn(parseJsonObject(answer.body)?.error) : undefined;
  const code = inBody ?? (challenge === null ? undefined : codeInChallenge(challenge));
  return { code, isInBody: inBody !== undefined, challenged: challenge !== null };
}

function codeInChallenge(challenge: string): string | undefined {
  // Quoted values are consumed whole, so an "error=..." inside a realm or a description is not taken for a parameter.
  for (const [, name, quoted, plain] of challenge.matchAll(challengeParameter))
    if (name?.toLowerCase() === "error") return codeIn(quoted ?? plain);
  return undefined;
}

function codeIn(value: unknown): string | undefined {
  return typeof value === "string" && codeForm.test(value) ? value : undefined;
}
