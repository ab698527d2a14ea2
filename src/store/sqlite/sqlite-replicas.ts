import type { ReplicaStore } from "../../session/store.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { mustNumber } from "./sqlite-values.ts";

/** A lease that ends later than this was written before the clock was set back. */
const longestLeaseMs = 600_000;

/** Which processes have the SQLite file open. They are on one machine, so its clock is everybody's. */
export class SqliteReplicas implements ReplicaStore {
  readonly #db: SqliteDatabase;
  readonly #now: () => number;

  constructor(db: SqliteDatabase, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  announce(replica: string, leaseMs: number): Promise<number> {
    return this.#db.write(() => {
      const now = this.#now();
      this.#db.run("DELETE FROM replicas WHERE lease_until <= ? OR lease_until > ?", now, now + longestLeaseMs);
      this.#db.run("INSERT OR REPLACE INTO replicas (id, lease_until) VALUES (?, ?)", replica, now + leaseMs);
      const row = this.#db.get("SELECT count(*) AS count FROM replicas");
      return row === undefined ? 1 : mustNumber(row, "count");
    });
  }

  async leave(replica: string): Promise<void> {
    await this.#db.write(() => this.#db.run("DELETE FROM replicas WHERE id = ?", replica));
  }
}
