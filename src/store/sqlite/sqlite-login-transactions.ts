import type { LoginTransaction } from "../../session/login-transaction.ts";
import type { LoginTransactionStore } from "../../session/store.ts";
import type { SealedLoginTransactions } from "../sealed-login-transactions.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { mustNumber, mustText } from "./sqlite-values.ts";

/** Logins that are under way, in a SQLite file. */
export class SqliteLoginTransactions implements LoginTransactionStore {
  readonly #db: SqliteDatabase;
  readonly #sealed: SealedLoginTransactions;
  readonly #now: () => number;

  /** `now` gives milliseconds since the epoch: what has expired is dropped while the store is used. */
  constructor(db: SqliteDatabase, sealed: SealedLoginTransactions, now: () => number) {
    this.#db = db;
    this.#sealed = sealed;
    this.#now = now;
  }

  async insert(transaction: LoginTransaction): Promise<void> {
    const { stateHash, expiresAt, sealed } = await this.#sealed.seal(transaction);
    await this.#db.write(() => {
      this.#db.run("DELETE FROM login_transactions WHERE expires_at <= ?", this.#now());
      const values = [stateHash, expiresAt, sealed] as const;
      this.#db.run("INSERT OR REPLACE INTO login_transactions (state_hash, expires_at, sealed) VALUES (?, ?, ?)", ...values);
    });
  }

  async take(state: string, now: number): Promise<LoginTransaction | undefined> {
    const stateHash = this.#sealed.hash(state);
    const row = await this.#db.write(() =>
      this.#db.get("DELETE FROM login_transactions WHERE state_hash = ? RETURNING expires_at, sealed", stateHash),
    );
    if (row === undefined) return undefined;
    return this.#sealed.unseal({ stateHash, expiresAt: mustNumber(row, "expires_at"), sealed: mustText(row, "sealed") }, now);
  }
}
