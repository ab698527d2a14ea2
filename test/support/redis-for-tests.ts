import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";

/** The Redis server that the tests use; LATCHKEY_TEST_REDIS_URL names another one. */
export const redisUrl = process.env["LATCHKEY_TEST_REDIS_URL"] ?? "redis://127.0.0.1:6379";

/** Why the tests that need it cannot run; undefined: they can. Where CI=true they run anyway, and fail. */
export const noRedis: string | undefined = await reasonWithout(redisUrl);

/** A key prefix that no other test has. What it names is removed after the test. */
export function ownPrefix(url: string = redisUrl): string {
  const prefix = `latchkey-test-${randomBytes(9).toString("base64url")}`;
  onTestFinished(() => removePrefix(url, prefix));
  return prefix;
}

/** A connection as another hand has one. It is closed after the test. */
export function anotherHand(url: string = redisUrl): Redis {
  const redis = new Redis(url, { lazyConnect: false, maxRetriesPerRequest: 2 });
  redis.on("error", () => {});
  onTestFinished(() => redis.disconnect());
  return redis;
}

async function removePrefix(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => null });
  redis.on("error", () => {});
  try {
    for await (const keys of redis.scanStream({ match: `{${prefix}}:*`, count: 1_000 })) if (keys.length > 0) await redis.unlink(...keys);
  } catch {
    // A server that the test has ended holds nothing any more.
  } finally {
    redis.disconnect();
  }
}

async function reasonWithout(url: string): Promise<string | undefined> {
  if (process.env["CI"] === "true") return undefined;
  const redis = new Redis(url, { lazyConnect: true, connectTimeout: 2_000, retryStrategy: () => null });
  redis.on("error", () => {});
  try {
    await redis.connect();
    return undefined;
  } catch {
    return "no Redis server can be reached";
  } finally {
    redis.disconnect();
  }
}
