import type { ReplicaStore } from "../../session/store.ts";
import type { PostgresDatabase } from "./postgres-database.ts";
import { mustNumber } from "./postgres-values.ts";

/** The server's clock, milliseconds since the epoch: the same for all, whatever their machines say. */
export const serverNow = "(extract(epoch FROM clock_timestamp()) * 1000)::double precision";

/** A lease that ends later than this was written before the server's clock was set back. */
const longestLeaseMs = 600_000;

/** Which processes have the PostgreSQL store open, by the server's clock. */
export class PostgresReplicas implements ReplicaStore {
  readonly #db: PostgresDatabase;
  readonly #table: string;

  constructor(db: PostgresDatabase) {
    this.#db = db;
    this.#table = `${db.schema}.replicas`;
  }

  async announce(replica: string, leaseMs: number): Promise<number> {
    const row = await this.#db.get(
      `WITH moment AS MATERIALIZED (SELECT ${serverNow} AS now),
         mine AS (INSERT INTO ${this.#table} (id, lease_until) SELECT $1, now + $2::double precision FROM moment
           ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until RETURNING id)
       SELECT 1 + count(*) AS count FROM ${this.#table}, moment
       WHERE id <> $1 AND lease_until > now AND lease_until <= now + ${longestLeaseMs}`,
      ...[replica, leaseMs],
    );
    return row === undefined ? 1 : mustNumber(row, "count");
  }

  async leave(replica: string): Promise<void> {
    await this.#db.run(`DELETE FROM ${this.#table} WHERE id = $1`, replica);
  }
}
