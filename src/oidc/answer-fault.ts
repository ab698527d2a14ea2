import type { HttpAnswer } from "./http-exchange.ts";

/**
 * An answer that was not what was asked for, as a cause for the log: status and error code, nothing of headers and body
 * (B10). The message is a clause for people.
 */
export class AnswerFault extends Error {
  readonly code: string;
  readonly status: number;

  constructor(what: string, answer: Pick<HttpAnswer, "status">, errorCode: string | undefined, detail?: string) {
    super(`${what} answered ${answer.status}${errorCode === undefined ? "" : ` ${errorCode}`}${detail === undefined ? "" : ` ${detail}`}`);
    this.name = "AnswerFault";
    this.code = errorCode ?? `http_${answer.status}`;
    this.status = answer.status;
  }
}
