import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Audit, AuditEvent } from "../../src/audit/audit.ts";
import { type Clock, sleep, systemClock } from "../../src/clock.ts";
import { createLogger } from "../../src/logger.ts";
import type { Store } from "../../src/session/store.ts";
import type { SealingKey } from "../../src/store/key-ring.ts";
import type { OpenedSharedStore } from "../../src/store/opened-shared-store.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { ownPrefix, redisUrl } from "../support/redis-for-tests.ts";

const aKey: SealingKey = { id: "one", secret: "first secret of the tests, 32 characters and more" };

export interface RedisBenchOptions {
  readonly url?: string;
  readonly cluster?: boolean;
  readonly keyPrefix?: string;
  readonly clock?: Clock;
}

/** A place in Redis of one test, with stores in it. Each store object is as good as a process. */
export class RedisBench {
  readonly folder = mkdtempSync(join(tmpdir(), "latchkey-redis-"));
  readonly events: AuditEvent[] = [];
  readonly lines: string[] = [];
  readonly url: string;
  readonly prefix: string;
  readonly #cluster: boolean;
  readonly #clock: Clock;
  readonly #stores: Store[] = [];
  #now = Date.now();

  constructor({ url = redisUrl, cluster = false, keyPrefix, clock = systemClock }: RedisBenchOptions = {}) {
    this.url = url;
    this.#cluster = cluster;
    this.#clock = clock;
    this.prefix = keyPrefix ?? ownPrefix(url);
    onTestFinished(() => this.close());
  }

  async open(keys: readonly SealingKey[] = [aKey]): Promise<Store> {
    return (await this.openShared(keys)).store;
  }

  async openShared(keys: readonly SealingKey[] = [aKey], url: string = this.url): Promise<OpenedSharedStore> {
    const audit: Audit = { record: (event) => void this.events.push(event) };
    const logger = createLogger({ level: "debug", format: "json", write: (line) => this.lines.push(line), now: () => 0 });
    const [first = aKey, ...others] = keys;
    const opened = await openRedisStore({
      url,
      cluster: this.#cluster,
      keyPrefix: this.prefix,
      keys: [first, ...others],
      journalDirectory: join(this.folder, "replies"),
      ...{ clock: this.#clock, logger, audit },
    });
    this.#stores.push(opened.store);
    return opened;
  }

  /** The full name of a key. */
  key(name: string): string {
    return `{${this.prefix}}:${name}`;
  }

  /** The time that a test hands in: it stands still but for `wait` and `pass`. */
  readonly now = (): number => this.#now;

  /** Lets time pass, for Redis as well. */
  readonly wait = async (ms: number): Promise<void> => {
    await sleep(systemClock, ms);
    this.pass(ms);
  };

  /** Lets time pass as far as the test says. */
  pass(ms: number): void {
    this.#now += ms;
  }

  /** How often a message was logged. */
  logged(part: string): number {
    return this.lines.filter((line) => line.includes(part)).length;
  }

  async close(): Promise<void> {
    for (const store of this.#stores.splice(0)) await store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
