import type { BrowserSession, BrowserSessionKey, BrowserSignIn } from "../../session/browser-session.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { BrowserSessionStore } from "../../session/store.ts";
import type { BrowserSessionRows } from "../browser-session-rows.ts";
import type { PostgresDatabase, PostgresStatements } from "./postgres-database.ts";
import { mustNumber, mustText, type PostgresRow } from "./postgres-values.ts";

const columns = "key, login_session_ids, created_at, expires_at, made_by, signed_in_at, mac";

/** Browser sessions in a PostgreSQL database. A row that was changed from outside is not used, and reported (B14). */
export class PostgresBrowserSessions implements BrowserSessionStore {
  readonly #db: PostgresDatabase;
  readonly #rows: BrowserSessionRows;
  readonly #table: string;

  constructor(db: PostgresDatabase, rows: BrowserSessionRows) {
    this.#db = db;
    this.#rows = rows;
    this.#table = `${db.schema}.browser_sessions`;
  }

  async get(key: BrowserSessionKey, now: number): Promise<BrowserSession | undefined> {
    const row = await this.#db.get(`SELECT ${columns} FROM ${this.#table} WHERE key = $1 AND expires_at > $2`, key, now);
    return row === undefined ? undefined : this.#read(row);
  }

  async signIn({ previous, next, loginCookies, since }: BrowserSignIn): Promise<void> {
    // Always in one order: two sign-ins of one browser that share several would wait for each other for ever.
    const locks = [...new Set([next.madeBy, ...loginCookies])].map((cookie) => this.#db.lockNumber("sign-in", cookie)).sort();
    await this.#db.transaction(async (statements) => {
      await statements.all("SELECT pg_advisory_xact_lock(number) FROM unnest($1::bigint[]) AS number", locks);
      if (previous !== undefined) await statements.run(`DELETE FROM ${this.#table} WHERE key = $1`, previous);
      const beside: BrowserSession[] = [];
      for (const cookie of loginCookies) beside.push(...(await this.#madeBy(statements, cookie, since)));
      const loginSessionIds = [...new Set([...beside, next].flatMap((each) => each.loginSessionIds))];
      for (const each of [...beside, next]) await this.#put(statements, { ...each, loginSessionIds });
    });
  }

  async remove(key: BrowserSessionKey): Promise<void> {
    await this.#db.run(`DELETE FROM ${this.#table} WHERE key = $1`, key);
  }

  async #madeBy(statements: PostgresStatements, loginCookie: string, since: number): Promise<readonly BrowserSession[]> {
    const row = await statements.get(`SELECT ${columns} FROM ${this.#table} WHERE made_by = $1 ORDER BY row DESC LIMIT 1`, loginCookie);
    const found = row === undefined ? undefined : this.#read(row);
    return found !== undefined && found.signedInAt >= since ? [found] : [];
  }

  async #put(statements: PostgresStatements, session: BrowserSession): Promise<void> {
    const { key, loginSessionIds, createdAt, expiresAt, madeBy, signedInAt } = session;
    await statements.run(
      `INSERT INTO ${this.#table} (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (key) DO UPDATE SET login_session_ids = excluded.login_session_ids, created_at = excluded.created_at,
         expires_at = excluded.expires_at, made_by = excluded.made_by, signed_in_at = excluded.signed_in_at, mac = excluded.mac`,
      ...[key, loginSessionIds.join(" "), createdAt, expiresAt, madeBy, signedInAt, this.#rows.mac(session)],
    );
  }

  #read(row: PostgresRow): BrowserSession | undefined {
    const ids = mustText(row, "login_session_ids");
    const session: BrowserSession = {
      key: mustText(row, "key") as BrowserSessionKey,
      loginSessionIds: ids === "" ? [] : (ids.split(" ") as LoginSessionId[]),
      createdAt: mustNumber(row, "created_at"),
      expiresAt: mustNumber(row, "expires_at"),
      madeBy: mustText(row, "made_by"),
      signedInAt: mustNumber(row, "signed_in_at"),
    };
    return this.#rows.check(session, mustText(row, "mac"));
  }
}
