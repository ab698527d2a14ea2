import type { ServerResponse } from "node:http";

/** Headers of a stream of server-sent events: never stored, never changed, never held back on the way. */
export const eventStreamHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
} as const;

/** One JSON-RPC message as a server-sent event. */
export function messageEvent(message: object): string {
  return `event: message\ndata: ${JSON.stringify(message)}\n\n`;
}

/**
 * A stream of server-sent events on one HTTP response. A reader that is so slow that `limitBytes` wait for it is cut
 * off, and `onTooSlow` is told: what nobody fetches must not fill our memory.
 */
export class SseStream {
  readonly #response: ServerResponse;
  readonly #limitBytes: number;
  readonly #onTooSlow: () => void;

  constructor(response: ServerResponse, limitBytes: number, onTooSlow: () => void) {
    this.#response = response;
    this.#limitBytes = limitBytes;
    this.#onTooSlow = onTooSlow;
    response.writeHead(200, eventStreamHeaders);
    response.flushHeaders();
  }

  get isOpen(): boolean {
    return !this.#response.writableEnded && !this.#response.destroyed;
  }

  /** False: nobody can read it any more. */
  message(message: object): boolean {
    return this.#write(messageEvent(message));
  }

  event(name: string, data: string): boolean {
    return this.#write(`event: ${name}\ndata: ${data}\n\n`);
  }

  keepAlive(): void {
    this.#write(": keep-alive\n\n");
  }

  end(): void {
    if (this.isOpen) this.#response.end();
  }

  #write(text: string): boolean {
    if (!this.isOpen) return false;
    // Looked at before the write: one large message is fine for whoever reads.
    if (this.#response.writableLength > this.#limitBytes) {
      this.#response.destroy();
      this.#onTooSlow();
      return false;
    }
    this.#response.write(text);
    return true;
  }
}
