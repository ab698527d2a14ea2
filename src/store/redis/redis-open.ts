import { type Clock, sleep } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import type { RedisAddress } from "./redis-address.ts";
import { type RedisConnection, redisConnection } from "./redis-connection.ts";
import { withoutCommand } from "./redis-errors.ts";
import { openingProblem } from "./redis-problems.ts";

/** Something that listens and says nothing is given up after this. */
const openPatienceMs = 10_000;

export interface ConnectOptions {
  readonly address: RedisAddress;
  readonly cluster: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Connects. Afterwards a lost connection is made anew, again and again. Throws LatchkeyError `configuration_invalid` or `store_unavailable`. */
export async function connectRedis({ address, cluster, clock, logger }: ConnectOptions): Promise<RedisConnection> {
  let open = false;
  let problem: unknown;
  const connection = redisConnection({ address, cluster, reconnects: () => open });
  const notice = (error: unknown): void => {
    // The first says why; those after it only that it is so.
    if (!open) problem ??= errorOfNode(error);
    else logger.warn("The connection to Redis has failed; it is made anew.", { error: withoutCommand(error) });
  };
  connection.on("error", notice);
  connection.on("node error", notice);
  const late = new AbortController();
  try {
    const silence = sleep(clock, openPatienceMs, late.signal).then(() => Promise.reject(new Error("no answer")));
    await Promise.race([connection.connect(), silence]);
    if (problem !== undefined) throw problem;
    open = true;
    return connection;
  } catch (error) {
    connection.disconnect();
    throw openingProblem(problem ?? errorOfNode(error), address);
  } finally {
    late.abort();
  }
}

/** A cluster's error says only that no node could be used; the node's own error hangs on it. */
function errorOfNode(error: unknown): unknown {
  return error instanceof Error && "lastNodeError" in error && error.lastNodeError instanceof Error ? error.lastNodeError : error;
}
