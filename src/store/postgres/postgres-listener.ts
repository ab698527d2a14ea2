import { createHash } from "node:crypto";
import { Socket } from "node:net";
import { Client, type ClientConfig } from "pg";
import type { Clock, Timer } from "../../clock.ts";
import type { Logger } from "../../logger.ts";

/** A connection that broke is made again after this time. Until then the regular looks find what changes. */
const againMs = 1_000;

export interface PostgresListenerOptions {
  readonly connection: ClientConfig;
  readonly channel: string;
  /** Of another process, or a connection was made again: something may have changed. */
  readonly onNews: () => void;
  /** The one whose own notifications say nothing new. */
  readonly writer: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The channel of a schema: names are limited to 63 bytes. */
export function channelOf(schema: string): string {
  return `latchkey_${createHash("sha256").update(schema).digest("hex").slice(0, 24)}`;
}

/** A connection that only listens for other processes. It wakes; it never says what changed, and nothing depends on it. */
export class PostgresListener {
  readonly #options: PostgresListenerOptions;
  #client: Client | undefined;
  #socket: Socket | undefined;
  #timer: Timer | undefined;
  #closed = false;
  #told = false;

  constructor(options: PostgresListenerOptions) {
    this.#options = options;
    void this.#connect();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#drop();
  }

  async #connect(): Promise<void> {
    const { connection, channel, onNews, writer } = this.#options;
    const socket = new Socket();
    const client = new Client({ ...connection, stream: () => socket });
    this.#client = client;
    this.#socket = socket;
    client.on("error", (error) => this.#again(client, error));
    client.on("end", () => this.#again(client, undefined));
    client.on("notification", ({ payload }) => {
      if (payload !== writer) onNews();
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${channel}`);
      this.#told = false;
      // What was told while nobody listened.
      if (!this.#closed) onNews();
    } catch (error) {
      this.#again(client, error);
    }
  }

  #again(client: Client, error: unknown): void {
    if (this.#closed || this.#client !== client) return;
    this.#drop();
    if (!this.#told)
      this.#options.logger.warn("Nothing is heard from the store's server about changes; they are looked for all the same.", { error });
    this.#told = true;
    this.#timer = this.#options.clock.schedule(againMs, () => void this.#connect());
  }

  #drop(): void {
    this.#client = undefined;
    // It may be broken already, and has nothing to say goodbye for.
    this.#socket?.destroy();
  }
}
