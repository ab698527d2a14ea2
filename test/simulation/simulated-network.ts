import { ConnectionFault, type ConnectionFaultCode } from "../../src/oidc/connection-fault.ts";
import type { HttpAnswer, HttpExchange } from "../../src/oidc/http-exchange.ts";
import { readIntrospection } from "../../src/oidc/introspection.ts";
import { classifyRefresh } from "../../src/oidc/refresh-outcome.ts";
import { readRevocation } from "../../src/oidc/revocation.ts";
import { readTokenReply, revocableTokens } from "../../src/oidc/token-reply.ts";
import type { Principal, RefreshToken } from "../../src/session/login-session.ts";
import type {
  AuthorizationServerPort,
  ImportCheck,
  ImportPort,
  IntrospectionOutcome,
  RawReply,
  RefreshOutcome,
  RefreshRequest,
  RevocableToken,
  RevocationOutcome,
  Verification,
} from "../../src/token/ports.ts";
import type { Conditions, NetworkFault } from "./conditions.ts";
import type { Presentation, PresentationWitness } from "./presentation.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { type Presented, readAccessToken, type SimulatedAuthorizationServer } from "./simulated-authorization-server.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Headers | undefined;
}

/** What the way of one request looks like. */
interface Way {
  readonly fault: NetworkFault | undefined;
  readonly timeoutMs: number;
  /** Done by the authorization server, if the request arrives. */
  readonly reach: () => Answer;
  /** The answer, or what stands for it, has come into the process. */
  readonly onEnd?: (exchange: HttpExchange) => void;
}

const noHeaders = new Headers();
const requestTimeoutMs = 10_000;

/** Faults that mean something only for a refresh. */
const ofRefreshAlone: ReadonlySet<NetworkFault> = new Set([
  "refused_early",
  "wrong_subject",
  "keys_unavailable",
  "arrives_after_timeout",
  "client_refused",
]);

/**
 * The network between one process and all authorization servers, on the ports of the token service: it makes the HTTP
 * exchanges that a real one would, and the classification of the real adapter says what they mean.
 */
export class SimulatedNetwork implements AuthorizationServerPort, ImportPort {
  readonly #process: SimulatedProcess;
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #conditions: Conditions;
  readonly #servers: ReadonlyMap<string, SimulatedAuthorizationServer>;
  readonly #witness: PresentationWitness;

  constructor(
    process: SimulatedProcess,
    scheduler: Scheduler,
    random: SeededRandom,
    conditions: Conditions,
    servers: ReadonlyMap<string, SimulatedAuthorizationServer>,
    witness: PresentationWitness,
  ) {
    this.#process = process;
    this.#scheduler = scheduler;
    this.#random = random;
    this.#conditions = conditions;
    this.#servers = servers;
    this.#witness = witness;
  }

  async refresh(request: RefreshRequest): Promise<RefreshOutcome> {
    const server = this.#mustGet(request.authorizationServer);
    const presentation = this.#witness.begin(this.#process, server, request);
    const fault = this.#conditions.drawNetwork(server.traits.name, (kind) => kind !== "keys_unavailable");
    presentation.fault = fault;
    const reach = (): Answer => {
      const presented = server.present(request.refreshToken, fault === "wrong_subject" ? "mallory0" : undefined);
      presentation.arrived(presented);
      this.#witness.arrive(presentation);
      return tokenAnswer(presented, server);
    };
    const exchange = await this.#exchange({
      fault,
      timeoutMs: request.timeoutMs,
      reach,
      onEnd: (ended) => this.#ended(presentation, ended),
    });
    return classifyRefresh(exchange);
  }

  async verify(name: string, principal: Principal, reply: RawReply): Promise<Verification> {
    if (this.#conditions.drawNetwork(name, (kind) => kind === "keys_unavailable") !== undefined) {
      await this.#pause(this.#random.between(5, 500));
      return { kind: "unavailable", problem: "its keys cannot be fetched" };
    }
    const tokens = readTokenReply(reply.body);
    if (tokens === undefined) return { kind: "unreadable", problem: "no token reply" };
    if (readAccessToken(tokens.accessToken)?.subject !== principal.subject)
      return { kind: "identity_mismatch", problem: "another subject", revocable: revocableTokens(tokens) };
    return {
      kind: "verified",
      tokens: {
        accessToken: tokens.accessToken,
        expiresInSeconds: tokens.expiresInSeconds,
        refreshToken: tokens.refreshToken,
        refreshExpiresInSeconds: tokens.refreshExpiresInSeconds,
        grantedScopes: tokens.grantedScopes,
        idToken: tokens.idToken,
      },
    };
  }

  identify(name: string, principal: Principal, reply: RawReply): Promise<Verification> {
    return this.verify(name, principal, reply);
  }

  /** An ID token of the simulation is `SERVER/SUBJECT`. */
  async checkImport({ idToken }: { readonly idToken: string }): Promise<ImportCheck> {
    const [name = "", subject = ""] = idToken.split("/");
    const server = this.#mustGet(name);
    const principal: Principal = { issuer: server.issuer, subject, clientId: server.clientId };
    return { kind: "ok", authorizationServer: name, principal, profile: { name: subject }, expired: false };
  }

  async introspect(name: string, token: RefreshToken): Promise<IntrospectionOutcome> {
    const server = this.#mustGet(name);
    if (server.traits.introspection === "none") return { kind: "unsupported" };
    const reach = (): Answer => ({ status: 200, body: JSON.stringify(server.introspect(token)) });
    const exchange = await this.#ask(name, reach);
    return exchange.kind === "answered" ? readIntrospection(exchange) : { kind: "unavailable", cause: exchange.fault };
  }

  async revoke(name: string, { token }: RevocableToken): Promise<RevocationOutcome> {
    const server = this.#mustGet(name);
    if (server.traits.revocation === "unsupported") return { kind: "unsupported" };
    const reach = (): Answer => {
      server.revoke(token, "revoked_by_us");
      return { status: 200, body: "" };
    };
    const exchange = await this.#ask(name, reach);
    return exchange.kind === "answered" ? readRevocation(exchange) : { kind: "unavailable", cause: exchange.fault };
  }

  #ask(name: string, reach: () => Answer): Promise<HttpExchange> {
    const fault = this.#conditions.drawNetwork(name, (kind) => !ofRefreshAlone.has(kind));
    return this.#exchange({ fault, timeoutMs: requestTimeoutMs, reach });
  }

  #ended(presentation: Presentation, exchange: HttpExchange): void {
    const reached = exchange.kind === "answered" && exchange.bodyFault === undefined && exchange.body === presentation.body;
    if (exchange.kind === "answered" && exchange.headers !== noHeaders)
      presentation.retryAfterSeconds = Number(exchange.headers.get("retry-after") ?? "0");
    presentation.ended(reached);
    this.#witness.end(presentation);
  }

  /** One request and what becomes of it, at most until its time is over. */
  #exchange(way: Way): Promise<HttpExchange> {
    const { clock } = this.#process;
    const sentAt = clock.now();
    return new Promise((resolve) => {
      let open = true;
      const end = (exchange: HttpExchange): void => {
        if (!open) return;
        open = false;
        timer.cancel();
        way.onEnd?.(exchange);
        resolve(exchange);
      };
      const comeBack = (delayMs: number, make: () => HttpExchange): void => {
        this.#scheduler.after(delayMs, () => this.#process.enter(() => end(make())));
      };
      const timer = clock.schedule(way.timeoutMs, () =>
        end(way.fault === "connect_timeout" ? notSent("connect_timeout") : lost("timeout")),
      );
      const answer = ({ status, body, headers }: Answer, fault?: ConnectionFault): HttpAnswer => ({
        kind: "answered",
        status,
        headers: headers ?? noHeaders,
        body,
        bodyFault: fault,
        sentAt,
        receivedAt: clock.now(),
      });
      this.#travel(way, comeBack, answer);
    });
  }

  #travel(
    way: Way,
    comeBack: (delayMs: number, make: () => HttpExchange) => void,
    answer: (answer: Answer, fault?: ConnectionFault) => HttpAnswer,
  ): void {
    const random = this.#random;
    const thereMs = random.between(5, 60);
    const backMs = random.between(5, 60);
    const arrive = (atMs: number, then: (reached: Answer) => void): void => {
      this.#scheduler.after(atMs, () => then(way.reach()));
    };
    const instead = (status: number, retryAfterSeconds?: number, body = ""): void =>
      comeBack(thereMs + backMs, () => answer({ status, body, headers: retryAfter(retryAfterSeconds) }));
    switch (way.fault) {
      case undefined:
      case "wrong_subject":
      case "keys_unavailable": {
        arrive(thereMs, (reached) => comeBack(backMs, () => answer(reached)));
        return;
      }
      case "connection_refused":
        comeBack(thereMs, () => notSent("refused"));
        return;
      case "name_unknown":
        comeBack(thereMs, () => notSent("dns"));
        return;
      case "connect_timeout":
      case "silence_before_arrival":
        return;
      case "reset_before_arrival":
        comeBack(thereMs, () => lost("closed"));
        return;
      case "reply_lost_by_reset":
        arrive(thereMs, () => comeBack(backMs, () => lost("closed")));
        return;
      case "reply_lost_in_silence":
        arrive(thereMs, () => {});
        return;
      case "slow_reply":
        arrive(way.timeoutMs * random.between(0.1, 0.5), (reached) =>
          comeBack(way.timeoutMs * random.between(0.1, 0.45), () => answer(reached)),
        );
        return;
      case "too_slow_reply":
        arrive(way.timeoutMs * random.between(0.1, 0.9), (reached) => comeBack(way.timeoutMs, () => answer(reached)));
        return;
      case "arrives_after_timeout":
        arrive(way.timeoutMs + random.between(100, 60_000), () => {});
        return;
      case "bad_gateway_before":
        instead(502);
        return;
      case "bad_gateway_after":
      case "gateway_timeout_after":
        arrive(thereMs, () => comeBack(backMs, () => answer({ status: way.fault === "bad_gateway_after" ? 502 : 504, body: "<html>" })));
        return;
      case "html_after":
        arrive(thereMs, () => comeBack(backMs, () => answer({ status: 200, body: "<html>Please sign in</html>" })));
        return;
      case "cut_off_after":
        arrive(thereMs, ({ status, body }) =>
          comeBack(backMs, () =>
            answer({ status, body: body.slice(0, Math.floor(body.length / 2)) }, new ConnectionFault("cut_off", "cut off")),
          ),
        );
        return;
      case "internal_error":
        instead(500);
        return;
      case "unavailable":
        instead(503);
        return;
      case "unavailable_with_retry_after":
        instead(503, Math.round(random.between(2, 60)));
        return;
      case "too_many_requests":
        instead(429, Math.round(random.between(2, 60)));
        return;
      case "refused_early":
        instead(400, undefined, '{"error":"temporarily_refused"}');
        return;
      case "client_refused":
        instead(401, undefined, '{"error":"invalid_client"}');
        return;
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.#scheduler.after(delayMs, () => this.#process.enter(resolve)));
  }

  #mustGet(name: string): SimulatedAuthorizationServer {
    const server = this.#servers.get(name);
    if (server === undefined) throw new Error(`no simulated authorization server ${name}`);
    return server;
  }
}

function tokenAnswer(presented: Presented, { traits }: SimulatedAuthorizationServer): Answer {
  if (presented.kind === "granted") return { status: 200, body: presented.body };
  return { status: 400, body: traits.deadAnswer === "empty_400" ? "" : '{"error":"invalid_grant"}' };
}

function retryAfter(seconds: number | undefined): Headers | undefined {
  return seconds === undefined ? undefined : new Headers({ "retry-after": String(seconds) });
}

function notSent(code: ConnectionFaultCode): HttpExchange {
  return { kind: "not_sent", fault: new ConnectionFault(code, code) };
}

function lost(code: ConnectionFaultCode): HttpExchange {
  return { kind: "lost", fault: new ConnectionFault(code, code) };
}
