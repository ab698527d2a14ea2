import type { Clock } from "../../clock.ts";
import { LatchkeyError } from "../../errors.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { redisError, replyWord } from "./redis-errors.ts";
import type { RedisScript } from "./redis-script.ts";

/** While a lost connection is made anew, a call waits for it this long before it is refused. */
const reconnectPatienceMs = 1_500;
/** What is under way when the store is closed may still get its answer within this. */
const closePatienceMs = 1_000;

/** The key that holds the store's mark. */
export const markKey = "mark";

export interface RedisDatabaseOptions {
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
  readonly clock: Clock;
}

/** Runs scripts on one Redis server. */
export class RedisDatabase {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #running = new Set<Promise<unknown>>();
  #mark = "";
  #putRight: (() => Promise<void>) | undefined;
  #closed: Promise<void> | undefined;

  constructor({ connection, keyPrefix, clock }: RedisDatabaseOptions) {
    this.#connection = connection;
    this.#prefix = keyPrefix;
    this.#clock = clock;
  }

  /** From now on scripts run only where `mark` stands. `putRight` is called when it does not: it writes it, or throws. */
  guard(mark: string, putRight: () => Promise<void>): void {
    this.#mark = mark;
    this.#putRight = putRight;
  }

  /** The full name of a key. The braces make all of them lie in one slot of a cluster, so that a script may touch any of them. */
  key(name: string): string {
    return `{${this.#prefix}}:${name}`;
  }

  /** Runs a script that asks for the mark. Rejects with LatchkeyError `store_unavailable`: what it did is not known then. */
  async run(script: RedisScript, keys: readonly string[], args: readonly (string | number)[] = []): Promise<unknown> {
    const attempt = (): Promise<unknown> => this.runRaw(script, [markKey, ...keys], [this.#mark, ...args]);
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof MarkMissing) || this.#putRight === undefined) throw error;
      // The script has done nothing yet.
      await this.#putRight();
      return attempt();
    }
  }

  /** Runs a script that does not ask for the mark. */
  runRaw(script: RedisScript, keys: readonly string[], args: readonly (string | number)[] = []): Promise<unknown> {
    if (this.#closed !== undefined) return Promise.reject(closed());
    const running = this.#run(
      script,
      keys.map((key) => this.key(key)),
      args.map(String),
    );
    this.#running.add(running);
    const done = (): void => void this.#running.delete(running);
    running.then(done, done);
    return running;
  }

  /** What was asked for before is finished, if the server answers. Twice does the same once. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #run(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      await this.#ready();
      return await this.#call(script, keys, args);
    } catch (error) {
      if (replyWord(error) === "LATCHKEYMARK") throw new MarkMissing();
      throw redisError(error);
    }
  }

  async #call({ sha, text }: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      return await this.#connection.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      // A server that was started anew does not know it. Nothing has been done.
      if (replyWord(error) !== "NOSCRIPT") throw error;
      return this.#connection.eval(text, keys.length, ...keys, ...args);
    }
  }

  async #ready(): Promise<void> {
    if (this.#connection.status === "ready") return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#connection.off("ready", done);
        resolve();
      };
      const timer = this.#clock.schedule(reconnectPatienceMs, done);
      this.#connection.once("ready", done);
    });
  }

  async #close(): Promise<void> {
    let over = (): void => {};
    const patience = new Promise<void>((resolve) => {
      over = resolve;
    });
    const timer = this.#clock.schedule(closePatienceMs, over);
    await Promise.race([Promise.allSettled([...this.#running]), patience]);
    timer.cancel();
    this.#connection.disconnect();
  }
}

/** The server does not hold this store. */
class MarkMissing extends LatchkeyError {
  constructor() {
    super("store_unavailable", "The store is not there any more, or another one stands in its place. The log has the cause.", {
      retryable: true,
    });
  }
}

function closed(): LatchkeyError {
  return new LatchkeyError("store_unavailable", "The store is closed.", { retryable: true });
}
