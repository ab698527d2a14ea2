import { tokenIntrospection } from "openid-client";
import type { RefreshToken } from "../session/login-session.ts";
import type { IntrospectionOutcome } from "../token/ports.ts";
import { AnswerFault } from "./answer-fault.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { readErrorReply } from "./error-reply.ts";
import type { HttpAnswer } from "./http-exchange.ts";
import { parseJsonObject } from "./json.ts";
import { findEndpoint } from "./metadata.ts";
import { retryAfterSeconds } from "./retry-after.ts";

/** Asks whether a refresh token is active (RFC 7662). It is no presentation. Whether the answer can be trusted is the caller's to know (F46). Never rejects. */
export async function introspect(server: AuthorizationServer, token: RefreshToken): Promise<IntrospectionOutcome> {
  const looked = await server.look();
  if (looked.kind === "unavailable") {
    const { retryAfterSeconds: wait, cause } = looked.failure;
    return {
      kind: "unavailable",
      answered: cause instanceof AnswerFault,
      retryAfterSeconds: wait,
      cause: server.unavailable(looked.failure),
    };
  }
  if (findEndpoint(server.settings, looked.metadata, "introspection").kind === "missing") return { kind: "unsupported" };
  const forming = await server.form(looked.metadata, (configuration) =>
    tokenIntrospection(configuration, token, { token_type_hint: "refresh_token" }),
  );
  if (forming.kind === "refused") return { kind: "unsupported" };
  const exchange = await server.send({ ...forming.request, timeoutMs: server.requestTimeoutMs });
  return exchange.kind === "answered"
    ? readIntrospection(exchange, (server.clockAheadSeconds ?? 0) * 1000)
    : { kind: "unavailable", cause: exchange.fault };
}

/** What an answer of the introspection endpoint says. */
export function readIntrospection(answer: HttpAnswer, clockAheadMs = 0): IntrospectionOutcome {
  const { status } = answer;
  const passing = status < 400 || status === 408 || status === 429 || (status >= 500 && status !== 501);
  if (status !== 200) {
    if (!passing) return { kind: "unsupported" };
    const cause = new AnswerFault("the introspection endpoint", answer, readErrorReply(answer).code);
    return { kind: "unavailable", answered: true, retryAfterSeconds: retryAfterSeconds(answer.headers, answer.receivedAt), cause };
  }
  const reply = answer.bodyFault === undefined ? parseJsonObject(answer.body) : undefined;
  if (typeof reply?.active !== "boolean")
    return {
      kind: "unavailable",
      answered: true,
      cause: answer.bodyFault ?? new AnswerFault("the introspection endpoint", answer, undefined, "with something else"),
    };
  if (!reply.active) return { kind: "inactive" };
  const expiry = reply.exp;
  if (typeof expiry !== "number" || !Number.isFinite(expiry) || expiry <= 0) return { kind: "active" };
  // By its clock; everything here is counted by ours.
  return { kind: "active", expiresAt: expiry * 1000 + clockAheadMs };
}
