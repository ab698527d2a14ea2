import type { LoginSessionState } from "../../session/login-session.ts";
import type { ResealStep, StoreAdministration, StoreStats } from "../../session/store-administration.ts";
import { renewIncarnation } from "../incarnation.ts";
import type { SealedRecords } from "../sealed-records.ts";
import type { SqliteDatabase, SqliteRow } from "./sqlite-database.ts";
import { toStoredLoginSession } from "./sqlite-login-sessions.ts";
import { SqliteMeta } from "./sqlite-meta.ts";
import { mustNumber, mustText } from "./sqlite-values.ts";

const states: readonly LoginSessionState[] = ["live", "refreshing", "uncertain", "login_required", "ended"];
const expiring = ["browser_sessions", "login_transactions", "import_intents", "used_ids", "authorization_server_records"];

/** What is sealed, and in which order it is sealed anew. */
type SealedTable = "login_sessions" | "authorization_server_records";

/** What an operator does with a SQLite file, while processes use it. */
export class SqliteAdministration implements StoreAdministration {
  readonly #db: SqliteDatabase;
  readonly #records: SealedRecords;

  constructor(db: SqliteDatabase, records: SealedRecords) {
    this.#db = db;
    this.#records = records;
  }

  stats(now: number): Promise<StoreStats> {
    return this.#db.read(() => {
      const byState = new Map(
        this.#db
          .all("SELECT state, count(*) AS count FROM login_sessions GROUP BY state")
          .map((row) => [mustText(row, "state"), countOf(row)]),
      );
      const count = (what: string, ...values: readonly number[]): number => {
        const row = this.#db.get(`SELECT count(*) AS count FROM ${what}`, ...values);
        return row === undefined ? 0 : countOf(row);
      };
      const sealed = this.#db.all(
        `SELECT coalesce(key_id, 'unknown') AS key_id, count(*) AS count
         FROM (SELECT key_id FROM login_sessions UNION ALL SELECT key_id FROM authorization_server_records) GROUP BY 1`,
      );
      const counted = states.map((state): [LoginSessionState, number] => [state, byState.get(state) ?? 0]);
      return {
        loginSessions: Object.fromEntries(counted) as Record<LoginSessionState, number>,
        due: count("login_sessions WHERE due_at <= ?", now),
        connectionKeys: count("connection_keys"),
        browserSessions: count("browser_sessions WHERE expires_at > ?", now),
        loginTransactions: count("login_transactions WHERE expires_at > ?", now),
        importIntents: count("import_intents WHERE expires_at > ?", now),
        usedIds: count("used_ids WHERE expires_at > ?", now),
        authorizationServerRecords: count("authorization_server_records WHERE expires_at IS NULL OR expires_at > ?", now),
        replicas: count("replicas WHERE lease_until > ?", now),
        sealedWith: Object.fromEntries(sealed.map((row) => [mustText(row, "key_id"), countOf(row)])),
      };
    });
  }

  purge(now: number): Promise<number> {
    return this.#db.write(() => {
      const expired = expiring.reduce((sum, table) => sum + this.#db.run(`DELETE FROM ${table} WHERE expires_at <= ?`, now), 0);
      return expired + this.#db.run("DELETE FROM replicas WHERE lease_until <= ?", now);
    });
  }

  async reseal(after: string | undefined, limit: number): Promise<ResealStep> {
    const [table, row] = placeOf(after);
    const rows = await this.#db.read(() =>
      this.#db.all(
        `SELECT * FROM ${table} WHERE row > ? AND (key_id IS NULL OR key_id <> ?) ORDER BY row LIMIT ?`,
        ...[row, this.#records.sealer.activeKeyId, limit],
      ),
    );
    let resealed = 0;
    let unreadable = 0;
    for (const each of rows) {
      const sealed = await this.#sealAnew(table, each);
      if (sealed === undefined) unreadable += 1;
      else resealed += await this.#put(table, each, sealed);
    }
    const last = rows.at(-1);
    if (last !== undefined) return { next: `${table} ${mustNumber(last, "row")}`, resealed, unreadable };
    return { next: table === "login_sessions" ? "authorization_server_records 0" : undefined, resealed, unreadable };
  }

  async renewIncarnation(): Promise<void> {
    await renewIncarnation(new SqliteMeta(this.#db));
  }

  #sealAnew(table: SealedTable, row: SqliteRow): Promise<string | undefined> {
    return table === "login_sessions"
      ? this.#records.loginSessions.reseal(toStoredLoginSession(row))
      : this.#records.authorizationServerRecords.reseal(mustText(row, "id_hash"), mustText(row, "sealed"));
  }

  /** Only where it was not written anew in the meantime: then it is sealed with the active key already. */
  #put(table: SealedTable, row: SqliteRow, sealed: string): Promise<number> {
    return this.#db.write(() =>
      this.#db.run(
        `UPDATE ${table} SET sealed = ?, key_id = ? WHERE row = ? AND sealed = ?`,
        ...[sealed, this.#records.sealer.activeKeyId, mustNumber(row, "row"), mustText(row, "sealed")],
      ),
    );
  }
}

function placeOf(after: string | undefined): readonly [SealedTable, number] {
  const [table = "login_sessions", row = "0"] = after?.split(" ") ?? [];
  return [table === "authorization_server_records" ? table : "login_sessions", Number(row)];
}

function countOf(row: SqliteRow): number {
  return mustNumber(row, "count");
}
