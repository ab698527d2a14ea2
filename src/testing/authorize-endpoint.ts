import { type Answer, errorAnswer, htmlAnswer, redirectAnswer } from "./answer.ts";
import type { EndpointRequest, ServerState } from "./server-state.ts";

/** The authorization endpoint: approves at once, without a page (RFC 6749, section 4.1; RFC 9207). */
export function authorizeEndpoint(state: ServerState, request: EndpointRequest): Answer {
  const query = request.method === "POST" ? request.form : request.query;
  const client = state.clients.find((each) => each.clientId === query.get("client_id"));
  const redirectUri = query.get("redirect_uri");
  // Never redirect to an address that is not the client's.
  if (client === undefined || redirectUri === null || !URL.canParse(redirectUri)) return errorAnswer("invalid_request");
  if (client.redirectUris !== undefined && !client.redirectUris.includes(redirectUri)) return errorAnswer("invalid_request");
  const answer = new URL(redirectUri);
  const stateValue = query.get("state");
  if (stateValue !== null) answer.searchParams.set("state", stateValue);
  answer.searchParams.set("iss", state.issuer());
  const problem = findProblem(query);
  if (problem !== undefined) {
    answer.searchParams.set("error", problem);
    return redirectAnswer(answer.href);
  }
  const code = state.secret("code");
  state.approvals.set(code, {
    clientId: client.clientId,
    subject: state.user ?? query.get("login_hint") ?? "alice",
    redirectUri,
    scope: query.get("scope") ?? "openid",
    nonce: query.get("nonce") ?? undefined,
    challenge: query.get("code_challenge") ?? undefined,
    family: undefined,
  });
  answer.searchParams.set("code", code);
  return redirectAnswer(answer.href);
}

function findProblem(query: URLSearchParams): string | undefined {
  if (query.get("response_type") !== "code") return "unsupported_response_type";
  if (query.has("code_challenge") && query.get("code_challenge_method") !== "S256") return "invalid_request";
  return undefined;
}

/** RP-initiated logout: ends every login of the session that the ID token hint names. */
export function endSessionEndpoint(state: ServerState, request: EndpointRequest): Answer {
  const query = request.method === "POST" ? request.form : request.query;
  const sid = sidOf(query.get("id_token_hint") ?? "");
  if (sid !== undefined) state.families.endSession(sid, "end_session");
  const back = query.get("post_logout_redirect_uri");
  if (back === null || !URL.canParse(back)) return htmlAnswer(200, "Signed out");
  const url = new URL(back);
  const stateValue = query.get("state");
  if (stateValue !== null) url.searchParams.set("state", stateValue);
  return redirectAnswer(url.href);
}

/** The signature does not matter here: a hint that is forged signs somebody out of a test. */
function sidOf(idToken: string): string | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(idToken.split(".")[1] ?? "", "base64url").toString("utf8"));
    if (typeof claims !== "object" || claims === null || !("sid" in claims)) return undefined;
    return typeof claims.sid === "string" ? claims.sid : undefined;
  } catch {
    return undefined;
  }
}
