import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Clock } from "../clock.ts";
import { ConnectionFault, connectionFault, type ExchangePhase, peerOf, timeoutFault } from "./connection-fault.ts";
import { isLoopback } from "./endpoint-address.ts";

/** One request. Headers and body may hold secrets. */
export interface HttpRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Covers everything: name, connection, TLS, request, whole answer. */
  readonly timeoutMs: number;
}

/** An answer whose status line and headers came. */
export interface HttpAnswer {
  readonly kind: "answered";
  readonly status: number;
  readonly headers: Headers;
  /** As far as it came. */
  readonly body: string;
  /** Undefined when the body is whole; else why it is not. */
  readonly bodyFault: ConnectionFault | undefined;
  /** When the request was written and when the answer ended, milliseconds since the epoch. */
  readonly sentAt: number;
  readonly receivedAt: number;
}

/** What became of a request, exact in whether it can have arrived. */
export type HttpExchange =
  | HttpAnswer
  /** Not one byte of the request was written. */
  | { readonly kind: "not_sent"; readonly fault: ConnectionFault }
  /** The request, or a part of it, was written and no status line came back. */
  | { readonly kind: "lost"; readonly fault: ConnectionFault };

/** The variables of the environment that name proxies: HTTPS_PROXY, NO_PROXY, and the same in small letters. */
export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

const longestBodyBytes = 1024 * 1024;

/**
 * One HTTP request on a connection of its own, never repeated, no redirect followed. Never rejects. A pooled connection
 * may be dying when it is used, and then nobody knows whether the request arrived; here the request is written only
 * once the connection stands, so `not_sent` and `lost` are exact. With a proxy it stands when the tunnel and TLS in it do.
 */
export function exchangeHttp(clock: Clock, request: HttpRequest, proxies: ProxyEnvironment = {}): Promise<HttpExchange> {
  return new Promise((resolve) => new Exchange(clock, request, proxies, resolve).start());
}

class Exchange {
  readonly #clock: Clock;
  readonly #request: HttpRequest;
  readonly #url: URL;
  readonly #proxies: ProxyEnvironment;
  readonly #resolve: (exchange: HttpExchange) => void;
  #phase: ExchangePhase = "connecting";
  #sentAt = 0;
  #answer: IncomingMessage | undefined;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #finished = false;
  #close: () => void = () => {};

  constructor(clock: Clock, request: HttpRequest, proxies: ProxyEnvironment, resolve: (exchange: HttpExchange) => void) {
    this.#clock = clock;
    this.#request = request;
    this.#url = new URL(request.url);
    this.#proxies = proxies;
    this.#resolve = resolve;
  }

  start(): void {
    const { method, headers, body, timeoutMs } = this.#request;
    const secure = this.#url.protocol === "https:";
    let outgoing: ReturnType<typeof httpRequest>;
    try {
      // `agent: false` is a new agent for this request alone: no socket of another request is ever reused.
      const agent = secure && !isLoopback(this.#url.hostname) ? proxyAgent(this.#proxies) : false;
      const options: RequestOptions = { method, headers: { ...headers, "accept-encoding": "identity" }, agent };
      outgoing = secure ? httpsRequest(this.#url, options) : httpRequest(this.#url, options);
    } catch {
      // A header value that HTTP cannot carry. The error quotes it, so it is not kept.
      this.#finish({ kind: "not_sent", fault: new ConnectionFault("unsendable", `the request to ${peerOf(this.#url)} cannot be written`) });
      return;
    }
    // A process that stood still finds its timers first: an answer that lies in the socket by then is read before it gives up (F11).
    const giveUp = (): void => this.#end(timeoutFault(this.#phase, this.#url, timeoutMs));
    const timer = this.#clock.schedule(timeoutMs, () => setImmediate(() => setImmediate(giveUp)));
    this.#close = () => {
      timer.cancel();
      outgoing.destroy();
    };
    const write = (): void => {
      if (this.#finished) return;
      this.#phase = "sent";
      this.#sentAt = this.#clock.now();
      outgoing.end(body);
    };
    outgoing.once("socket", (socket) => {
      // Through a proxy the socket comes when all of it stands.
      if (!socket.connecting) write();
      else if (secure) {
        socket.once("connect", () => {
          this.#phase = "securing";
        });
        socket.once("secureConnect", write);
      } else socket.once("connect", write);
    });
    outgoing.on("error", (thrown) => this.#end(connectionFault(thrown, this.#phase, this.#url)));
    outgoing.once("response", (answer) => this.#read(answer));
  }

  #read(answer: IncomingMessage): void {
    this.#answer = answer;
    answer.on("data", (chunk: Buffer) => {
      this.#size += chunk.length;
      if (this.#size > longestBodyBytes) {
        this.#end(new ConnectionFault("too_large", `the answer of ${peerOf(this.#url)} is longer than ${longestBodyBytes} bytes`));
        return;
      }
      this.#chunks.push(chunk);
    });
    answer.on("error", () => this.#cutOff());
    answer.on("close", () => (answer.complete ? this.#end(undefined) : this.#cutOff()));
  }

  #cutOff(): void {
    this.#end(new ConnectionFault("cut_off", `the answer of ${peerOf(this.#url)} was cut off`));
  }

  /** Ends the exchange with what there is. Without a fault the answer is whole. */
  #end(fault: ConnectionFault | undefined): void {
    if (this.#finished) return;
    const answer = this.#answer;
    if (answer !== undefined)
      this.#finish({
        kind: "answered",
        status: answer.statusCode ?? 0,
        headers: headersOf(answer),
        body: new TextDecoder().decode(Buffer.concat(this.#chunks)),
        bodyFault: fault,
        sentAt: this.#sentAt,
        receivedAt: this.#clock.now(),
      });
    else if (fault !== undefined) this.#finish({ kind: this.#phase === "sent" ? "lost" : "not_sent", fault });
  }

  #finish(exchange: HttpExchange): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#close();
    this.#resolve(exchange);
  }
}

/** An agent for one request, which goes through a proxy if the environment says so. Plain http is loopback and never does. */
function proxyAgent(proxies: ProxyEnvironment): HttpsAgent | false {
  const { https_proxy, HTTPS_PROXY, no_proxy, NO_PROXY } = proxies;
  if ((https_proxy ?? HTTPS_PROXY ?? "") === "") return false;
  return new HttpsAgent({ keepAlive: false, proxyEnv: { https_proxy, HTTPS_PROXY, no_proxy, NO_PROXY } });
}

function headersOf(answer: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, values] of Object.entries(answer.headersDistinct)) for (const value of values ?? []) append(headers, name, value);
  return headers;
}

function append(headers: Headers, name: string, value: string): void {
  try {
    headers.append(name, value);
  } catch {
    // A header that only node's lenient parser accepts. Whatever it says, nothing here needs it.
  }
}
