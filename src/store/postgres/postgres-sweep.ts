import type { Clock, Timer } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import type { PostgresDatabase, PostgresStatements } from "./postgres-database.ts";
import { serverNow } from "./postgres-replicas.ts";

const everyMs = 60_000;
const rowsAtOnce = 1_000;
/** A process that has not looked for so long knows nothing of what it keeps anyway. */
const removalsKeptHours = 24;

/** Tables whose rows expire, and the column that names one. */
const expiring = {
  browser_sessions: "key",
  login_transactions: "state_hash",
  import_intents: "hash",
  used_ids: "hash",
  authorization_server_records: "id_hash",
} as const;

/** Removes up to `limit` rows of each kind that have expired at `now`. Rows that another process removes at this moment are left to it. */
export async function sweepExpired(statements: PostgresStatements, schema: string, now: number, limit: number): Promise<number> {
  let removed = 0;
  for (const [table, key] of Object.entries(expiring))
    removed += await statements.run(deleteStatement(`${schema}.${table}`, key, "expires_at <= $1", limit), now);
  return removed + (await statements.run(deleteStatement(`${schema}.replicas`, "id", `lease_until <= ${serverNow}`, limit)));
}

/** Nobody asks for what has expired: it goes by itself, a little at a time. */
export class PostgresSweep {
  readonly #db: PostgresDatabase;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #timer: Timer | undefined;

  constructor(db: PostgresDatabase, clock: Clock, logger: Logger) {
    this.#db = db;
    this.#clock = clock;
    this.#logger = logger;
    this.#plan();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #plan(): void {
    this.#timer = this.#clock.schedule(everyMs, () => void this.#sweep());
  }

  async #sweep(): Promise<void> {
    const { schema } = this.#db;
    try {
      await sweepExpired(this.#db, schema, this.#clock.now(), rowsAtOnce);
      const old = `at < clock_timestamp() - interval '${removalsKeptHours} hours'`;
      await this.#db.run(deleteStatement(`${schema}.removals`, "id", old, rowsAtOnce));
    } catch (error) {
      this.#logger.debug("What has expired in the store could not be removed; it is tried again.", { error });
    }
    if (this.#timer !== undefined) this.#plan();
  }
}

function deleteStatement(table: string, key: string, where: string, limit: number): string {
  return `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE ${where} LIMIT ${limit} FOR UPDATE SKIP LOCKED)`;
}
