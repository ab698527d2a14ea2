import type { UsedId, UsedIdStore } from "../../session/store.ts";
import type { IndexHashes } from "../index-hashes.ts";
import { expiringScript, type RedisExpiringRows } from "./redis-expiring-rows.ts";
import { mustInteger } from "./redis-values.ts";

/** ARGV: hash, when it may be forgotten, now. 0: it was used. */
const use = expiringScript(`
local row = redis.call('GET', KEYS[3])
if row and tonumber(row) > tonumber(ARGV[4]) then return 0 end
put(KEYS[3], ARGV[2], ARGV[3], ARGV[3])
return 1`);

/** Ids that were used, in Redis, by their hash. */
export class RedisUsedIds implements UsedIdStore {
  readonly #rows: RedisExpiringRows;
  readonly #hashes: IndexHashes;

  constructor(rows: RedisExpiringRows, hashes: IndexHashes) {
    this.#rows = rows;
    this.#hashes = hashes;
  }

  async use({ kind, id, expiresAt }: UsedId, now: number): Promise<boolean> {
    const hash = this.#hashes.usedId(kind, id);
    return mustInteger(await this.#rows.run(use, [hash], [hash, expiresAt, now])) === 1;
  }
}
