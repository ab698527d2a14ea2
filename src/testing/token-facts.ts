import { type Answer, errorAnswer, jsonAnswer } from "./answer.ts";
import type { EndpointRequest, ServerState } from "./server-state.ts";
import type { Family } from "./token-families.ts";

interface FoundToken {
  readonly kind: "refresh_token" | "access_token" | "unknown";
  readonly family: Family | undefined;
  readonly generation: number | undefined;
  readonly active: boolean;
  readonly expiresAt: number;
}

/** Introspection (RFC 7662). A client learns of its own tokens only. */
export async function introspectionEndpoint(state: ServerState, request: EndpointRequest): Promise<Answer> {
  const says = request.plan.get("introspection")?.says;
  const at = state.clock.now();
  const client = await state.authenticator.authenticate(request);
  const found = find(state, request.form.get("token") ?? "", client?.clientId);
  const active = client !== undefined && found.active && says === undefined;
  state.ledger.recordIntrospection({ at, kind: found.kind, family: found.family?.name, active });
  if (says === "not_found") return { status: 404, headers: {}, body: "" };
  if (client === undefined || says === "unauthorized") return errorAnswer("invalid_client", 401);
  if (!active || found.family === undefined) return jsonAnswer(200, { active: false });
  const { subject, scope, clientId } = found.family;
  const ends = Number.isFinite(found.expiresAt) ? { exp: Math.floor(found.expiresAt / 1000) } : {};
  return jsonAnswer(200, { active: true, sub: subject, scope, client_id: clientId, iss: state.issuer(), ...ends });
}

/** Revocation (RFC 7009). A refresh token takes its family along. */
export async function revocationEndpoint(state: ServerState, request: EndpointRequest): Promise<Answer> {
  const says = request.plan.get("revocation")?.says;
  if (says === "absent") return { status: 404, headers: {}, body: "" };
  if (says === "unavailable") return jsonAnswer(503, { error: "temporarily_unavailable" });
  const client = await state.authenticator.authenticate(request);
  if (client === undefined) return errorAnswer("invalid_client", 401);
  const token = request.form.get("token") ?? "";
  const found = find(state, token, client.clientId);
  const { kind, family, generation } = found;
  const effective = kind === "access_token" ? found.active : family !== undefined && family.ended === undefined;
  state.ledger.recordRevocation({ at: state.clock.now(), kind, family: family?.name, generation, effective });
  if (kind === "access_token") state.families.dropAccessToken(token);
  if (kind === "refresh_token" && family !== undefined) {
    state.families.end(family, "revoked");
    if (request.plan.get("shared_grant") !== undefined) state.families.endSession(family.sid, "revoked");
  }
  if (!effective && says === "refuses_unknown") return errorAnswer("invalid_token");
  return { status: 200, headers: {}, body: "" };
}

/** Userinfo (OpenID Connect Core, section 5.3). */
export function userinfoEndpoint(state: ServerState, request: EndpointRequest): Answer {
  const token = /^Bearer +(\S+)$/i.exec(request.authorization ?? "")?.[1] ?? "";
  const found = find(state, token, undefined);
  if (found.kind !== "access_token" || !found.active || found.family === undefined)
    return { status: 401, headers: { "www-authenticate": 'Bearer error="invalid_token"' }, body: "" };
  const { subject } = found.family;
  return jsonAnswer(200, { sub: subject, name: subject, preferred_username: subject });
}

/** `clientId`: undefined finds anybody's. */
function find({ families }: ServerState, token: string, clientId: string | undefined): FoundToken {
  const refresh = families.findRefreshToken(token);
  const access = families.findAccessToken(token);
  const record = refresh ?? access;
  if (record === undefined || (clientId !== undefined && record.family.clientId !== clientId))
    return { kind: "unknown", family: undefined, generation: undefined, active: false, expiresAt: 0 };
  return {
    kind: refresh === undefined ? "access_token" : "refresh_token",
    family: record.family,
    generation: refresh?.generation,
    active: refresh === undefined ? families.isAccessTokenActive(token) : families.isRefreshTokenActive(token),
    expiresAt: record.expiresAt,
  };
}
