import { createHash } from "node:crypto";

/** A Lua script: it runs whole and alone, so that what it reads cannot change before it writes. */
export interface RedisScript {
  readonly text: string;
  /** SHA-1 of the text: how EVALSHA names it. */
  readonly sha: string;
}

/**
 * Makes a script. KEYS[1] and ARGV[1] are the store's mark: a server that has lost its data, or holds another store, must not be
 * taken for an empty one. `body` finds its own in KEYS[2] and ARGV[2] onwards. Every key that it touches is among its KEYS.
 */
export function redisScript(body: string): RedisScript {
  return rawScript(
    `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('LATCHKEYMARK another store, or none') end\n${body}`,
  );
}

/** A script that does not ask for the store's mark. */
export function rawScript(text: string): RedisScript {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}
