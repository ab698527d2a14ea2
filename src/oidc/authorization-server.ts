import type { Configuration } from "openid-client";
import type { Audit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import type { LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { discover } from "./discovery.ts";
import { DiscoveryCache, type Looked } from "./discovery-cache.ts";
import { type FetchedDocument, fetchDocument } from "./fetch-document.ts";
import { type Forming, formRequest } from "./formed-request.ts";
import { exchangeHttp, type HttpAnswer, type HttpExchange, type HttpRequest, type ProxyEnvironment } from "./http-exchange.ts";
import type { Trust } from "./id-token-signature.ts";
import { KeySet } from "./key-set.ts";
import { findEndpoint, type Metadata } from "./metadata.ts";
import { ServerClock } from "./server-clock.ts";
import type { AuthorizationServerSettings } from "./settings.ts";
import { type Failure, unavailable } from "./unavailable.ts";

/** What the adapter needs of its surroundings. */
export interface OidcServices {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
  /** The environment's proxies. Undefined: none. */
  readonly proxies?: ProxyEnvironment | undefined;
}

/** One authorization server as this process knows it: its settings, metadata, keys and clock. It holds nothing of any user. */
export class AuthorizationServer {
  readonly settings: AuthorizationServerSettings;
  readonly services: OidcServices;
  readonly discovery: DiscoveryCache;
  readonly #keys: KeySet;
  readonly #clock: ServerClock;
  #clockReported = false;

  constructor(settings: AuthorizationServerSettings, services: OidcServices) {
    this.settings = settings;
    this.services = services;
    this.#clock = new ServerClock(settings.clockToleranceSeconds);
    const request = { timeoutMs: this.requestTimeoutMs, send: (each: HttpRequest) => this.send(each) };
    this.discovery = new DiscoveryCache(settings, services.clock, services.logger, () => discover(settings, request));
    this.#keys = new KeySet(services.clock, () => this.#fetchKeys());
  }

  get requestTimeoutMs(): number {
    return this.settings.requestTimeoutSeconds * 1000;
  }

  /** By how much this machine's clock is ahead of the authorization server's, as `ServerClock` measures it; whole seconds. */
  get clockAheadSeconds(): number | undefined {
    return this.#clock.aheadSeconds;
  }

  /** What the authorization server's clock shows when this machine's shows `at`, as far as that is known; ms since the epoch. */
  serverTime(at: number): number {
    return at - (this.clockAheadSeconds ?? 0) * 1000;
  }

  /** A sentence for people when the two clocks are far apart, else undefined. */
  get clockNote(): string | undefined {
    const ahead = this.clockAheadSeconds ?? 0;
    if (!this.#clock.isRemarkable) return undefined;
    const side = ahead > 0 ? "ahead of" : "behind";
    return `The clock of Latchkey's machine is ${Math.abs(ahead)} s ${side} that of ${this.settings.issuer}. The login is kept alive all the same; set the clock right.`;
  }

  /** What ID tokens of this authorization server are verified by. */
  get trust(): Trust {
    return {
      keys: this.#keys,
      clientSecret: this.settings.clientSecret,
      announcedAlgorithms: async () => {
        const looked = await this.look();
        if (looked.kind === "unavailable") return looked;
        return { kind: "known", algorithms: looked.metadata.idTokenAlgorithms ?? [] };
      },
    };
  }

  /** The metadata, or why there are none. Never rejects. */
  look(): Promise<Looked> {
    return this.discovery.look();
  }

  /** The metadata; else LatchkeyError `authorization_server_unavailable`. */
  async mustLook(): Promise<Metadata> {
    const looked = await this.look();
    if (looked.kind === "unavailable") throw this.unavailable(looked.failure);
    return looked.metadata;
  }

  /** The failure as an error, for a caller or as a cause. */
  unavailable(failure: Failure): LatchkeyError {
    return unavailable(this.settings, failure);
  }

  /** One request on a connection of its own. Never rejects. */
  async send(request: HttpRequest): Promise<HttpExchange> {
    const exchange = await exchangeHttp(this.services.clock, request, this.services.proxies);
    if (exchange.kind !== "answered") return exchange;
    this.#noteClock(exchange);
    // The endpoint is not where the metadata say.
    if (exchange.status === 404 || exchange.status === 410) this.discovery.doubt();
    return exchange;
  }

  /** Lets openid-client form the request of `call`. */
  form(metadata: Metadata, call: (configuration: Configuration) => Promise<unknown>): Promise<Forming> {
    return formRequest(this.settings, metadata, this.serverTime(this.services.clock.now()) / 1000, call);
  }

  async #fetchKeys(): Promise<FetchedDocument> {
    const looked = await this.look();
    if (looked.kind === "unavailable") return { kind: "failed", failure: looked.failure };
    const endpoint = findEndpoint(this.settings, looked.metadata, "jwks");
    if (endpoint.kind === "missing") return { kind: "failed", failure: endpoint };
    const fetched = await fetchDocument({ address: endpoint.address, timeoutMs: this.requestTimeoutMs, send: (each) => this.send(each) });
    if (fetched.kind === "failed") this.discovery.doubt();
    return fetched;
  }

  /** One line when the clocks begin to differ, one when they agree again. */
  #noteClock(answer: HttpAnswer): void {
    this.#clock.note(answer);
    const { isRemarkable } = this.#clock;
    if (isRemarkable === this.#clockReported) return;
    this.#clockReported = isRemarkable;
    const { logger } = this.services;
    const fields = { authorizationServer: this.settings.name, issuer: this.settings.issuer, clockAheadSeconds: this.clockAheadSeconds };
    if (isRemarkable) logger.warn("This machine's clock differs from an authorization server's: set it right", fields);
    else logger.info("This machine's clock agrees with an authorization server's again", fields);
  }
}
