import { randomBytes } from "node:crypto";
import { LatchkeyError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { ensureIncarnation } from "../incarnation.ts";
import { IndexHashes } from "../index-hashes.ts";
import { loadIndexKey } from "../index-key.ts";
import type { KeyRing } from "../key-ring.ts";
import type { SealedRecords } from "../sealed-records.ts";
import { markKey, type RedisDatabase } from "./redis-database.ts";
import type { RedisMeta } from "./redis-meta.ts";
import { rawScript } from "./redis-script.ts";

const setMark = rawScript("return redis.call('SET', KEYS[1], ARGV[1])");

export interface RedisMarkParts {
  readonly db: RedisDatabase;
  readonly meta: RedisMeta;
  readonly ring: KeyRing;
  /** How the configuration names the store. */
  readonly where: string;
  readonly records: SealedRecords;
  readonly logger: Logger;
}

/**
 * Marks the data as this store's: with what its index key makes, so that all processes that share the store know the mark. When the server
 * has lost its data the store is begun again with the same key, which is still in memory: hashes of refresh tokens and
 * users stay what they were. When another process has begun it with another key, this one may not write into it.
 */
export async function markStore({ db, meta, ring, where, records, logger }: RedisMarkParts): Promise<void> {
  const mark = markOf(records.hashes);
  const sealedKey = await meta.get("index_key");
  const write = async (): Promise<void> => {
    await ensureIncarnation(meta);
    await meta.add("born", randomBytes(9).toString("base64url"));
    await db.runRaw(setMark, [markKey], [mark]);
  };
  const begin = async (): Promise<void> => {
    if (sealedKey !== undefined) await meta.add("index_key", sealedKey);
    if (markOf(new IndexHashes(await loadIndexKey(meta, ring, where))) === mark) return write();
    logger.error("The data in Redis is gone, and another process has begun a new store in its place: restart this process.");
    throw new LatchkeyError("store_unavailable", "The store is another one now: this Latchkey has to be restarted.");
  };
  let beginning: Promise<void> | undefined;
  db.guard(mark, () => {
    beginning ??= begin().finally(() => {
      beginning = undefined;
    });
    return beginning;
  });
  await write();
}

/** It says nothing about the key. */
function markOf(hashes: IndexHashes): string {
  return hashes.rowMac("mark", []);
}
