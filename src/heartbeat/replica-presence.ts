import { type Clock, sleep, type Timer } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { ReplicaStore } from "../session/store.ts";

export interface ReplicaPresenceOptions {
  readonly replicas: ReplicaStore;
  /** This process: unique among all that share the store. */
  readonly replica: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often it says that it is alive. Three in a row may be lost. */
const intervalMs = 4_000;
const leaseMs = 14_000;
/** The start, and the end, wait no longer than this for the store. */
const patienceMs = 2_000;

/**
 * Says that this process is alive to all that share its store, and knows how many they are: they divide the load that an
 * authorization server can take (I13). While the store is away it goes by what it knew last.
 */
export class ReplicaPresence {
  readonly #options: ReplicaPresenceOptions;
  #live = 1;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ReplicaPresenceOptions) {
    this.#options = options;
  }

  /** How many processes are alive, this one among them. */
  get live(): number {
    return this.#live;
  }

  /** Resolves when it has told the others, or after a short time. It never rejects. */
  async start(): Promise<void> {
    await this.#within(this.#announce());
    this.#arm();
  }

  /** Tells the others that it ends. It never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    const { replicas, replica, logger } = this.#options;
    const left = replicas.leave(replica).catch((error: unknown) => {
      logger.debug("The end of this process could not be told to the others; they notice it by its lease.", { error });
    });
    await this.#within(left);
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.schedule(intervalMs, () => void this.#announce().then(() => this.#arm()));
  }

  async #announce(): Promise<void> {
    const { replicas, replica, logger } = this.#options;
    try {
      const live = await replicas.announce(replica, leaseMs);
      // It may have ended while the store took its time.
      if (this.#stopped) await replicas.leave(replica);
      if (live !== this.#live) logger.info("The number of processes that share the store has changed.", { live });
      this.#live = Math.max(1, live);
    } catch (error) {
      logger.warn("The store could not be told that this process is alive; it is told again.", { error });
    }
  }

  async #within(work: Promise<void>): Promise<void> {
    const done = new AbortController();
    await Promise.race([work, sleep(this.#options.clock, patienceMs, done.signal)]);
    done.abort();
  }
}
