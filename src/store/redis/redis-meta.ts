import type { MetaValues } from "../meta-values.ts";
import type { RedisDatabase } from "./redis-database.ts";
import { rawScript } from "./redis-script.ts";
import { textOf } from "./redis-values.ts";

const metaKey = "meta";

const get = rawScript("return redis.call('HGET', KEYS[1], ARGV[1])");
const add = rawScript("return redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])");
const replace = rawScript(`
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`);

/** What a store in Redis says of itself. */
export class RedisMeta implements MetaValues {
  readonly #db: RedisDatabase;

  constructor(db: RedisDatabase) {
    this.#db = db;
  }

  async get(name: string): Promise<string | undefined> {
    return textOf(await this.#db.runRaw(get, [metaKey], [name]));
  }

  async add(name: string, value: string): Promise<void> {
    await this.#db.runRaw(add, [metaKey], [name, value]);
  }

  async replace(name: string, old: string, value: string): Promise<void> {
    await this.#db.runRaw(replace, [metaKey], [name, old, value]);
  }
}
