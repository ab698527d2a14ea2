import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, type QueryResultRow } from "pg";
import type { Audit, AuditEvent } from "../../src/audit/audit.ts";
import { sleep, systemClock } from "../../src/clock.ts";
import { createLogger } from "../../src/logger.ts";
import type { Store } from "../../src/session/store.ts";
import type { SealingKey } from "../../src/store/key-ring.ts";
import { openPostgresStore, type PostgresStoreOptions } from "../../src/store/postgres/postgres-store.ts";
import { postgresUrl } from "../support/postgres-for-tests.ts";
import { aKey } from "./sqlite-bench.ts";

/** A schema of one test, with stores on it. Each store object is as good as a process. */
export class PostgresBench {
  readonly schema = `Latchkey test ${randomBytes(6).toString("hex")}`;
  readonly folder = mkdtempSync(join(tmpdir(), "latchkey-store-"));
  readonly events: AuditEvent[] = [];
  readonly lines: string[] = [];
  /** The time that the tests hand to the store; leases and looks go by the real one. */
  #now = Date.now();
  readonly #stores: Store[] = [];

  constructor(atEnd?: (close: () => Promise<void>) => void) {
    atEnd?.(() => this.close());
  }

  readonly now = (): number => this.#now;

  /** For what only compares the times that it is handed. */
  readonly pass = async (ms: number): Promise<void> => {
    this.#now += ms;
  };

  /** Real waiting as well: the server's clock cannot be moved. */
  readonly advance = async (ms: number): Promise<void> => {
    this.#now += ms;
    await sleep(systemClock, ms);
  };

  async open(keys: readonly SealingKey[] = [aKey], more: Partial<PostgresStoreOptions> = {}): Promise<Store> {
    return (await this.openWithKey(keys, more)).store;
  }

  async openWithKey(keys: readonly SealingKey[] = [aKey], more: Partial<PostgresStoreOptions> = {}) {
    const audit: Audit = { record: (event) => void this.events.push(event) };
    const logger = createLogger({ level: "debug", format: "json", write: (line) => this.lines.push(line), now: () => Date.now() });
    const [active = aKey, ...others] = keys;
    const opened = await openPostgresStore({
      url: postgresUrl,
      schema: this.schema,
      maxConnections: 4,
      keys: [active, ...others],
      journalDirectory: join(this.folder, "replies"),
      clock: systemClock,
      logger,
      audit,
      ...more,
    });
    this.#stores.push(opened.store);
    return opened;
  }

  /** A connection as another program has it, with the schema as its search path. */
  async connect(atEnd: (close: () => Promise<void>) => void): Promise<Client> {
    const client = new Client(postgresUrl);
    client.on("error", () => {});
    await client.connect();
    atEnd(() => client.end());
    await client.query(`SET search_path TO "${this.schema}"`);
    return client;
  }

  /** As another hand would: straight into the database. */
  async sql(text: string): Promise<readonly QueryResultRow[]> {
    const closes: (() => Promise<void>)[] = [];
    const client = await this.connect((close) => closes.push(close));
    try {
      return (await client.query(text)).rows;
    } finally {
      for (const close of closes) await close();
    }
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close();
    await this.sql(`DROP SCHEMA IF EXISTS "${this.schema}" CASCADE`);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
