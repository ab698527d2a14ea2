import type { IncomingMessage, ServerResponse } from "node:http";
import { sleep } from "../clock.ts";
import { type Answer, writeAnswer } from "./answer.ts";
import { faultyAnswer } from "./answer-faults.ts";
import { authorizeEndpoint, endSessionEndpoint } from "./authorize-endpoint.ts";
import type { Moment } from "./behaviour.ts";
import type { BehaviourRules, Plan } from "./behaviour-rules.ts";
import { claimedClientId } from "./client-authentication.ts";
import { deviceAuthorizationEndpoint, devicePage } from "./device-endpoint.ts";
import { discoveryEndpoint, endpointPaths } from "./discovery.ts";
import type { OpenRefresh } from "./ledger.ts";
import { type ReadRequest, readRequest } from "./read-request.ts";
import type { RequestFacts } from "./request-facts.ts";
import type { EndpointRequest, ServerState } from "./server-state.ts";
import { tokenEndpoint } from "./token-endpoint.ts";
import { introspectionEndpoint, revocationEndpoint, userinfoEndpoint } from "./token-facts.ts";
import { Traffic } from "./traffic.ts";

/** Takes one HTTP request after the other through its faults and its endpoint. */
export class RequestHandler {
  readonly traffic = new Traffic();
  readonly #state: ServerState;
  readonly #rules: BehaviourRules;
  readonly #issuerPath: string;
  readonly #tokensInLedger: boolean;

  constructor(state: ServerState, rules: BehaviourRules, issuerPath: string, tokensInLedger: boolean) {
    this.#state = state;
    this.#rules = rules;
    this.#issuerPath = issuerPath;
    this.#tokensInLedger = tokensInLedger;
  }

  /** Never rejects: what goes wrong in here is a 500. */
  async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await readRequest(incoming, this.#issuerPath);
    if (request === undefined) return;
    const target = targetOf(request);
    if (target === undefined) {
      await writeAnswer(response, { status: 404, headers: {}, body: "" });
      return;
    }
    const facts = this.#factsOf(target, request);
    const plan = this.#rules.plan(facts);
    const entry = target === "refresh" ? this.#openRefresh(facts, request) : undefined;
    this.traffic.begin(target);
    try {
      await this.#carryOut({ ...request, plan }, target, request.path, response, entry);
    } catch {
      await writeAnswer(response, { status: 500, headers: {}, body: "" });
    } finally {
      if (entry?.reply === "pending") entry.reply = "none";
      this.traffic.end(target);
    }
  }

  async #carryOut(
    request: EndpointRequest,
    target: RequestFacts["target"],
    path: string,
    response: ServerResponse,
    entry: OpenRefresh | undefined,
  ): Promise<void> {
    const { plan } = request;
    await this.#wait(plan, "before");
    const before = plan.answer("before");
    if (before !== undefined) return await this.#send(response, faultyAnswer(before, undefined, this.#state.clock.now()), plan, entry);
    const answer = await this.#answered(request, target, path, entry);
    await this.#wait(plan, "after");
    await this.#send(response, answer, plan, entry);
  }

  /** The answer of the endpoint, as the faults after it leave it. */
  async #answered(
    request: EndpointRequest,
    target: RequestFacts["target"],
    path: string,
    entry: OpenRefresh | undefined,
  ): Promise<Answer | undefined> {
    const right = await this.#endpoint(request, target, path, entry);
    const after = request.plan.answer("after");
    return after === undefined ? right : faultyAnswer(after, right, this.#state.clock.now());
  }

  async #send(response: ServerResponse, answer: Answer | undefined, plan: Plan, entry: OpenRefresh | undefined): Promise<void> {
    if (answer === undefined) {
      if (entry !== undefined) entry.reply = "none";
      response.destroy();
      return;
    }
    if (entry !== undefined) entry.status = answer.status;
    const skew = plan.get("clock_skew");
    if (skew !== undefined && skew.shows !== "id_token")
      response.setHeader("date", new Date(this.#state.clock.now() + skew.seconds * 1000).toUTCString());
    const whole = await writeAnswer(response, answer);
    if (entry !== undefined) entry.reply = whole ? "whole" : "cut_off";
  }

  async #endpoint(request: EndpointRequest, target: RequestFacts["target"], path: string, entry: OpenRefresh | undefined): Promise<Answer> {
    const state = this.#state;
    switch (target) {
      case "refresh":
      case "code":
        return await tokenEndpoint(state, request, entry);
      case "discovery":
        return discoveryEndpoint(state, request, path === endpointPaths.moved_discovery);
      case "jwks":
        return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(await state.signing.keySet()) };
      case "authorize":
        return authorizeEndpoint(state, request);
      case "device":
        return path === endpointPaths.device ? devicePage(state, request) : await deviceAuthorizationEndpoint(state, request);
      case "introspection":
        return await introspectionEndpoint(state, request);
      case "revocation":
        return await revocationEndpoint(state, request);
      case "userinfo":
        return userinfoEndpoint(state, request);
      case "end_session":
        return endSessionEndpoint(state, request);
    }
  }

  async #wait(plan: Plan, at: Moment): Promise<void> {
    const delay = plan.delay(at);
    if (delay?.kind === "slow") await sleep(this.#state.clock, delay.milliseconds);
    if (delay?.kind === "held") await (typeof delay.until === "function" ? delay.until() : delay.until);
  }

  #factsOf(target: RequestFacts["target"], request: ReadRequest): RequestFacts {
    const { families, approvals, user } = this.#state;
    const { form, query, authorization } = request;
    const bearer = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    const token = form.get("refresh_token") ?? form.get("token") ?? bearer ?? "";
    const refreshToken = families.findRefreshToken(token);
    const family = (refreshToken ?? families.findAccessToken(token))?.family;
    const approval = approvals.get(form.get("code") ?? "");
    return {
      target,
      clientId: claimedClientId(request) ?? query.get("client_id") ?? undefined,
      subject: family?.subject ?? approval?.subject ?? user ?? query.get("login_hint") ?? undefined,
      family: refreshToken?.family.name,
      generation: refreshToken?.generation,
    };
  }

  #openRefresh({ clientId, subject }: RequestFacts, { form }: ReadRequest): OpenRefresh {
    const token = form.get("refresh_token") ?? "";
    const record = this.#state.families.findRefreshToken(token);
    return this.#state.ledger.openRefresh({
      receivedAt: this.#state.clock.now(),
      clientId,
      subject,
      family: record?.family.name,
      generation: record?.generation,
      refreshToken: this.#tokensInLedger ? token : undefined,
    });
  }
}

function targetOf({ path, form }: ReadRequest): RequestFacts["target"] | undefined {
  switch (path) {
    case "/.well-known/openid-configuration":
    case endpointPaths.moved_discovery:
      return "discovery";
    case endpointPaths.token:
      return form.get("grant_type") === "refresh_token" ? "refresh" : "code";
    case endpointPaths.jwks:
      return "jwks";
    case endpointPaths.authorize:
      return "authorize";
    case endpointPaths.device_authorization:
    case endpointPaths.device:
      return "device";
    case endpointPaths.introspection:
      return "introspection";
    case endpointPaths.revocation:
      return "revocation";
    case endpointPaths.userinfo:
      return "userinfo";
    case endpointPaths.end_session:
      return "end_session";
    default:
      return undefined;
  }
}
