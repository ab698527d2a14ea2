import type { ImportIntent } from "../../session/import-intent.ts";
import type { ImportIntentStore } from "../../session/store.ts";
import { expiringScript, type RedisExpiringRows } from "./redis-expiring-rows.ts";
import { mustInteger } from "./redis-values.ts";

/** ARGV: hash, owner, when it ends, now. A row is the end and the owner. 0: another owner holds it. */
const claim = expiringScript(`
local hash, owner, at, now = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local row = redis.call('GET', KEYS[3])
if row then
  local until_, by = string.match(row, '^(%S+) (.*)$')
  if by ~= owner and tonumber(until_) > tonumber(now) then return 0 end
end
put(KEYS[3], hash, at .. ' ' .. owner, at)
return 1`);

/** ARGV: hash, owner. */
const release = expiringScript(`
local row = redis.call('GET', KEYS[3])
if row and string.match(row, '^%S+ (.*)$') == ARGV[3] then drop(KEYS[3], ARGV[2]) end
return 1`);

/** Imports that are under way, in Redis. */
export class RedisImportIntents implements ImportIntentStore {
  readonly #rows: RedisExpiringRows;

  constructor(rows: RedisExpiringRows) {
    this.#rows = rows;
  }

  async claim({ hash, owner, expiresAt }: ImportIntent, now: number): Promise<boolean> {
    return mustInteger(await this.#rows.run(claim, [hash], [hash, owner, expiresAt, now])) === 1;
  }

  async release({ hash, owner }: Pick<ImportIntent, "hash" | "owner">): Promise<void> {
    await this.#rows.run(release, [hash], [hash, owner]);
  }
}
