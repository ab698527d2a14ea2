import { Client, type ClientConfig, types } from "pg";
import { unusable } from "../unusable.ts";
import type { PostgresPlace } from "./postgres-errors.ts";

/** A server that is gone is noticed within these. The server gives up before the driver, so that nothing is written long after we gave up. */
const connectTimeoutMs = 3_000;
const statementTimeoutMs = 4_000;
const queryTimeoutMs = 4_500;

const int8 = 20;

/** How each connection is made. Throws LatchkeyError `configuration_invalid`; the URL, which holds the password, is in none of its texts. */
export function connectionSettings(url: string): ClientConfig {
  const settings: ClientConfig = {
    connectionString: url,
    application_name: "latchkey",
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: queryTimeoutMs,
    // A process that stands still in the middle of a transaction must not hold the others up.
    idle_in_transaction_session_timeout: statementTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // Counts and versions are far below 2^53.
    types: { getTypeParser: (id, format) => (id === int8 ? Number : types.getTypeParser(id, format)) },
  };
  if (!/^postgres(ql)?:\/\//.test(url)) throw malformed();
  try {
    new Client(settings);
  } catch {
    // Its error repeats parts of the URL.
    throw malformed();
  }
  return settings;
}

/** Where that leads to. */
export function placeOf(settings: ClientConfig, schema: string): PostgresPlace {
  const { host, port, user, database } = new Client(settings);
  return { host: `${host}:${port}`, user: user ?? "", database: database ?? "", schema };
}

function malformed() {
  return unusable(
    "store.url is no address of a PostgreSQL server: it must look like postgres://USER:PASSWORD@HOST:5432/DATABASE, with special characters in the password percent-encoded.",
  );
}
