import { unusable } from "../unusable.ts";
import type { PostgresDatabase, PostgresStatements } from "./postgres-database.ts";
import { migrations } from "./postgres-migrations.ts";
import { mustNumber, mustText } from "./postgres-values.ts";

/** Older ones cannot tell which transactions a reader has seen (pg_current_snapshot). */
const oldestServer = 130_000;

/** Migrating a large table takes its time. */
const migrationTimeoutMs = 600_000;

/**
 * Brings the schema up to date; makes it if it is missing. Of several processes that start together, one does. Throws LatchkeyError
 * `configuration_invalid` when it cannot be used as it is; nothing in it was changed then.
 */
export async function prepareSchema(db: PostgresDatabase, name: string): Promise<void> {
  const server = await db.get("SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby");
  if (server !== undefined && mustNumber(server, "version") < oldestServer)
    throw unusable("the server is older than PostgreSQL 13: update it, or name another one in store.url.");
  if (server?.["standby"] === true) throw unusable("the server is a standby, which only reads: name the primary in store.url.");
  // Mostly it is there already, and a role that may not make it can use it.
  if ((await versionOf(db, db.schema, name)) !== migrations.length)
    await db.transaction(async (statements) => {
      await statements.get("SELECT pg_advisory_xact_lock($1)", db.lockNumber("migrations"));
      await migrate(statements, db.schema, name);
    }, migrationTimeoutMs);
  await checkPrivileges(db, name);
}

/** Under the lock: another process may have migrated it while we waited. */
async function migrate(statements: PostgresStatements, schema: string, name: string): Promise<void> {
  const version = await versionOf(statements, schema, name);
  if (version > migrations.length)
    throw unusable(
      `the schema ${name} was written by a newer version of Latchkey (schema ${version}; this one knows ${migrations.length}): install that version, or name another schema.`,
    );
  if (version === 0) await begin(statements, schema, name);
  for (const [index, migration] of migrations.entries()) {
    if (index < version) continue;
    await statements.run(migration(schema));
    await statements.run(`INSERT INTO ${schema}.latchkey_migrations (version) VALUES ($1)`, index + 1);
  }
}

async function begin(statements: PostgresStatements, schema: string, name: string): Promise<void> {
  const there = await statements.get(
    `SELECT (SELECT relname::text FROM pg_class WHERE relnamespace = n.oid AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') ORDER BY 1 LIMIT 1) AS relation
     FROM pg_namespace n WHERE nspname = $1`,
    name,
  );
  if (there !== undefined && there["relation"] !== null)
    throw unusable(
      `the schema ${name} belongs to something else (it holds ${JSON.stringify(mustText(there, "relation"))}): name a schema of its own. It was not changed.`,
    );
  if (there === undefined) await statements.run(`CREATE SCHEMA ${schema}`);
  await statements.run(
    `CREATE TABLE ${schema}.latchkey_migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  );
}

async function versionOf(statements: PostgresStatements, schema: string, name: string): Promise<number> {
  const known = await statements.get("SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'latchkey_migrations'", name);
  if (known === undefined) return 0;
  const row = await statements.get(`SELECT coalesce(max(version), 0) AS version FROM ${schema}.latchkey_migrations`);
  return row === undefined ? 0 : mustNumber(row, "version");
}

/** Told now, with what to do, rather than at the first login. */
async function checkPrivileges(db: PostgresDatabase, name: string): Promise<void> {
  const lacking = await db.get(
    `SELECT relname::text AS relation, current_user::text AS role FROM pg_class
     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind = 'r' AND relname <> 'latchkey_migrations'
       AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
         AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')) LIMIT 1`,
    name,
  );
  if (lacking === undefined) return;
  const [relation, role] = [mustText(lacking, "relation"), mustText(lacking, "role")];
  throw unusable(
    `the role ${role} may not read and write the table ${relation}. As the owner of the tables run: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${db.schema} TO "${role}".`,
  );
}
