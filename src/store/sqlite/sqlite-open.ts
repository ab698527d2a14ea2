import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../clock.ts";
import { LatchkeyError } from "../../errors.ts";
import { unusable } from "../unusable.ts";
import { sqliteCode, sqliteCodeOf } from "./sqlite-errors.ts";
import { applicationId, migrations } from "./sqlite-migrations.ts";
import { fileSystemProblem, notOurs, storeFileProblem } from "./store-file.ts";

/** Another process may be starting on the same file. */
const openPatienceMs = 5_000;

/**
 * Opens the file, or makes it (mode 0600, in a folder of mode 0700), and brings its schema up to date. Throws LatchkeyError
 * `configuration_invalid` when it cannot be used as it is; nothing in it was changed then.
 */
export function openSqliteFile(file: string, clock: Clock): DatabaseSync {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // SQLite would make it as the umask says; its journal files take over the mode of the file.
    closeSync(openSync(file, "a", 0o600));
  } catch (error) {
    throw unusable(fileSystemProblem(file, error), error);
  }
  const problem = storeFileProblem(file);
  if (problem !== undefined) throw unusable(problem);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { timeout: openPatienceMs });
    prepare(db, file, clock);
    return db;
  } catch (error) {
    if (db?.isOpen === true) db.close();
    throw error instanceof LatchkeyError ? error : unusable(sqliteProblem(file, error), error);
  }
}

function prepare(db: DatabaseSync, file: string, clock: Clock): void {
  refuseForeign(db, file);
  const mode = db.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
  if (mode !== "wal")
    throw unusable(`store.file ${file} lies on a file system that cannot share it between processes: name a file on a local disk.`);
  // A rotated refresh token must not be lost with the power: each commit waits for the disk.
  db.exec("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864");
  migrate(db, file, clock);
}

function refuseForeign(db: DatabaseSync, file: string): void {
  // In one statement: another process may be making the schema at this moment.
  const found = db.prepare("SELECT application_id AS id, (SELECT count(*) FROM sqlite_schema) AS tables FROM pragma_application_id").get();
  if (found?.["id"] === applicationId) return;
  if (found?.["id"] !== 0 || found["tables"] !== 0) throw unusable(notOurs(file));
}

function migrate(db: DatabaseSync, file: string, clock: Clock): void {
  if (schemaVersion(db) === migrations.length) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    // Read again: another process may have migrated it while we waited.
    const version = schemaVersion(db);
    if (version > migrations.length)
      throw unusable(
        `store.file ${file} was written by a newer version of Latchkey (schema ${version}; this one knows ${migrations.length}): install that version, or name another file.`,
      );
    db.exec("CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, applied_at REAL NOT NULL) STRICT");
    for (const [index, migration] of migrations.entries()) {
      if (index < version) continue;
      db.exec(migration);
      db.prepare("INSERT INTO schema_migrations (version, applied_at) VALUES (?, ?)").run(index + 1, clock.now());
    }
    db.exec(`PRAGMA application_id = ${applicationId}`);
    db.exec("COMMIT");
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

function schemaVersion(db: DatabaseSync): number {
  const known = db.prepare("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'schema_migrations'").get()?.["count"];
  const version = known === 0 ? 0 : db.prepare("SELECT max(version) AS version FROM schema_migrations").get()?.["version"];
  return typeof version === "number" ? version : 0;
}

function sqliteProblem(file: string, error: unknown): string {
  switch (sqliteCodeOf(error)) {
    case sqliteCode.busy:
    case sqliteCode.locked:
      return `store.file ${file} is held by another program: end that one first.`;
    case sqliteCode.readOnly:
      return `store.file ${file} cannot be written: correct the permissions of the file and its folder.`;
    case sqliteCode.full:
      return `The disk of store.file ${file} is full: free some space.`;
    case sqliteCode.corrupt:
      return `store.file ${file} is damaged: put it back from a backup.`;
    case sqliteCode.notADatabase:
      return notOurs(file);
    default:
      return `store.file ${file} cannot be opened (${error instanceof Error ? error.message : "unknown reason"}): correct the path or the permissions.`;
  }
}
