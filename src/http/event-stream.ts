import type { Clock, Timer } from "../clock.ts";

/** What the stream wants of its source. */
export interface EventSourceOptions {
  readonly clock: Clock;
  /** Called once, when the client is there. */
  readonly onOpen: (stream: EventStream) => void;
  /** Called every `tickMs` while the stream is open. */
  readonly onTick: (stream: EventStream) => void;
  /** Called once, when the stream is closed from whichever side. */
  readonly onClose: () => void;
}

/** What a stream is announced with. Proxies must not collect it. */
export const streamHeaders = { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" } as const;

const tickMs = 5_000;
const ticksPerKeepAlive = 3;
/** A client that reads nothing is let go when this much waits for it; it comes back and gets a whole snapshot. */
const backlogLimitBytes = 256 * 1024;
/** After this time the client has to come back and show its cookie again. */
const lifetimeMs = 3_600_000;

/** A stream of server-sent events (WHATWG HTML, section 9.2): a comment every 15 s, a bounded backlog, a bounded life. */
export class EventStream {
  readonly #options: EventSourceOptions;
  readonly #openedAt: number;
  /** Undefined before the stream is opened and after its end. */
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #timer: Timer | undefined;
  #ticks = 0;
  #nextId = 1;

  constructor(options: EventSourceOptions) {
    this.#options = options;
    this.#openedAt = options.clock.monotonic();
  }

  /** The response to answer with. */
  response(): Response {
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          this.#arm();
          this.#write("retry: 3000\n\n");
          this.#options.onOpen(this);
        },
        cancel: () => this.#closed(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: 0 }),
    );
    return new Response(body, { headers: streamHeaders });
  }

  /** Sends one event. After the stream's end it does nothing. */
  send(event: string, data: unknown): void {
    this.#write(`id: ${this.#nextId++}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Ends the stream; what was sent before still arrives. Twice does nothing. */
  close(): void {
    const controller = this.#controller;
    if (controller === undefined) return;
    this.#closed();
    controller.close();
  }

  #write(text: string): void {
    const controller = this.#controller;
    if (controller === undefined) return;
    controller.enqueue(new TextEncoder().encode(text));
    if ((controller.desiredSize ?? 0) < -backlogLimitBytes) this.close();
  }

  #arm(): void {
    this.#timer = this.#options.clock.schedule(tickMs, () => this.#tick());
  }

  #tick(): void {
    if (this.#controller === undefined) return;
    if (this.#options.clock.monotonic() - this.#openedAt > lifetimeMs) {
      this.close();
      return;
    }
    this.#ticks += 1;
    this.#options.onTick(this);
    if (this.#ticks % ticksPerKeepAlive === 0) this.#write(": keep-alive\n\n");
    if (this.#controller !== undefined) this.#arm();
  }

  #closed(): void {
    if (this.#controller === undefined) return;
    this.#controller = undefined;
    this.#timer?.cancel();
    this.#options.onClose();
  }
}
