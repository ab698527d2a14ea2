import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { type Clock, sleep } from "../../clock.ts";
import { LatchkeyError } from "../../errors.ts";
import { isBusy, storeError } from "./sqlite-errors.ts";

/** One row as SQLite gives it. */
export type SqliteRow = Readonly<Record<string, SQLOutputValue>>;

interface Job {
  run(): void;
  committed(): void;
  failed(error: unknown): void;
}

/** How long SQLite itself waits for another process, standing still. Longer waits let this process go on meanwhile. */
const busyTimeoutMs = 2;
const retryMs = 20;
/** After so long the store counts as unavailable. */
const patienceMs = 5_000;
/** So many writes share one transaction at most. */
const largestBatch = 64;

/**
 * One connection to a SQLite file. Writes that come at one time share a transaction, and with it the wait for the disk;
 * each is told after the commit, in order. Errors are LatchkeyErrors.
 */
export class SqliteDatabase {
  readonly #db: DatabaseSync;
  readonly #clock: Clock;
  readonly #statements = new Map<string, StatementSync>();
  #jobs: Job[] = [];
  #draining: Promise<void> | undefined;
  #closed = false;

  constructor(db: DatabaseSync, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
  }

  /** Reads, with `get` and `all`. Throws LatchkeyError `store_unavailable`. */
  read<T>(run: () => T): Promise<T> {
    return this.#patiently(run);
  }

  /**
   * Runs `run` in a transaction that no other writer overlaps. What it throws undoes it alone. `committed` is called
   * with its result once that is durable, before the promise resolves. Throws LatchkeyError `store_unavailable`.
   */
  write<T>(run: () => T, committed: (result: T) => void = () => {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError());
      let result: { readonly value: T } | undefined;
      this.#jobs.push({
        run: () => {
          result = { value: run() };
        },
        committed: () => {
          if (result === undefined) return;
          resolve(result.value);
          committed(result.value);
        },
        failed: reject,
      });
      this.#draining ??= this.#drain();
    });
  }

  // Values stand for "?" in their order: Node 22 does not know the numbered "?1".
  get(sql: string, ...values: readonly SQLInputValue[]): SqliteRow | undefined {
    return this.#prepare(sql).get(...values);
  }

  all(sql: string, ...values: readonly SQLInputValue[]): readonly SqliteRow[] {
    return this.#prepare(sql).all(...values);
  }

  /** Gives how many rows were changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  /** Lets the writes that are under way end, then closes. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
    if (this.#db.isOpen) this.#db.close();
  }

  #prepare(sql: string): StatementSync {
    if (this.#closed && !this.#db.isOpen) throw closedError();
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  async #drain(): Promise<void> {
    // What else is ready in this turn comes into the same transaction.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#jobs.length > 0) {
      const batch = this.#jobs.splice(0, largestBatch);
      try {
        const failed = await this.#patiently(() => this.#transaction(batch));
        for (const job of batch)
          if (failed.has(job)) job.failed(storeError(failed.get(job)));
          else job.committed();
      } catch (error) {
        // Of no effect on those that were told already.
        for (const job of batch) job.failed(storeError(error));
      }
    }
    this.#draining = undefined;
  }

  /** Gives the jobs that failed, with their error: nothing of those was written, and the others all were. */
  #transaction(batch: readonly Job[]): ReadonlyMap<Job, unknown> {
    this.#db.exec("BEGIN IMMEDIATE");
    const failed = new Map<Job, unknown>();
    try {
      for (const job of batch) this.#runOne(job, failed);
      this.#db.exec("COMMIT");
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
    return failed;
  }

  #runOne(job: Job, failed: Map<Job, unknown>): void {
    this.#db.exec("SAVEPOINT job");
    try {
      job.run();
    } catch (error) {
      // Some errors (a full disk) have ended the transaction of all.
      if (!this.#db.isTransaction) throw error;
      this.#db.exec("ROLLBACK TO job");
      failed.set(job, error);
    }
    this.#db.exec("RELEASE job");
  }

  /** Tries again while another process is in the way, without holding this one up. */
  async #patiently<T>(run: () => T): Promise<T> {
    const until = this.#clock.monotonic() + patienceMs;
    for (;;) {
      try {
        return run();
      } catch (error) {
        if (!isBusy(error) || this.#clock.monotonic() >= until) throw storeError(error);
      }
      await sleep(this.#clock, retryMs);
    }
  }
}

function closedError(): LatchkeyError {
  return new LatchkeyError("store_unavailable", "The store is closed.");
}
