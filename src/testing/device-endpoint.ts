import { type Answer, errorAnswer, htmlAnswer, jsonAnswer } from "./answer.ts";
import { endpointPaths } from "./discovery.ts";
import type { EndpointRequest, ServerState } from "./server-state.ts";

const lifetimeSeconds = 600;
/** Short: tests wait for it. */
const intervalSeconds = 1;

/** The device authorization endpoint (RFC 8628, section 3.1). */
export async function deviceAuthorizationEndpoint(state: ServerState, request: EndpointRequest): Promise<Answer> {
  const client = await state.authenticator.authenticate(request);
  if (client === undefined) return errorAnswer("invalid_client");
  const { form } = request;
  const deviceCode = state.secret("device");
  const userCode = `CODE-${state.devices.size + 1}`;
  const subject = state.user ?? form.get("login_hint") ?? "alice";
  state.devices.set(deviceCode, { clientId: client.clientId, subject, scope: form.get("scope") ?? "openid", userCode, state: "pending" });
  const page = `${state.issuer()}${endpointPaths.device}`;
  return jsonAnswer(200, {
    device_code: deviceCode,
    user_code: userCode,
    verification_uri: page,
    verification_uri_complete: `${page}?user_code=${userCode}`,
    expires_in: lifetimeSeconds,
    interval: intervalSeconds,
  });
}

/** The page where the user enters the code. Opening it approves at once; `deny` in the query denies. */
export function devicePage(state: ServerState, { query }: EndpointRequest): Answer {
  const entered = query.get("user_code");
  const device = [...state.devices.values()].find(({ userCode }) => userCode === entered);
  if (device === undefined || device.state !== "pending") return htmlAnswer(400, "This code is not known");
  device.state = query.has("deny") ? "denied" : "approved";
  return htmlAnswer(200, device.state === "denied" ? "Denied" : "Signed in");
}
