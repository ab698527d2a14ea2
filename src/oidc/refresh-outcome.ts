import type { RefreshOutcome } from "../token/ports.ts";
import { AnswerFault } from "./answer-fault.ts";
import { type ErrorReply, readErrorReply } from "./error-reply.ts";
import type { HttpAnswer, HttpExchange } from "./http-exchange.ts";
import { nonEmptyString, parseJsonObject } from "./json.ts";
import { retryAfterSeconds } from "./retry-after.ts";

/**
 * Statuses by which a gateway speaks of a request that the authorization server may well have done: 408, 502, 504, and
 * what the large CDNs add to them (520 unknown answer, 524 no answer in time, 598 and 599 read and connect timeouts).
 */
const gatewayLost: ReadonlySet<number> = new Set([408, 502, 504, 520, 524, 598, 599]);

/**
 * Codes of no standard, or of another one (RFC 8628), that can mean nothing else but a dead refresh token when the body of the
 * token endpoint's answer names them. Not `invalid_token`: gateways say that of their own tokens.
 */
const plainlyDead: ReadonlySet<string> = new Set([
  "expired_token",
  "token_expired",
  "token_inactive",
  "token_revoked",
  "invalid_refresh_token",
  "expired_refresh_token",
  "refresh_token_invalid",
  "refresh_token_expired",
  "refresh_token_revoked",
]);

/** Codes that mean a dead grant at this authorization server, besides `invalid_grant`. */
type DeadGrantCodes = readonly string[];

/**
 * Classifies one presentation of a refresh token, by status, error code and challenge alone. Decisions where the standards
 * are silent:
 * - a whole status line other than 2xx decides even if the body was cut off: the server has said that it granted nothing;
 * - an error code counts with 4xx and with 200 (some servers send errors so), never with 5xx;
 * - a redirect is a server error: it is a maintenance or sign-in page in front, and says nothing about the grant;
 * - 401 with a bare challenge speaks of the client, an empty 401 may speak of this one refresh token: refused.
 */
export function classifyRefresh(exchange: HttpExchange, deadGrantCodes: DeadGrantCodes = []): RefreshOutcome {
  switch (exchange.kind) {
    case "not_sent":
      return { kind: "not_sent", cause: exchange.fault };
    case "lost":
      return { kind: "ambiguous", cause: exchange.fault };
    case "answered":
      return classifyAnswer(exchange, deadGrantCodes);
  }
}

function classifyAnswer(answer: HttpAnswer, deadGrantCodes: DeadGrantCodes): RefreshOutcome {
  const { status } = answer;
  if (status >= 200 && status < 300) return classifySuccess(answer, deadGrantCodes);
  const error = readErrorReply(answer);
  const cause = new AnswerFault("the token endpoint", answer, error.code);
  const wait = retryAfterSeconds(answer.headers, answer.receivedAt);
  if (gatewayLost.has(status)) return { kind: "ambiguous", cause };
  if (status < 400 || status >= 500) return { kind: "server_error", retryAfterSeconds: wait, cause };
  if (status === 429) return { kind: "refused", errorCode: error.code, retryAfterSeconds: wait, cause };
  return classifyError(answer, error, cause, deadGrantCodes);
}

function classifySuccess(answer: HttpAnswer, deadGrantCodes: DeadGrantCodes): RefreshOutcome {
  if (answer.bodyFault !== undefined) return { kind: "ambiguous", cause: answer.bodyFault };
  const body = parseJsonObject(answer.body);
  if (nonEmptyString(body?.access_token) !== undefined)
    return { kind: "rotated", reply: { sentAt: answer.sentAt, receivedAt: answer.receivedAt, body: answer.body } };
  const error = readErrorReply(answer);
  if (body !== undefined && error.code !== undefined)
    return classifyError(answer, error, new AnswerFault("the token endpoint", answer, error.code), deadGrantCodes);
  return { kind: "ambiguous", cause: new AnswerFault("the token endpoint", answer, undefined, "without an access token") };
}

function classifyError(answer: HttpAnswer, error: ErrorReply, cause: AnswerFault, deadGrantCodes: DeadGrantCodes): RefreshOutcome {
  if (error.code !== undefined && deadGrantCodes.includes(error.code)) return { kind: "grant_dead", cause };
  if (error.code !== undefined && error.isInBody && plainlyDead.has(error.code)) return { kind: "grant_dead", cause };
  const wait = retryAfterSeconds(answer.headers, answer.receivedAt);
  switch (error.code) {
    case "invalid_grant":
      return { kind: "grant_dead", cause };
    case "invalid_client":
    case "unauthorized_client":
      return { kind: "client_broken", cause };
    case "server_error":
    case "temporarily_unavailable":
      return { kind: "server_error", retryAfterSeconds: wait, cause };
    case undefined:
      if (answer.status === 401 && error.challenged) return { kind: "client_broken", cause };
      return { kind: "refused", retryAfterSeconds: wait, cause };
    // The codes of OAuth extensions are an open set: whatever it is, it is no word about the grant.
    default:
      return { kind: "refused", errorCode: error.code, retryAfterSeconds: wait, cause };
  }
}
