import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { RedisAddress } from "./redis-address.ts";

/** A command that is written and not answered within this is given up; what it did is not known then. */
const commandTimeoutMs = 4_000;
const connectTimeoutMs = 4_000;
/** A connection that owes an answer and is silent for so long is made anew. */
const silentMs = 5_000;
const longestBackoffMs = 1_000;

export type RedisConnection = Redis | Cluster;

export interface ConnectionOptions {
  readonly address: RedisAddress;
  readonly cluster: boolean;
  /** Whether a lost connection is made anew. Not while the store is being opened: then the first error is told. */
  readonly reconnects: () => boolean;
}

/**
 * A connection that is not made yet: `connect()` does. Nothing waits in a queue for the server to come back, and nothing is sent twice: a
 * write whose answer was lost may have been done, and only the caller can find out (F10).
 */
export function redisConnection({ address, cluster, reconnects }: ConnectionOptions): RedisConnection {
  const { host, port, username, password, db, tls } = address;
  const backoff = (times: number): number | null => (reconnects() ? Math.min(50 * 2 ** Math.min(times, 10), longestBackoffMs) : null);
  const common: RedisOptions = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: { servername: host } } : {}),
    // Scripts answer with texts and lists, which version 2 of the protocol has: proxies in between know it.
    protocol: 2,
    commandTimeout: commandTimeoutMs,
    connectTimeout: connectTimeoutMs,
    socketTimeout: silentMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    maxLoadingRetryTime: longestBackoffMs,
    connectionName: "latchkey",
    disableClientInfo: true,
    // A replica that was the primary a moment ago: find out who is now.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
  if (!cluster) return new Redis({ ...common, host, port, db, lazyConnect: true, enableOfflineQueue: false, retryStrategy: backoff });
  return new Cluster([{ host, port }], {
    redisOptions: common,
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: backoff,
    // Sent twice otherwise, when the connection was lost after the command was written.
    retryDelayOnFailover: 0,
    maxRedirections: 4,
    slotsRefreshTimeout: connectTimeoutMs,
    // TLS certificates name hosts, not addresses.
    ...(tls ? { dnsLookup: (name, done) => done(null, name) } : {}),
  });
}

/** A connection to one server, for what is asked of a server and not of a key. */
export function someNode(connection: RedisConnection): Redis | undefined {
  return connection instanceof Cluster ? connection.nodes("master")[0] : connection;
}
