import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import pg from "pg";
import { startChaosProxy } from "../../src/testing/index.ts";
import type { AtEnd } from "../support/e2e-world.ts";

const postgresUrl = process.env["LATCHKEY_TEST_POSTGRES_URL"] ?? "postgres://postgres@127.0.0.1:5432/test";
const redisUrl = process.env["LATCHKEY_TEST_REDIS_URL"] ?? "redis://127.0.0.1:6379/0";

/** A store that processes can share, as a configuration names it; what a test leaves in it is removed afterwards. */
export interface SharedStore {
  /** The sections `store` and `sealing`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Cuts all that is connected to it, and keeps it away; undefined: it cannot be. */
  readonly outage?: { begin(): void; end(): Promise<void> } | undefined;
}

export interface SharedStoreKind {
  readonly name: "sqlite" | "postgres" | "redis";
  /** Why it cannot be had here; undefined: it can. With CI=true that is an error. */
  missing(): Promise<string | undefined>;
  prepare(atEnd: AtEnd): Promise<SharedStore>;
}

const sealing = { keys: [{ id: "tests", key: "a sealing key of the tests, 32 characters and more" }] };

/** A file in the folder of the fleet. */
const sqlite: SharedStoreKind = {
  name: "sqlite",
  missing: async () => undefined,
  prepare: async () => ({ config: { store: { type: "sqlite", file: "latchkey.db" } } }),
};

/** A schema of its own on the PostgreSQL server of this machine. */
const postgres: SharedStoreKind = {
  name: "postgres",
  missing: () => reason("PostgreSQL", async () => onPostgres("SELECT 1")),
  prepare: async (atEnd) => {
    const schema = `latchkey_fleet_${randomBytes(6).toString("hex")}`;
    atEnd(async () => onPostgres(`DROP SCHEMA IF EXISTS ${schema} CASCADE`));
    const { url, outage } = await behindProxy(atEnd, postgresUrl);
    return { config: { store: { type: "postgres", url, schema }, sealing }, outage };
  },
};

/** Keys with a prefix of their own on the Redis server of this machine. */
const redis: SharedStoreKind = {
  name: "redis",
  missing: () => reason("Redis", async () => void (await onRedis((client) => client.ping()))),
  prepare: async (atEnd) => {
    const keyPrefix = `latchkey-fleet-${randomBytes(6).toString("hex")}`;
    atEnd(() => onRedis((client) => removeKeys(client, keyPrefix)));
    const { url, outage } = await behindProxy(atEnd, redisUrl);
    return { config: { store: { type: "redis", url, keyPrefix }, sealing }, outage };
  },
};

/** All kinds that several processes can share. */
export const sharedStoreKinds: readonly SharedStoreKind[] = [sqlite, postgres, redis];

async function behindProxy(atEnd: AtEnd, address: string) {
  const url = new URL(address);
  const proxy = await startChaosProxy({ target: `http://${url.host}` });
  atEnd(() => proxy.close());
  url.hostname = "127.0.0.1";
  url.port = String(proxy.port);
  const outage = {
    begin: (): void => {
      proxy.refuse();
      proxy.closeConnections();
    },
    end: (): Promise<void> => proxy.accept(),
  };
  return { url: url.href, outage };
}

async function onPostgres(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

async function onRedis<T>(run: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(redisUrl, { lazyConnect: true, connectTimeout: 2_000, retryStrategy: () => null });
  client.on("error", () => {});
  try {
    await client.connect();
    return await run(client);
  } finally {
    client.disconnect();
  }
}

async function removeKeys(client: Redis, keyPrefix: string): Promise<void> {
  let cursor = "0";
  do {
    const [next, keys] = await client.scan(cursor, "MATCH", `*${keyPrefix}*`, "COUNT", 1_000);
    if (keys.length > 0) await client.unlink(...keys);
    cursor = next;
  } while (cursor !== "0");
}

async function reason(name: string, probe: () => Promise<void>): Promise<string | undefined> {
  try {
    await probe();
    return undefined;
  } catch (error) {
    const text = `${name} cannot be reached on this machine: ${String(error)}`;
    if (process.env["CI"] === "true") throw new Error(text, { cause: error });
    return text;
  }
}
