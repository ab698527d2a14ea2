import { type Answer, errorAnswer, htmlAnswer, jsonAnswer } from "./answer.ts";
import type { AnswerBehaviour } from "./behaviour.ts";

/** What is answered instead; undefined: nothing, the connection is cut. `right` is the right answer, where there is one. */
export function faultyAnswer(fault: AnswerBehaviour, right: Answer | undefined, now: number): Answer | undefined {
  switch (fault.kind) {
    case "lost":
      return undefined;
    case "unavailable":
      return unavailable(fault, now);
    case "gateway_error":
      return fault.status === 504 ? htmlAnswer(504, "504 Gateway Time-out") : htmlAnswer(502, "502 Bad Gateway");
    case "html_page":
      return htmlAnswer(200, "Please wait");
    case "cut_off":
      return right === undefined ? undefined : cutOff(right, fault.how);
    case "empty":
      return { status: fault.status ?? 400, headers: {}, body: "" };
    case "oauth_error":
      return oauthError(fault);
    case "answer":
      return { status: fault.status, headers: fault.headers ?? {}, body: fault.body ?? "" };
  }
}

function unavailable(fault: Extract<AnswerBehaviour, { kind: "unavailable" }>, now: number): Answer {
  const status = fault.status ?? 503;
  const error = status === 500 ? "server_error" : "temporarily_unavailable";
  const { retryAfterSeconds } = fault;
  if (retryAfterSeconds === undefined) return jsonAnswer(status, { error });
  const date = new Date(now + retryAfterSeconds * 1000).toUTCString();
  return jsonAnswer(status, { error }, { "retry-after": fault.retryAfterAs === "http_date" ? date : String(retryAfterSeconds) });
}

function cutOff(right: Answer, how: "content_length" | "json"): Answer {
  const half = Math.floor(Buffer.byteLength(right.body) / 2);
  if (how === "content_length") return { ...right, cutAfterBytes: half };
  return { ...right, body: Buffer.from(right.body).subarray(0, half).toString("utf8") };
}

function oauthError(fault: Extract<AnswerBehaviour, { kind: "oauth_error" }>): Answer {
  const usual = errorAnswer(fault.error, fault.status);
  if (fault.in !== "challenge") return usual;
  const scheme = fault.error === "invalid_client" ? "Basic" : "Bearer";
  return { status: usual.status, headers: { "www-authenticate": `${scheme} realm="fault server", error="${fault.error}"` }, body: "" };
}
