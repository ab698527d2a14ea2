import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { systemClock } from "../clock.ts";
import type { Behaviour, Scope, Target } from "./behaviour.ts";
import { BehaviourRules, type Rule } from "./behaviour-rules.ts";
import { ClientAuthenticator } from "./client-authentication.ts";
import { endpointPaths } from "./discovery.ts";
import { type Ledger, LedgerBook } from "./ledger.ts";
import { listenOnLoopback } from "./loopback.ts";
import type { DirectLogin, FaultServerOptions, IssuedTokens } from "./options.ts";
import type { RequestFacts } from "./request-facts.ts";
import { RequestHandler } from "./request-handler.ts";
import { Rotations, refreshTokenExpiry } from "./rotation.ts";
import { secretSource } from "./secrets.ts";
import type { ServerState } from "./server-state.ts";
import { Signing } from "./signing.ts";
import { TokenFamilies } from "./token-families.ts";
import { makeTokenReply } from "./token-reply.ts";

/** An authorization server on a free port of 127.0.0.1 that misbehaves on command and keeps an exact ledger. For tests only. */
export interface FaultServer {
  readonly issuer: string;
  /** `http://127.0.0.1:PORT`, whatever it is published at. */
  readonly origin: string;
  readonly port: number;
  readonly ledger: Ledger;
  /** From now on it behaves so, for requests in this scope. Requests that were taken up before stay as they are. */
  set(behaviour: Behaviour, scope?: Scope): Rule;
  /** Asks for each request which behaviour it meets, as the last one that was set; undefined: none of this. Default: for refreshes. */
  choose(choose: (request: RequestFacts) => Behaviour | undefined, scope?: Scope): Pick<Rule, "hits" | "clear">;
  /** Takes everything away that was set since the start. */
  clear(): void;
  /** A login without a browser. Throws when the client is not known. */
  issue(login: DirectLogin): Promise<IssuedTokens>;
  /**
   * A signed logout token for the first client (OIDC Back-Channel Logout 1.0, section 2.4). It names neither `sub` nor `sid` by itself; `claims`
   * are put over its own, and undefined leaves one out.
   */
  logoutToken(claims?: Readonly<Record<string, unknown>>): Promise<string>;
  /** From now on it signs with new keys, which its key set has. The old ones it has no more. */
  rotateKeys(): void;
  /** Whether this refresh token is the current one of a family that is alive. */
  isActive(refreshToken: string): boolean;
  isAccessTokenActive(accessToken: string): boolean;
  /** Issuer and endpoints are named with this origin from now on: that of a proxy before it. */
  publishAt(origin: string): void;
  /** How many requests came there since the start. */
  requestsTo(target: Target): number;
  /** The most requests there that were under way at one time. */
  mostAtOnce(target: Target): number;
  /** Resolves when the next request there has arrived, before anything is done with it. */
  nextRequest(target: Target): Promise<void>;
  /** Resolves when no request is under way. */
  settled(): Promise<void>;
  /** Cuts every connection and refuses new ones, until `resume`. */
  suspend(): Promise<void>;
  /** Listens again, on the same port. */
  resume(): Promise<void>;
  close(): Promise<void>;
}

/** Starts one. */
export async function startFaultServer(options: FaultServerOptions = {}): Promise<FaultServer> {
  const server = new RunningFaultServer(options);
  await server.resume();
  return server;
}

class RunningFaultServer implements FaultServer {
  readonly ledger: LedgerBook;
  readonly #server: Server;
  readonly #rules: BehaviourRules;
  readonly #state: ServerState;
  readonly #handler: RequestHandler;
  readonly #issuerPath: string;
  #port = 0;
  #publishedAt: string | undefined;

  constructor(options: FaultServerOptions) {
    const clock = options.clock ?? systemClock;
    const clients = options.clients ?? [{ clientId: "client" }];
    const secret = secretSource(options.seed);
    const families = new TokenFamilies(clock, secret);
    this.#issuerPath = (options.issuerPath ?? "").replace(/\/$/, "");
    this.#rules = new BehaviourRules(options.behaviours ?? []);
    this.ledger = new LedgerBook(() => families.states());
    this.#state = {
      clock,
      secret,
      families,
      clients,
      ledger: this.ledger,
      rotations: new Rotations(families, this.ledger, clock),
      signing: new Signing(),
      authenticator: new ClientAuthenticator(clients, () => [this.issuer, `${this.issuer}${endpointPaths.token}`], clock),
      approvals: new Map(),
      devices: new Map(),
      user: options.user,
      issuer: () => this.issuer,
    };
    this.#handler = new RequestHandler(this.#state, this.#rules, this.#issuerPath, options.tokensInLedger === true);
    this.#server = createServer((request: IncomingMessage, response: ServerResponse) => void this.#handler.handle(request, response));
  }

  get port(): number {
    return this.#port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get issuer(): string {
    return `${this.#publishedAt ?? this.origin}${this.#issuerPath}`;
  }

  set(behaviour: Behaviour, scope: Scope = {}): Rule {
    return this.#rules.set(behaviour, scope);
  }

  choose(choose: (request: RequestFacts) => Behaviour | undefined, scope: Scope = {}): Pick<Rule, "hits" | "clear"> {
    return this.#rules.choose(choose, { target: "refresh", ...scope });
  }

  clear(): void {
    this.#rules.clear();
  }

  async issue(login: DirectLogin): Promise<IssuedTokens> {
    const { clients, clock, families } = this.#state;
    const clientId = login.clientId ?? clients[0]?.clientId;
    if (clientId === undefined || !clients.some((client) => client.clientId === clientId))
      throw new Error(`There is no client ${clientId}.`);
    const plan = this.#rules.plan({ target: "code", clientId, subject: login.subject, family: undefined, generation: undefined });
    const { subject, nonce, sid, scope = "openid offline_access" } = login;
    const family = families.begin({ subject, clientId, scope, nonce, sid });
    const record = families.addRefreshToken(family, refreshTokenExpiry(plan, family.startedAt, clock.now()));
    const order = { family, refreshToken: record.token, refreshExpiresAt: record.expiresAt, isLogin: true };
    const { accessToken, idToken = "", expiresInSeconds } = await makeTokenReply(this.#state, plan, order);
    return { accessToken, refreshToken: record.token, idToken, expiresInSeconds, family: family.name };
  }

  logoutToken(claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const iat = Math.floor(this.#state.clock.now() / 1000);
    const usual = { iss: this.issuer, aud: this.#state.clients[0]?.clientId, iat, exp: iat + 120, jti: this.#state.secret("logout") };
    return this.#state.signing.logoutToken({ ...usual, events: { "http://schemas.openid.net/event/backchannel-logout": {} }, ...claims });
  }

  rotateKeys(): void {
    this.#state.signing.rotate();
  }

  isActive(refreshToken: string): boolean {
    return this.#state.families.isRefreshTokenActive(refreshToken);
  }

  isAccessTokenActive(accessToken: string): boolean {
    return this.#state.families.isAccessTokenActive(accessToken);
  }

  publishAt(origin: string): void {
    this.#publishedAt = origin.replace(/\/$/, "");
  }

  requestsTo(target: Target): number {
    return this.#handler.traffic.count(target);
  }

  mostAtOnce(target: Target): number {
    return this.#handler.traffic.mostAtOnce(target);
  }

  nextRequest(target: Target): Promise<void> {
    return this.#handler.traffic.next(target);
  }

  settled(): Promise<void> {
    return this.#handler.traffic.settled();
  }

  async suspend(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async resume(): Promise<void> {
    if (!this.#server.listening) this.#port = await listenOnLoopback(this.#server, this.#port);
  }

  close(): Promise<void> {
    return this.suspend();
  }
}
