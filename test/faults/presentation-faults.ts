import type { AnswerBehaviour, DelayBehaviour } from "../../src/testing/index.ts";
import type { Hold } from "../support/token-bench.ts";

/** The token is rotated, and the connection breaks before a byte of the reply. */
export const dropReply: AnswerBehaviour = { kind: "lost", at: "after" };

/** The connection breaks before the server has looked at the request. */
export const dropRequest: AnswerBehaviour = { kind: "lost", at: "before" };

/** The token is rotated, and the reply breaks off in the middle, though its length was announced. */
export const cutOff: AnswerBehaviour = { kind: "cut_off", how: "content_length" };

/** Answers for the server, which never sees the request. */
export function answers(status: number, body: unknown = "", headers: Readonly<Record<string, string>> = {}): AnswerBehaviour {
  const [text, type] = typeof body === "string" ? [body, "text/html"] : [JSON.stringify(body), "application/json"];
  return { kind: "answer", status, body: text, headers: { "content-type": type, ...headers }, at: "before" };
}

/** The token is rotated, and this comes instead of the reply. */
export function spoils(status: number, body: string): AnswerBehaviour {
  return { kind: "answer", status, body, headers: { "content-type": "text/html" }, at: "after" };
}

/** The server answers as it should, once it is let: it is held before it looks at the request, or before its reply. */
export function holds(hold: Hold, point: "request" | "reply"): DelayBehaviour {
  return { kind: "held", until: () => hold.wait(), at: point === "request" ? "before" : "after" };
}
