import { describe, expect, it } from "vitest";
import { ReplicaPresence } from "../../src/heartbeat/replica-presence.ts";
import { type Logger, silentLogger } from "../../src/logger.ts";
import type { ReplicaStore } from "../../src/session/store.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** Replicas in memory, by the clock of the test. */
class Replicas implements ReplicaStore {
  readonly leases = new Map<string, number>();
  away = false;
  hold: Promise<void> | undefined;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  async announce(replica: string, leaseMs: number): Promise<number> {
    await this.hold;
    if (this.away) throw new Error("away");
    const now = this.#clock.now();
    this.leases.set(replica, now + leaseMs);
    for (const [each, until] of this.leases) if (until <= now) this.leases.delete(each);
    return this.leases.size;
  }

  async leave(replica: string): Promise<void> {
    if (this.away) throw new Error("away");
    this.leases.delete(replica);
  }
}

function make() {
  const clock = new ManualClock();
  const replicas = new Replicas(clock);
  const presence = (replica: string): ReplicaPresence => new ReplicaPresence({ replicas, replica, clock, logger: silentLogger });
  return { clock, replicas, presence };
}

describe("the presence of a replica (I13)", () => {
  it("is known to the others within seconds, and no more once it has said that it ends", async () => {
    const { clock, presence } = make();
    const [one, two] = [presence("one"), presence("two")];
    await one.start();
    expect(one.live).toBe(1);
    await two.start();
    expect(two.live).toBe(2);
    await clock.advance(4_000);
    expect(one.live).toBe(2);
    await two.stop();
    await clock.advance(4_000);
    expect(one.live).toBe(1);
    await one.stop();
    expect(clock.pending).toBe(0);
  });

  it("ends with its lease when the process is killed", async () => {
    const { clock, replicas, presence } = make();
    const one = presence("one");
    await replicas.announce("killed", 14_000);
    await one.start();
    expect(one.live).toBe(2);
    await clock.advance(12_000);
    expect(one.live).toBe(2);
    await clock.advance(8_000);
    expect(one.live).toBe(1);
    await one.stop();
  });

  it("goes by what it knew last while the store is away, at the start too, and never counts less than itself", async () => {
    const { clock, replicas, presence } = make();
    replicas.away = true;
    const one = presence("one");
    await one.start();
    expect(one.live).toBe(1);
    replicas.away = false;
    await replicas.announce("other", 60_000);
    await clock.advance(4_000);
    expect(one.live).toBe(2);
    replicas.away = true;
    await clock.advance(40_000);
    expect(one.live).toBe(2);
    await one.stop();
  });

  it("holds up neither the start nor the end when the store hangs, and is not left behind by an answer that comes after the end", async () => {
    const { clock, replicas, presence } = make();
    const { promise, resolve } = Promise.withResolvers<void>();
    replicas.hold = promise;
    const one = presence("one");
    const started = one.start();
    await clock.advance(2_000);
    await started;
    await one.stop();
    resolve();
    await clock.advance(0);
    expect(replicas.leases.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it("is told before the start is over, and nobody is told any more once it has ended in the middle of it", async () => {
    const { clock, replicas, presence } = make();
    const one = presence("one");
    const first = Promise.withResolvers<void>();
    replicas.hold = first.promise;
    const state = { started: false };
    const started = one.start().then(() => {
      state.started = true;
    });
    await clock.advance(1_999);
    expect(state.started).toBe(false);
    first.resolve();
    await started;
    const second = Promise.withResolvers<void>();
    replicas.hold = second.promise;
    await clock.advance(4_000);
    await one.stop();
    second.resolve();
    await clock.advance(60_000);
    expect(replicas.leases.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it("can end before it has begun", async () => {
    const { clock, presence } = make();
    await presence("one").stop();
    expect(clock.pending).toBe(0);
  });

  it("is said in the log when the number of processes changes, and only then", async () => {
    const { clock, replicas } = make();
    const said: unknown[] = [];
    const logger: Logger = { ...silentLogger, info: (_message, fields) => void said.push(fields) };
    const one = new ReplicaPresence({ replicas, replica: "one", clock, logger });
    await one.start();
    await clock.advance(12_000);
    expect(said).toEqual([]);
    await replicas.announce("two", 5_000);
    await clock.advance(8_000);
    expect(said).toEqual([{ live: 2 }, { live: 1 }]);
    await one.stop();
  });
});
