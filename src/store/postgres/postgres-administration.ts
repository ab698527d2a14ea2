import type { LoginSessionState } from "../../session/login-session.ts";
import type { ResealStep, StoreAdministration, StoreStats } from "../../session/store-administration.ts";
import { renewIncarnation } from "../incarnation.ts";
import type { SealedRecords } from "../sealed-records.ts";
import type { PostgresDatabase, PostgresStatements } from "./postgres-database.ts";
import { toStoredLoginSession } from "./postgres-login-sessions.ts";
import { PostgresMeta } from "./postgres-meta.ts";
import { serverNow } from "./postgres-replicas.ts";
import { sweepExpired } from "./postgres-sweep.ts";
import { mustNumber, mustText, type PostgresRow } from "./postgres-values.ts";

const states: readonly LoginSessionState[] = ["live", "refreshing", "uncertain", "login_required", "ended"];

/** Counting a million rows takes longer than a call of everyday may. */
const patienceMs = 60_000;
const purgedAtOnce = 5_000;

/** What is sealed, in the order in which it is sealed anew, and the column that names a row. */
const keyOf = { login_sessions: "id", authorization_server_records: "id_hash" } as const;
type SealedTable = keyof typeof keyOf;

/** What an operator does with a PostgreSQL store, while processes use it. */
export class PostgresAdministration implements StoreAdministration {
  readonly #db: PostgresDatabase;
  readonly #records: SealedRecords;

  constructor(db: PostgresDatabase, records: SealedRecords) {
    this.#db = db;
    this.#records = records;
  }

  stats(now: number): Promise<StoreStats> {
    return this.#db.transaction((statements) => readStats(statements, this.#db.schema, now), patienceMs);
  }

  async purge(now: number): Promise<number> {
    let purged = 0;
    for (;;) {
      const step = await this.#db.transaction((statements) => sweepExpired(statements, this.#db.schema, now, purgedAtOnce), patienceMs);
      purged += step;
      if (step === 0) return purged;
    }
  }

  async reseal(after: string | undefined, limit: number): Promise<ResealStep> {
    const [table, begin] = placeOf(after);
    const key = keyOf[table];
    const rows = await this.#db.all(
      `SELECT * FROM ${this.#db.schema}.${table} WHERE ${key} > $1 AND (key_id IS NULL OR key_id <> $2) ORDER BY ${key} LIMIT $3`,
      ...[begin, this.#records.sealer.activeKeyId, limit],
    );
    let resealed = 0;
    let unreadable = 0;
    for (const each of rows) {
      const sealed = await this.#sealAnew(table, each);
      if (sealed === undefined) unreadable += 1;
      else resealed += await this.#put(table, each, sealed);
    }
    const last = rows.at(-1);
    if (last !== undefined) return { next: `${table} ${mustText(last, key)}`, resealed, unreadable };
    return { next: table === "login_sessions" ? "authorization_server_records " : undefined, resealed, unreadable };
  }

  async renewIncarnation(): Promise<void> {
    await renewIncarnation(new PostgresMeta(this.#db));
  }

  #sealAnew(table: SealedTable, row: PostgresRow): Promise<string | undefined> {
    return table === "login_sessions"
      ? this.#records.loginSessions.reseal(toStoredLoginSession(row))
      : this.#records.authorizationServerRecords.reseal(mustText(row, "id_hash"), mustText(row, "sealed"));
  }

  /** Only where it was not written anew in the meantime: then it is sealed with the active key already. */
  #put(table: SealedTable, row: PostgresRow, sealed: string): Promise<number> {
    return this.#db.run(
      `UPDATE ${this.#db.schema}.${table} SET sealed = $1, key_id = $2 WHERE ${keyOf[table]} = $3 AND sealed = $4`,
      ...[sealed, this.#records.sealer.activeKeyId, mustText(row, keyOf[table]), mustText(row, "sealed")],
    );
  }
}

async function readStats(statements: PostgresStatements, schema: string, now: number): Promise<StoreStats> {
  const count = async (what: string, ...values: readonly number[]): Promise<number> => {
    const row = await statements.get(`SELECT count(*) AS count FROM ${schema}.${what}`, ...values);
    return row === undefined ? 0 : countOf(row);
  };
  // Out of one index: the rows themselves are never touched.
  const groups = await statements.all(
    `SELECT state, coalesce(key_id, 'unknown') AS key_id, count(*) AS count FROM ${schema}.login_sessions GROUP BY 1, 2`,
  );
  const others = await statements.all(
    `SELECT coalesce(key_id, 'unknown') AS key_id, count(*) AS count FROM ${schema}.authorization_server_records GROUP BY 1`,
  );
  const sum = (rows: readonly PostgresRow[]): number => rows.reduce((total, row) => total + countOf(row), 0);
  const inState = (state: string): number => sum(groups.filter((row) => row["state"] === state));
  const sealed = [...groups, ...others];
  const keyIds = [...new Set(sealed.map((row) => mustText(row, "key_id")))];
  return {
    loginSessions: Object.fromEntries(states.map((state) => [state, inState(state)])) as Record<LoginSessionState, number>,
    due: await count("login_sessions WHERE due_at <= $1", now),
    connectionKeys: await count("connection_keys"),
    browserSessions: await count("browser_sessions WHERE expires_at > $1", now),
    loginTransactions: await count("login_transactions WHERE expires_at > $1", now),
    importIntents: await count("import_intents WHERE expires_at > $1", now),
    usedIds: await count("used_ids WHERE expires_at > $1", now),
    authorizationServerRecords: await count("authorization_server_records WHERE expires_at IS NULL OR expires_at > $1", now),
    replicas: await count(`replicas WHERE lease_until > ${serverNow}`),
    sealedWith: Object.fromEntries(keyIds.map((keyId) => [keyId, sum(sealed.filter((row) => row["key_id"] === keyId))])),
  };
}

/** Ids are base64url: none has a space. */
function placeOf(after: string | undefined): readonly [SealedTable, string] {
  const [table = "login_sessions", begin = ""] = after?.split(" ") ?? [];
  return [table === "authorization_server_records" ? table : "login_sessions", begin];
}

function countOf(row: PostgresRow): number {
  return mustNumber(row, "count");
}
