import type { ServerResponse } from "node:http";
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import { sendJson } from "./http-answers.ts";
import { rpcCodes, rpcError } from "./message.ts";
import { eventStreamHeaders, messageEvent, type SseStream } from "./sse-stream.ts";

/** What the client takes as the answer to a POST. At least one is true. */
export interface AcceptedAnswers {
  readonly json: boolean;
  readonly eventStream: boolean;
}

/**
 * The open response to one POST with requests. It is JSON when nothing has to be told before the answer, which is
 * cheapest; it becomes a stream with the first notification about a request, or when the answer takes so long that
 * somebody on the way might lose patience. A client that takes no stream gets JSON whatever happens.
 */
export class PostExchange {
  readonly #response: ServerResponse;
  readonly #accepts: AcceptedAnswers;
  readonly #isBatch: boolean;
  readonly #openStream: (response: ServerResponse) => SseStream;
  readonly #waiting: Set<RequestId>;
  readonly #answers: object[] = [];
  #stream: SseStream | undefined;

  constructor(
    response: ServerResponse,
    ids: readonly RequestId[],
    options: {
      readonly accepts: AcceptedAnswers;
      readonly isBatch: boolean;
      readonly openStream: (response: ServerResponse) => SseStream;
    },
  ) {
    this.#response = response;
    this.#waiting = new Set(ids);
    this.#accepts = options.accepts;
    this.#isBatch = options.isBatch;
    this.#openStream = options.openStream;
  }

  /** Whether a stream is open on it. */
  get isStreaming(): boolean {
    return this.#stream?.isOpen ?? false;
  }

  /** The answer to one of its requests. False: the client is gone. */
  answer(id: RequestId, message: JSONRPCMessage): boolean {
    this.#waiting.delete(id);
    if (this.#response.destroyed) return false;
    if (this.#stream !== undefined) this.#stream.message(message);
    else this.#answers.push(message);
    if (this.#waiting.size === 0) this.#finish();
    return true;
  }

  /** A notification or request that belongs to one of its requests. False: it cannot be told. */
  tell(message: JSONRPCMessage): boolean {
    return this.#begin()?.message(message) ?? false;
  }

  /** One of its requests gets no answer. */
  drop(id: RequestId): void {
    this.#waiting.delete(id);
    // JSON has to say something; an event stream may end without an answer.
    if (this.#stream === undefined && !this.#accepts.eventStream)
      this.#answers.push(rpcError(id, rpcCodes.refused, "The client cancelled this request."));
    if (this.#waiting.size === 0) this.#finish();
  }

  /** Makes it a stream, if the client takes one. */
  keepAlive(): void {
    this.#begin()?.keepAlive();
  }

  #begin(): SseStream | undefined {
    if (this.#response.destroyed || !this.#accepts.eventStream) return undefined;
    if (this.#stream === undefined) {
      this.#stream = this.#openStream(this.#response);
      for (const answer of this.#answers.splice(0)) this.#stream.message(answer);
    }
    return this.#stream;
  }

  #finish(): void {
    if (this.#stream !== undefined) {
      this.#stream.end();
      return;
    }
    if (this.#response.headersSent) return;
    if (this.#accepts.json && this.#answers.length > 0) {
      sendJson(this.#response, JSON.stringify(this.#isBatch ? this.#answers : this.#answers[0]));
      return;
    }
    this.#response.writeHead(200, eventStreamHeaders);
    this.#response.end(this.#answers.map((answer) => messageEvent(answer)).join(""));
  }
}
