import { LatchkeyError } from "../../errors.ts";
import { unusable } from "../unusable.ts";
import { placeOf, type RedisAddress } from "./redis-address.ts";
import { redisError, replyWord, withoutCommand } from "./redis-errors.ts";

/** What keeps a store from being opened, in words that name the way out, and never the password. */
export function openingProblem(error: unknown, address: RedisAddress): LatchkeyError {
  if (error instanceof LatchkeyError) return error;
  const cause = withoutCommand(error);
  const place = placeOf(address);
  const wrong = (problem: string): LatchkeyError => unusable(problem, cause);
  const away = (problem: string): LatchkeyError => new LatchkeyError("store_unavailable", problem, { retryable: true, cause });
  switch (replyWord(error)) {
    case "WRONGPASS":
      return wrong(`Redis at ${place} does not take the user name or the password of store.url: correct them.`);
    case "NOAUTH":
      return wrong(`Redis at ${place} asks for a password: write it into store.url, as in redis://:password@host:port.`);
    case "NOPERM":
      return wrong(`Redis at ${place} does not permit what Latchkey needs to the user of store.url: correct the user's ACL rules.`);
    case "READONLY":
      return wrong(`Redis at ${place} is a replica, which cannot be written: name the primary in store.url.`);
    case "MOVED":
      return wrong(`Redis at ${place} is a node of a cluster: set store.cluster to true.`);
    case "ERR":
      return wrong(replyProblem(cause.message, address));
    case "":
      break;
    default:
      return redisError(error);
  }
  switch ("code" in cause ? cause.code : undefined) {
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return wrong(`there is no host ${address.host}: correct store.url.`);
    case "ECONNREFUSED":
      return away(`The store cannot be used: nothing listens at ${place}: start Redis, or correct store.url.`);
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return away(`The store cannot be used: ${place} does not answer: start Redis, correct store.url, or let the connection through.`);
    default:
      return strangeProblem(cause, address);
  }
}

function replyProblem(message: string, address: RedisAddress): string {
  const place = placeOf(address);
  if (/DB index/i.test(message)) return `Redis at ${place} has no database ${address.db}: correct the number in store.url.`;
  if (/cluster support disabled/i.test(message)) return `Redis at ${place} is no node of a cluster: set store.cluster to false.`;
  if (/AUTH/i.test(message)) return `Redis at ${place} does not take the user name or the password of store.url: correct them.`;
  return `Redis at ${place} refuses what Latchkey needs (${message.slice(0, 200)}): Redis 7.0 or later, or Valkey, is needed.`;
}

function strangeProblem(cause: Error, address: RedisAddress): LatchkeyError {
  const place = placeOf(address);
  // The reader of the protocol has no code for it.
  if (/Unknown RESP type|Protocol error/i.test(cause.message))
    return unusable(`what listens at ${place} is not Redis: correct store.url.`, cause);
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  if (/CERT|SSL|TLS|SELF_SIGNED|ISSUER/.test(code))
    return unusable(
      `Redis at ${place} cannot be reached by TLS (${code}): correct its certificate, or name redis:// instead of rediss://.`,
      cause,
    );
  return new LatchkeyError(
    "store_unavailable",
    `The store cannot be used: what listens at ${place} gives no answer of Redis: start Redis, or correct store.url.`,
    { retryable: true, cause },
  );
}
