import { tokenRevocation } from "openid-client";
import type { RevocableToken, RevocationOutcome } from "../token/ports.ts";
import { AnswerFault } from "./answer-fault.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { readErrorReply } from "./error-reply.ts";
import type { HttpAnswer } from "./http-exchange.ts";
import { findEndpoint } from "./metadata.ts";
import { retryAfterSeconds } from "./retry-after.ts";

/** Revokes a token (RFC 7009). Never rejects. */
export async function revoke(server: AuthorizationServer, { kind, token }: RevocableToken): Promise<RevocationOutcome> {
  const looked = await server.look();
  if (looked.kind === "unavailable")
    return { kind: "unavailable", retryAfterSeconds: looked.failure.retryAfterSeconds, cause: server.unavailable(looked.failure) };
  if (findEndpoint(server.settings, looked.metadata, "revocation").kind === "missing") return { kind: "unsupported" };
  const forming = await server.form(looked.metadata, (configuration) => tokenRevocation(configuration, token, { token_type_hint: kind }));
  if (forming.kind === "refused") return { kind: "unsupported" };
  const exchange = await server.send({ ...forming.request, timeoutMs: server.requestTimeoutMs });
  return exchange.kind === "answered" ? readRevocation(exchange) : { kind: "unavailable", cause: exchange.fault };
}

/**
 * 400 without a code, or about an unknown token, means that nothing is left to revoke (F45). Any other code of a 400 or 403
 * will be the same next time, and the token may live: it counts as not supported, never as revoked.
 */
export function readRevocation(answer: HttpAnswer): RevocationOutcome {
  const { status } = answer;
  if (status >= 200 && status < 300) return { kind: "revoked" };
  const { code } = readErrorReply(answer);
  const later: RevocationOutcome = {
    kind: "unavailable",
    retryAfterSeconds: retryAfterSeconds(answer.headers, answer.receivedAt),
    cause: new AnswerFault("the revocation endpoint", answer, code),
  };
  if (code === "invalid_client" || code === "unauthorized_client") return later;
  if (status === 400)
    return code === undefined || code === "invalid_token" || code === "invalid_grant" ? { kind: "revoked" } : { kind: "unsupported" };
  return status === 403 || status === 405 || status === 501 ? { kind: "unsupported" } : later;
}
