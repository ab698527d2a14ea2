import type { LocalProfile } from "../../session/local-profile.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { ProfileStore } from "../../session/store.ts";
import type { ProfileRows } from "../profile-rows.ts";
import type { SqliteDatabase, SqliteRow } from "./sqlite-database.ts";
import { mustText } from "./sqlite-values.ts";

const table = "profiles";
const columns = "name, login_session_id, issuer, subject, client_id, mac";

/** Profiles in a SQLite file. A row that was changed from outside is not used, and reported (B14). */
export class SqliteProfiles implements ProfileStore {
  readonly #db: SqliteDatabase;
  readonly #rows: ProfileRows;

  constructor(db: SqliteDatabase, rows: ProfileRows) {
    this.#db = db;
    this.#rows = rows;
  }

  async get(name: string): Promise<LocalProfile | undefined> {
    const row = await this.#db.read(() => this.#find(name));
    return row === undefined ? undefined : this.#read(row);
  }

  async list(): Promise<readonly LocalProfile[]> {
    const rows = await this.#db.read(() => this.#db.all(`SELECT ${columns} FROM ${table} ORDER BY name`));
    return rows.map((row) => this.#read(row)).filter((profile) => profile !== undefined);
  }

  replace(next: LocalProfile, expected: LoginSessionId | undefined): Promise<boolean> {
    return this.#db.write(() => {
      const row = this.#find(next.name);
      // A row that was changed from outside is absent: a new sign-in takes its place.
      const current = row === undefined ? undefined : this.#read(row);
      if (current?.loginSessionId !== expected) return false;
      const { name, loginSessionId, principal } = next;
      this.#db.run(
        `INSERT OR REPLACE INTO ${table} (${columns}) VALUES (?, ?, ?, ?, ?, ?)`,
        ...[name, loginSessionId, principal.issuer, principal.subject, principal.clientId, this.#rows.mac(next)],
      );
      return true;
    });
  }

  remove(name: string, expected: LoginSessionId): Promise<boolean> {
    return this.#db.write(() => this.#db.run(`DELETE FROM ${table} WHERE name = ? AND login_session_id = ?`, name, expected) === 1);
  }

  #find(name: string): SqliteRow | undefined {
    return this.#db.get(`SELECT ${columns} FROM ${table} WHERE name = ?`, name);
  }

  #read(row: SqliteRow): LocalProfile | undefined {
    const profile: LocalProfile = {
      name: mustText(row, "name"),
      loginSessionId: mustText(row, "login_session_id") as LoginSessionId,
      principal: { issuer: mustText(row, "issuer"), subject: mustText(row, "subject"), clientId: mustText(row, "client_id") },
    };
    return this.#rows.check(profile, mustText(row, "mac"));
  }
}
