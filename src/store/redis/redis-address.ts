import { unusable } from "../unusable.ts";

/** Where a Redis server is, and who one is there. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly tls: boolean;
}

/** Reads a URL redis://user:password@host:port/db, or rediss:// for TLS. Throws LatchkeyError `configuration_invalid`, without the URL: it is a secret. */
export function redisAddress(url: string, cluster: boolean): RedisAddress {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !["redis:", "rediss:"].includes(parsed.protocol) || parsed.hostname === "")
    throw unusable("store.url is no address of a Redis server: write redis://host:port, or rediss://host:port for TLS.");
  const path = parsed.pathname.replace(/^\//, "");
  if (!/^\d{0,9}$/.test(path))
    throw unusable("store.url names no database: write its number after the last slash, as in redis://host:6379/2.");
  const db = Number(path);
  if (cluster && db !== 0) throw unusable(`store.url names the database ${db}, and a cluster has only 0: leave the number away.`);
  return {
    // An IPv6 address stands in brackets in a URL.
    host: parsed.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: parsed.port === "" ? 6379 : Number(parsed.port),
    username: textOf(parsed.username),
    password: textOf(parsed.password),
    db,
    tls: parsed.protocol === "rediss:",
  };
}

/** How logs and messages name the server. */
export function placeOf({ host, port }: RedisAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function textOf(part: string): string | undefined {
  if (part === "") return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    throw unusable("the user name or the password in store.url is not well encoded: write a % as %25.");
  }
}
