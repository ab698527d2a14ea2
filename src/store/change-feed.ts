import type { Clock, Timer } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { LoginSessionChange } from "../session/store.ts";

export interface ChangeFeedOptions {
  /** What other processes have changed since the last call, in their order. */
  readonly news: () => Promise<readonly LoginSessionChange[]>;
  /** How often it is asked for at least. */
  readonly pollMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Tells what this process changes at once, and what others change within `pollMs`, or as soon as something wakes it. */
export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #listeners = new Set<(change: LoginSessionChange) => void>();
  #timer: Timer | undefined;
  #looking = false;
  /** Woken while it looked: what woke it may have come too late for that look. */
  #again = false;
  #isFailing = false;
  #closed = false;

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
  }

  subscribe(listener: (change: LoginSessionChange) => void): () => void {
    this.#listeners.add(listener);
    if (!this.#looking) this.#plan();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#timer?.cancel();
    };
  }

  tell(change: LoginSessionChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  /** Others may have changed something: look at once. An event that is lost costs the time until the next look. */
  wake(): void {
    if (this.#looking) this.#again = true;
    else void this.#look();
  }

  /** How many listen. */
  get size(): number {
    return this.#listeners.size;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #plan(): void {
    this.#timer?.cancel();
    if (this.#closed || this.#listeners.size === 0) return;
    this.#timer = this.#options.clock.schedule(this.#options.pollMs, () => this.wake());
  }

  async #look(): Promise<void> {
    if (this.#closed || this.#listeners.size === 0) return;
    this.#looking = true;
    try {
      do {
        this.#again = false;
        for (const change of await this.#options.news()) this.tell(change);
      } while (this.#again);
      if (this.#isFailing) this.#options.logger.info("What other processes change in the store can be read again.");
      this.#isFailing = false;
    } catch (error) {
      // Once for an outage: it is looked at twice a second.
      if (!this.#isFailing)
        this.#options.logger.warn("What other processes changed in the store could not be read; it is looked at until it can.", { error });
      this.#isFailing = true;
    } finally {
      this.#looking = false;
      this.#plan();
    }
  }
}
