import type { ServerResponse } from "node:http";
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { Clock } from "../clock.ts";
import { isAnswer } from "./message.ts";
import { type AcceptedAnswers, PostExchange } from "./post-exchange.ts";
import { SseStream } from "./sse-stream.ts";
import type { Wire } from "./wire.ts";

export interface StreamableHttpWireOptions {
  readonly clock: Clock;
  /** As many bytes may wait for a slow reader of one stream. */
  readonly streamLimitBytes: number;
  readonly onTooSlow: () => void;
}

/** A call that has run this long without a word becomes a stream at the next keep-alive, so that it shows life. */
const patienceMs = 5000;

/** The wire of one Streamable HTTP connection: the open responses to its POSTs, and its one standalone stream. */
export class StreamableHttpWire implements Wire {
  readonly #options: StreamableHttpWireOptions;
  readonly #exchanges = new Map<RequestId, { readonly exchange: PostExchange; readonly since: number }>();
  #standalone: SseStream | undefined;

  constructor(options: StreamableHttpWireOptions) {
    this.#options = options;
  }

  /** Announces the response on which these requests will be answered. Before they are delivered. */
  expect(ids: readonly RequestId[], response: ServerResponse, accepts: AcceptedAnswers, isBatch: boolean): void {
    const openStream = (to: ServerResponse): SseStream => this.#openStream(to);
    const exchange = new PostExchange(response, ids, { accepts, isBatch, openStream });
    const since = this.#options.clock.monotonic();
    for (const id of ids) this.#exchanges.set(id, { exchange, since });
  }

  /** Opens the standalone stream. False: there is one. */
  openStandalone(response: ServerResponse): boolean {
    if (this.#standalone?.isOpen) return false;
    this.#standalone = this.#openStream(response);
    return true;
  }

  get holdsStream(): boolean {
    if (this.#standalone?.isOpen) return true;
    for (const { exchange } of this.#exchanges.values()) if (exchange.isStreaming) return true;
    return false;
  }

  send(message: JSONRPCMessage, about: RequestId | undefined): boolean {
    if (about === undefined) return this.#standalone?.message(message) ?? false;
    const exchange = this.#exchanges.get(about)?.exchange;
    if (exchange === undefined) return false;
    if (!isAnswer(message)) return exchange.tell(message);
    this.#exchanges.delete(about);
    return exchange.answer(about, message);
  }

  drop(id: RequestId): void {
    this.#exchanges.get(id)?.exchange.drop(id);
    this.#exchanges.delete(id);
  }

  keepAlive(): void {
    if (this.#standalone?.isOpen) this.#standalone.keepAlive();
    const now = this.#options.clock.monotonic();
    for (const exchange of this.#each((since) => now - since >= patienceMs)) exchange.keepAlive();
  }

  endStreams(): void {
    this.#standalone?.end();
    this.#standalone = undefined;
  }

  close(kept: ReadonlySet<RequestId>): void {
    this.endStreams();
    for (const id of [...this.#exchanges.keys()]) if (!kept.has(id)) this.drop(id);
  }

  #openStream(response: ServerResponse): SseStream {
    return new SseStream(response, this.#options.streamLimitBytes, this.#options.onTooSlow);
  }

  /** Each exchange once, however many requests it is for. */
  #each(isWanted: (since: number) => boolean): ReadonlySet<PostExchange> {
    const found = new Set<PostExchange>();
    for (const { exchange, since } of this.#exchanges.values()) if (isWanted(since)) found.add(exchange);
    return found;
  }
}
