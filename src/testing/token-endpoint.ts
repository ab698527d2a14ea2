import { createHash } from "node:crypto";
import { type Answer, errorAnswer, jsonAnswer } from "./answer.ts";
import type { Plan } from "./behaviour-rules.ts";
import { deviceGrantType } from "./discovery.ts";
import type { OpenRefresh } from "./ledger.ts";
import { refreshTokenExpiry } from "./rotation.ts";
import type { Approval, EndpointRequest, ServerState } from "./server-state.ts";
import type { Family } from "./token-families.ts";
import { makeTokenReply } from "./token-reply.ts";

/** The token endpoint: the grants `authorization_code` and `refresh_token` (RFC 6749; RFC 7636). */
export async function tokenEndpoint(state: ServerState, request: EndpointRequest, entry: OpenRefresh | undefined): Promise<Answer> {
  const { form } = request;
  const client = await state.authenticator.authenticate(request);
  if (client === undefined) {
    if (entry !== undefined) entry.outcome = "refused";
    return errorAnswer("invalid_client");
  }
  switch (form.get("grant_type")) {
    case "authorization_code":
      return await exchangeCode(state, request, client.clientId);
    case "refresh_token":
      return await refresh(state, request, client.clientId, entry);
    case deviceGrantType:
      return await exchangeDeviceCode(state, request, client.clientId);
    case null:
      return errorAnswer("invalid_request");
    default:
      return errorAnswer("unsupported_grant_type");
  }
}

async function refresh(
  state: ServerState,
  { form, plan }: EndpointRequest,
  clientId: string,
  entry: OpenRefresh | undefined,
): Promise<Answer> {
  const rotation = state.rotations.present(form.get("refresh_token") ?? "", clientId, plan);
  if (entry !== undefined) {
    entry.presentedAs = rotation.presentedAs;
    entry.outcome = rotation.outcome;
  }
  if (rotation.kind === "refused") return errorAnswer(rotation.error);
  const { record } = rotation;
  const reply = await makeTokenReply(state, plan, {
    family: record.family,
    refreshToken: rotation.inReply ? record.token : undefined,
    refreshExpiresAt: record.expiresAt,
    isLogin: false,
  });
  return jsonAnswer(200, reply.body);
}

async function exchangeCode(state: ServerState, { form, plan }: EndpointRequest, clientId: string): Promise<Answer> {
  const approval = state.approvals.get(form.get("code") ?? "");
  if (approval === undefined || approval.clientId !== clientId) return errorAnswer("invalid_grant");
  if (approval.family !== undefined) {
    // RFC 6749, section 4.1.2: a code that comes twice was stolen by one of the two.
    state.families.endFamily(approval.family, "code_reuse");
    return errorAnswer("invalid_grant");
  }
  if (form.get("redirect_uri") !== approval.redirectUri || !provesPossession(approval, form.get("code_verifier")))
    return errorAnswer("invalid_grant");
  const { subject, scope, nonce } = approval;
  const family = state.families.begin({
    subject,
    clientId,
    scope,
    nonce,
    sid: plan.get("shared_grant") === undefined ? undefined : `sid-of-${subject}`,
  });
  approval.family = family.name;
  return await firstTokens(state, plan, family);
}

/** RFC 8628, section 3.4. */
async function exchangeDeviceCode(state: ServerState, { form, plan }: EndpointRequest, clientId: string): Promise<Answer> {
  const deviceCode = form.get("device_code") ?? "";
  const device = state.devices.get(deviceCode);
  if (device === undefined || device.clientId !== clientId) return errorAnswer("expired_token");
  switch (device.state) {
    case "pending":
      return errorAnswer("authorization_pending");
    case "denied":
      return errorAnswer("access_denied");
    case "approved": {
      state.devices.delete(deviceCode);
      const { subject, scope } = device;
      return await firstTokens(state, plan, state.families.begin({ subject, clientId, scope, nonce: undefined, sid: undefined }));
    }
  }
}

async function firstTokens(state: ServerState, plan: Plan, family: Family): Promise<Answer> {
  const record = state.families.addRefreshToken(family, refreshTokenExpiry(plan, family.startedAt, state.clock.now()));
  const reply = await makeTokenReply(state, plan, {
    family,
    refreshToken: record.token,
    refreshExpiresAt: record.expiresAt,
    isLogin: true,
  });
  return jsonAnswer(200, reply.body);
}

function provesPossession({ challenge }: Approval, verifier: string | null): boolean {
  if (challenge === undefined) return verifier === null;
  return verifier !== null && createHash("sha256").update(verifier).digest("base64url") === challenge;
}
