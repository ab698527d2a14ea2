import type { ReplicaStore } from "../../session/store.ts";
import type { RedisDatabase } from "./redis-database.ts";
import { redisScript } from "./redis-script.ts";
import { mustInteger } from "./redis-values.ts";

/** A lease that ends later than this was written before Redis's clock was set back. */
const longestLeaseMs = 600_000;

/** Leases are by Redis's own clock. ARGV: replica, how long its lease is. KEYS: replicas. */
const announce = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '(' .. string.format('%.0f', now + ${longestLeaseMs}), '+inf')
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[3]), ARGV[2])
return redis.call('ZCARD', KEYS[2])`);

const leave = redisScript("return redis.call('ZREM', KEYS[2], ARGV[2])");

/** Which processes share the store, by Redis's clock. */
export class RedisReplicas implements ReplicaStore {
  readonly #db: RedisDatabase;

  constructor(db: RedisDatabase) {
    this.#db = db;
  }

  async announce(replica: string, leaseMs: number): Promise<number> {
    return mustInteger(await this.#db.run(announce, ["replicas"], [replica, leaseMs]));
  }

  async leave(replica: string): Promise<void> {
    await this.#db.run(leave, ["replicas"], [replica]);
  }
}
