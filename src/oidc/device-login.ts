import { genericGrantRequest, initiateDeviceAuthorization } from "openid-client";
import type { LatchkeyError } from "../errors.ts";
import type { VerifiedLogin } from "../token/ports.ts";
import { AnswerFault } from "./answer-fault.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { readErrorReply } from "./error-reply.ts";
import type { HttpAnswer } from "./http-exchange.ts";
import { nonEmptyString, parseJsonObject } from "./json.ts";
import { completeDeviceLogin } from "./login-completion.ts";
import { loginFailed, signInAgain } from "./login-refusal.ts";
import { scopeOf } from "./login-request.ts";
import { findEndpoint } from "./metadata.ts";

/** A sign-in on another device that has begun (RFC 8628, section 3.2). `deviceCode` is secret; the others are for the user. */
export interface DeviceLogin {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly verificationUri: string;
  /** With the user code in it. */
  readonly verificationUriComplete: string | undefined;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly intervalSeconds: number;
}

/** What the token endpoint says meanwhile. `slow_down`: ask less often from now on (RFC 8628, section 3.5). */
export type DevicePoll = { readonly kind: "pending" | "slow_down" } | { readonly kind: "signed_in"; readonly login: VerifiedLogin };

const grantType = "urn:ietf:params:oauth:grant-type:device_code";
const usualIntervalSeconds = 5;
const usualLifetimeSeconds = 600;

/** Begins one. Throws LatchkeyError `authorization_server_unavailable`, also when there is no such endpoint, and `login_failed`. */
export async function beginDeviceLogin(server: AuthorizationServer): Promise<DeviceLogin> {
  const { settings } = server;
  const metadata = await server.mustLook();
  const endpoint = findEndpoint(settings, metadata, "deviceAuthorization");
  if (endpoint.kind === "missing") throw server.unavailable(endpoint);
  const parameters = { ...settings.extraAuthorizationParameters, ...resourceOf(server), scope: scopeOf(settings) };
  const forming = await server.form(metadata, (configuration) => initiateDeviceAuthorization(configuration, parameters));
  if (forming.kind === "refused")
    throw server.unavailable({ problem: "the device authorization request cannot be made", cause: forming.thrown });
  const answer = await mustAnswer(server, forming.request);
  const reply = answer.status === 200 ? parseJsonObject(answer.body) : undefined;
  if (reply === undefined) throw refused(server, answer, readErrorReply(answer).code);
  const [deviceCode, userCode] = [nonEmptyString(reply.device_code), nonEmptyString(reply.user_code)];
  // Some write it as the draft had it.
  const verificationUri = nonEmptyString(reply.verification_uri) ?? nonEmptyString(reply.verification_url);
  if (deviceCode === undefined || userCode === undefined || verificationUri === undefined)
    throw server.unavailable({ problem: "its device authorization endpoint answered without the codes" });
  return {
    deviceCode,
    userCode,
    verificationUri,
    verificationUriComplete: nonEmptyString(reply.verification_uri_complete),
    expiresAt: answer.sentAt + secondsOr(reply.expires_in, usualLifetimeSeconds) * 1000,
    intervalSeconds: secondsOr(reply.interval, usualIntervalSeconds),
  };
}

/** Asks once. Throws LatchkeyError `login_failed` when it was denied or has expired, and `authorization_server_unavailable`: ask later. */
export async function pollDeviceLogin(server: AuthorizationServer, deviceCode: string): Promise<DevicePoll> {
  const metadata = await server.mustLook();
  const parameters = { ...resourceOf(server), device_code: deviceCode };
  const forming = await server.form(metadata, (configuration) => genericGrantRequest(configuration, grantType, parameters));
  if (forming.kind === "refused") throw server.unavailable({ problem: "the token request cannot be made", cause: forming.thrown });
  const answer = await mustAnswer(server, forming.request);
  const { code } = readErrorReply(answer);
  if (answer.status === 200 && code === undefined) return { kind: "signed_in", login: await completeDeviceLogin(server, answer) };
  switch (code) {
    case "authorization_pending":
      return { kind: "pending" };
    case "slow_down":
      return { kind: "slow_down" };
    // An open set.
    default:
      throw refused(server, answer, code);
  }
}

async function mustAnswer(
  server: AuthorizationServer,
  request: Omit<Parameters<AuthorizationServer["send"]>[0], "timeoutMs">,
): Promise<HttpAnswer> {
  const exchange = await server.send({ ...request, timeoutMs: server.requestTimeoutMs });
  const fault = exchange.kind === "answered" ? exchange.bodyFault : exchange.fault;
  if (exchange.kind === "answered" && fault === undefined) return exchange;
  throw server.unavailable({ problem: fault?.message ?? "it did not answer", cause: fault });
}

function refused(server: AuthorizationServer, answer: HttpAnswer, code: string | undefined): LatchkeyError {
  const { issuer, clientId } = server.settings;
  const cause = new AnswerFault("the device sign-in", answer, code);
  if (code === undefined || answer.status >= 500 || answer.status === 429) return server.unavailable({ problem: cause.message, cause });
  switch (code) {
    case "access_denied":
      return loginFailed(`The sign-in was denied on the other device, or ${issuer} refused it`, signInAgain, cause);
    case "expired_token":
    case "invalid_grant":
      return loginFailed("The code has expired: nobody entered it in time", signInAgain, cause);
    default:
      return loginFailed(`${issuer} refused the sign-in by device code (${code})`, `The client ${clientId} needs that grant there.`, cause);
  }
}

function resourceOf({ settings }: AuthorizationServer): Readonly<Record<string, string>> {
  return settings.resource === undefined || settings.resourceParameter === "never" ? {} : { resource: settings.resource };
}

function secondsOr(value: unknown, usual: number): number {
  const number = typeof value === "string" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) && number > 0 ? number : usual;
}
