import type { Clock } from "../../clock.ts";
import { LatchkeyError } from "../../errors.ts";
import type { PostgresDatabase } from "./postgres-database.ts";
import { postgresCodeOf } from "./postgres-errors.ts";
import { mustText } from "./postgres-values.ts";

/** A failover keeps connections of some proxies open: it is looked at again after this time. */
const staleMs = 3_000;

/** Which server it is, and on which timeline: both change when it was put back from a backup or another one took over. */
export class PostgresIdentity {
  readonly #db: PostgresDatabase;
  readonly #clock: Clock;
  #known = "";
  #lookedAt: number | undefined;

  constructor(db: PostgresDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** A connection was made: the server may be another one. */
  stale(): void {
    this.#lookedAt = undefined;
  }

  /** Empty where the server does not tell: then only its own mark tells lives of the data apart. */
  async look(): Promise<string> {
    const now = this.#clock.monotonic();
    if (this.#lookedAt !== undefined && now - this.#lookedAt < staleMs) return this.#known;
    this.#lookedAt = now;
    try {
      // The name of a WAL file begins with the timeline. Any role may ask, unless that was taken from it.
      const row = await this.#db.get(
        "SELECT '.' || system_identifier || '.' || left(pg_walfile_name(pg_current_wal_lsn()), 8) AS identity FROM pg_control_system()",
      );
      if (row !== undefined) this.#known = mustText(row, "identity");
    } catch (error) {
      if (!isUntold(error)) {
        this.#lookedAt = undefined;
        throw error;
      }
    }
    return this.#known;
  }
}

/** No permission, no such function, or a standby: what was known stays. */
function isUntold(error: unknown): boolean {
  const code = error instanceof LatchkeyError ? postgresCodeOf(error.cause) : undefined;
  return code === "42501" || code === "42883" || code === "55000" || code === "0A000";
}
