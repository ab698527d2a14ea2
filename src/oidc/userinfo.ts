import { fetchUserInfo, skipSubjectCheck } from "openid-client";
import type { AccessToken } from "../session/login-session.ts";
import { AnswerFault } from "./answer-fault.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { readErrorReply } from "./error-reply.ts";
import type { HttpAnswer } from "./http-exchange.ts";
import { type Claims, verifySignature } from "./id-token-signature.ts";
import { nonEmptyString, parseJsonObject } from "./json.ts";
import { findEndpoint } from "./metadata.ts";
import type { Failure } from "./unavailable.ts";

/** What userinfo says of an access token. */
export type Userinfo =
  /** `claims.sub` is `subject`. */
  | { readonly kind: "known"; readonly subject: string; readonly claims: Claims }
  /** No endpoint, the access token is not for it, or what it says is of no use. */
  | { readonly kind: "unsupported"; readonly problem: string }
  | { readonly kind: "unavailable"; readonly failure: Failure };

/** Asks userinfo who an access token is about (OIDC Core 5.3); a signed answer is verified. Never rejects. */
export async function askUserinfo(server: AuthorizationServer, accessToken: AccessToken): Promise<Userinfo> {
  const looked = await server.look();
  if (looked.kind === "unavailable") return looked;
  const endpoint = findEndpoint(server.settings, looked.metadata, "userinfo");
  if (endpoint.kind === "missing") return { kind: "unsupported", problem: endpoint.problem };
  const forming = await server.form(looked.metadata, (configuration) => fetchUserInfo(configuration, accessToken, skipSubjectCheck));
  if (forming.kind === "refused") return { kind: "unsupported", problem: "the userinfo request could not be formed" };
  const exchange = await server.send({ ...forming.request, timeoutMs: server.requestTimeoutMs });
  if (exchange.kind !== "answered") return { kind: "unavailable", failure: { problem: exchange.fault.message, cause: exchange.fault } };
  return await readUserinfo(server, exchange);
}

async function readUserinfo(server: AuthorizationServer, answer: HttpAnswer): Promise<Userinfo> {
  const fault = new AnswerFault("the userinfo endpoint", answer, answer.status === 200 ? undefined : readErrorReply(answer).code);
  if (answer.status === 408 || answer.status === 429 || answer.status >= 500 || answer.bodyFault !== undefined)
    return { kind: "unavailable", failure: { problem: fault.message, cause: fault } };
  if (answer.status !== 200) return { kind: "unsupported", problem: fault.message };
  const signed = answer.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() === "application/jwt";
  if (!signed) return known(parseJsonObject(answer.body));
  const check = await verifySignature(answer.body.trim(), server.trust);
  switch (check.kind) {
    case "good":
      return check.claims.iss === undefined || check.claims.iss === server.settings.issuer
        ? known(check.claims)
        : { kind: "unsupported", problem: "the answer of the userinfo endpoint is from another issuer" };
    case "bad":
    case "unknown_key":
      return { kind: "unsupported", problem: `the answer of the userinfo endpoint is not accepted: ${check.problem}` };
    case "unavailable":
      return check;
  }
}

function known(claims: Claims | undefined): Userinfo {
  const subject = nonEmptyString(claims?.sub);
  if (claims === undefined || subject === undefined) return { kind: "unsupported", problem: "the userinfo endpoint names no subject" };
  return { kind: "known", subject, claims };
}
