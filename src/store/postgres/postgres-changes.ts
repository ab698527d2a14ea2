import type { LoginSessionId } from "../../session/login-session.ts";
import type { LoginSessionChange } from "../../session/store.ts";
import type { StoreClock } from "../store-clock.ts";
import type { PostgresDatabase } from "./postgres-database.ts";
import type { PostgresIdentity } from "./postgres-identity.ts";
import { serverNow } from "./postgres-replicas.ts";
import { mustNumber, mustText, type PostgresRow, textOrNull } from "./postgres-values.ts";

/** So many changes are read at one time. When there are more, everything counts as changed, and is read in pieces of this size. */
const mostAtOnce = 20_000;
/** A write whose answer never came has ended by then, one way or the other: the server gives up a statement sooner. */
const doubtMs = 30_000;

/**
 * What other processes change in a PostgreSQL database, and what is looked up with it: the server's time and the incarnation.
 *
 * Transactions become visible in another order than they were numbered in, so a number is no cursor: the snapshot of the last look is.
 * A change is news if its transaction is visible now and was not then. Each look asks for the transactions that had not ended at the last one:
 * those in its list (`xip`), and all from its `xmax` on. That is exact: nothing is lost, and nothing is read twice while an
 * old transaction stays open.
 */
export class PostgresChanges {
  readonly #db: PostgresDatabase;
  readonly #clock: StoreClock;
  readonly #identity: PostgresIdentity;
  /** Stands beside each change that this store makes. */
  readonly writer: string;
  /** By id, when a write of our own got no answer (monotonic): it is told if it shows up. */
  readonly #doubts = new Map<string, number>();
  #seen: Snapshot | undefined;
  #incarnation = "";

  constructor(db: PostgresDatabase, clock: StoreClock, identity: PostgresIdentity, writer: string) {
    this.#db = db;
    this.#clock = clock;
    this.#identity = identity;
    this.writer = writer;
  }

  /** As it was at the last look. */
  get incarnation(): string {
    return this.#incarnation;
  }

  /** A write of this store got no answer: others in this process must hear of it if it was done. */
  doubt(id: LoginSessionId): void {
    this.#doubts.set(id, this.#clock.monotonic());
  }

  /** What others have changed since the last look; at the first, nothing. */
  async news(): Promise<readonly LoginSessionChange[]> {
    const identity = await this.#identity.look();
    const row = await this.#look();
    const seen = snapshotOf(mustText(row, "snapshot"));
    const incarnation = `${textOrNull(row, "incarnation") ?? ""}${identity}`;
    const [last, lastIncarnation] = [this.#seen, this.#incarnation];
    // Put back from a backup, or failed over, under our feet: everything may be another.
    const another = last !== undefined && (seen.xmax < last.xmax || incarnation !== lastIncarnation);
    const changes = changesOf(row["changes"]);
    const news = another || changes.length > mostAtOnce ? await this.#everything() : changes;
    // Only now: a look that failed is looked again.
    this.#seen = seen;
    this.#incarnation = incarnation;
    this.#settleDoubts(news);
    return news;
  }

  async #look(): Promise<PostgresRow> {
    const { schema } = this.#db;
    const last = this.#seen;
    const askedAt = this.#clock.monotonic();
    // One statement, so that all of it sees one snapshot. A row from a dump may carry a number that is yet to come.
    const which = `(txid >= $1::xid8 OR txid = ANY ($2::xid8[])) AND txid < pg_snapshot_xmax(pg_current_snapshot()) AND (writer <> $3 OR id = ANY ($4))`;
    const row = await this.#db.get(
      `SELECT pg_current_snapshot()::text AS snapshot, ${serverNow} AS now,
         (SELECT value FROM ${schema}.meta WHERE name = 'incarnation') AS incarnation,
         CASE WHEN $1::xid8 IS NULL THEN '[]' ELSE (SELECT coalesce(json_agg(json_build_array(id, version) ORDER BY txid), '[]') FROM (
           SELECT id, version, txid FROM ${schema}.login_sessions WHERE ${which}
           UNION ALL SELECT id, 0, txid FROM ${schema}.removals WHERE ${which}
           LIMIT ${mostAtOnce + 1}) AS changed) END AS changes`,
      ...[last === undefined ? null : String(last.xmax), last === undefined ? [] : last.xip, this.writer, [...this.#doubts.keys()]],
    );
    if (row === undefined) throw new TypeError("A look at the store gave no row.");
    this.#clock.observe(mustNumber(row, "now"), askedAt);
    return row;
  }

  async #everything(): Promise<readonly LoginSessionChange[]> {
    const { schema } = this.#db;
    const all: PostgresRow[] = [...(await this.#db.all(`SELECT id, 0::bigint AS version FROM ${schema}.removals`))];
    for (let after = ""; ; ) {
      const page = await this.#db.all(
        `SELECT id, version FROM ${schema}.login_sessions WHERE id > $1 ORDER BY id LIMIT ${mostAtOnce}`,
        after,
      );
      all.push(...page);
      const last = page.at(-1);
      if (last === undefined) break;
      after = mustText(last, "id");
    }
    return all.map((each) => ({ id: mustText(each, "id") as LoginSessionId, version: mustNumber(each, "version") }));
  }

  #settleDoubts(news: readonly LoginSessionChange[]): void {
    for (const { id } of news) this.#doubts.delete(id);
    for (const [id, since] of this.#doubts) if (this.#clock.monotonic() - since > doubtMs) this.#doubts.delete(id);
  }
}

/** Transactions below `xmax` had ended, but for those in `xip`. */
interface Snapshot {
  readonly xmax: bigint;
  readonly xip: readonly string[];
}

/** `xmin:xmax:xip,xip`, as pg_snapshot is written. */
function snapshotOf(text: string): Snapshot {
  const [, xmax = "0", xip = ""] = text.split(":");
  return { xmax: BigInt(xmax), xip: xip === "" ? [] : xip.split(",") };
}

function changesOf(pairs: unknown): readonly LoginSessionChange[] {
  if (!Array.isArray(pairs)) return [];
  return pairs.map(([id, version]: readonly [LoginSessionId, number]) => ({ id, version }));
}
