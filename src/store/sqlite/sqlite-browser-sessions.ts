import type { BrowserSession, BrowserSessionKey, BrowserSignIn } from "../../session/browser-session.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { BrowserSessionStore } from "../../session/store.ts";
import type { BrowserSessionRows } from "../browser-session-rows.ts";
import type { SqliteDatabase, SqliteRow } from "./sqlite-database.ts";
import { mustNumber, mustText } from "./sqlite-values.ts";

const table = "browser_sessions";
const columns = "key, login_session_ids, created_at, expires_at, made_by, signed_in_at, mac";

/** Browser sessions in a SQLite file. A row that was changed from outside is not used, and reported (B14). */
export class SqliteBrowserSessions implements BrowserSessionStore {
  readonly #db: SqliteDatabase;
  readonly #rows: BrowserSessionRows;
  readonly #now: () => number;

  /** `now` gives milliseconds since the epoch: what has expired is dropped while the store is used. */
  constructor(db: SqliteDatabase, rows: BrowserSessionRows, now: () => number) {
    this.#db = db;
    this.#rows = rows;
    this.#now = now;
  }

  async get(key: BrowserSessionKey, now: number): Promise<BrowserSession | undefined> {
    const row = await this.#db.read(() => this.#db.get(`SELECT ${columns} FROM ${table} WHERE key = ? AND expires_at > ?`, key, now));
    return row === undefined ? undefined : this.#read(row);
  }

  async signIn({ previous, next, loginCookies, since }: BrowserSignIn): Promise<void> {
    await this.#db.write(() => {
      this.#db.run(`DELETE FROM ${table} WHERE expires_at <= ?`, this.#now());
      if (previous !== undefined) this.#db.run(`DELETE FROM ${table} WHERE key = ?`, previous);
      const beside = loginCookies.flatMap((cookie) => this.#madeBy(cookie, since));
      const loginSessionIds = [...new Set([...beside, next].flatMap((each) => each.loginSessionIds))];
      for (const each of [...beside, next]) this.#put({ ...each, loginSessionIds });
    });
  }

  async remove(key: BrowserSessionKey): Promise<void> {
    await this.#db.write(() => this.#db.run(`DELETE FROM ${table} WHERE key = ?`, key));
  }

  #madeBy(loginCookie: string, since: number): readonly BrowserSession[] {
    const row = this.#db.get(`SELECT ${columns} FROM ${table} WHERE made_by = ? ORDER BY row DESC LIMIT 1`, loginCookie);
    const found = row === undefined ? undefined : this.#read(row);
    return found !== undefined && found.signedInAt >= since ? [found] : [];
  }

  #put(session: BrowserSession): void {
    const { key, loginSessionIds, createdAt, expiresAt, madeBy, signedInAt } = session;
    this.#db.run(
      `INSERT INTO ${table} (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET login_session_ids = excluded.login_session_ids, created_at = excluded.created_at,
         expires_at = excluded.expires_at, made_by = excluded.made_by, signed_in_at = excluded.signed_in_at, mac = excluded.mac`,
      ...[key, loginSessionIds.join(" "), createdAt, expiresAt, madeBy, signedInAt, this.#rows.mac(session)],
    );
  }

  #read(row: SqliteRow): BrowserSession | undefined {
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
