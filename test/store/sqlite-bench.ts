import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Audit, AuditEvent } from "../../src/audit/audit.ts";
import { createLogger } from "../../src/logger.ts";
import type { Store } from "../../src/session/store.ts";
import type { SealingKey } from "../../src/store/key-ring.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { ManualClock } from "../support/manual-clock.ts";

export const aKey: SealingKey = { id: "one", secret: "first secret of the tests, 32 characters and more" };

export const anotherKey: SealingKey = { id: "two", secret: "second secret of the tests, 32 characters and more" };

/** A folder of one test, with stores on one file in it. Each store object is as good as a process. */
export class SqliteBench {
  readonly clock = new ManualClock();
  readonly folder = mkdtempSync(join(tmpdir(), "latchkey-store-"));
  readonly file = join(this.folder, "latchkey.db");
  readonly events: AuditEvent[] = [];
  readonly lines: string[] = [];
  readonly #stores: Store[] = [];

  constructor(atEnd?: (close: () => Promise<void>) => void) {
    atEnd?.(() => this.close());
  }

  async open(keys: readonly SealingKey[] = [aKey]): Promise<Store> {
    return (await this.openWithKey(keys)).store;
  }

  async openWithKey(keys: readonly SealingKey[] = [aKey]) {
    const audit: Audit = { record: (event) => void this.events.push(event) };
    const logger = createLogger({ level: "debug", format: "json", write: (line) => this.lines.push(line), now: () => this.clock.now() });
    const opened = await openSqliteStore({ file: this.file, keys, clock: this.clock, logger, audit });
    this.#stores.push(opened.store);
    return opened;
  }

  /** As another hand would: straight into the file. */
  tamper(sql: string): void {
    const db = new DatabaseSync(this.file);
    try {
      db.exec(sql);
    } finally {
      db.close();
    }
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
