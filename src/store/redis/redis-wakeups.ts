import type { Clock, Timer } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import type { RedisAddress } from "./redis-address.ts";
import { type RedisConnection, redisConnection } from "./redis-connection.ts";
import { withoutCommand } from "./redis-errors.ts";

const tryAgainMs = 5_000;

export interface RedisWakeupsParts {
  readonly address: RedisAddress;
  readonly cluster: boolean;
  readonly channel: string;
  /** What this process itself says on the channel. */
  readonly writer: string;
  readonly wake: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Listens on a connection of its own for others' saying that they have changed something. It only makes changes known sooner: whoever relies
 * on them looks from time to time anyway. So nothing waits for it, and it is made anew when it breaks.
 */
export class RedisWakeups {
  readonly #parts: RedisWakeupsParts;
  readonly #connection: RedisConnection;
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: RedisWakeupsParts) {
    this.#parts = parts;
    const { address, cluster, writer, wake, logger } = parts;
    this.#connection = redisConnection({ address, cluster, reconnects: () => !this.#closed });
    const notice = (error: unknown): void =>
      logger.debug("The connection that tells of changes in Redis has failed; it is made anew.", { error: withoutCommand(error) });
    this.#connection.on("error", notice);
    this.#connection.on("node error", notice);
    this.#connection.on("message", (_channel: string, by: string) => {
      if (by !== writer) wake();
    });
    // ioredis subscribes again when it is connected again. What was said in between was not heard.
    this.#connection.on("ready", wake);
    void this.#begin();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#connection.disconnect();
  }

  async #begin(): Promise<void> {
    if (this.#closed) return;
    const { channel, clock, logger } = this.#parts;
    try {
      if (["wait", "end"].includes(this.#connection.status)) await this.#connection.connect();
      await this.#connection.subscribe(channel);
    } catch (error) {
      logger.debug("The channel that tells of changes in Redis cannot be listened to; it is tried again.", {
        error: withoutCommand(error),
      });
      this.#timer = clock.schedule(tryAgainMs, () => void this.#begin());
    }
  }
}
