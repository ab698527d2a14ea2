import type { LoginTransaction } from "../../session/login-transaction.ts";
import type { LoginTransactionStore } from "../../session/store.ts";
import type { SealedLoginTransactions } from "../sealed-login-transactions.ts";
import type { PostgresDatabase } from "./postgres-database.ts";
import { mustNumber, mustText } from "./postgres-values.ts";

/** Logins that are under way, in a PostgreSQL database. */
export class PostgresLoginTransactions implements LoginTransactionStore {
  readonly #db: PostgresDatabase;
  readonly #sealed: SealedLoginTransactions;

  constructor(db: PostgresDatabase, sealed: SealedLoginTransactions) {
    this.#db = db;
    this.#sealed = sealed;
  }

  async insert(transaction: LoginTransaction): Promise<void> {
    const { stateHash, expiresAt, sealed } = await this.#sealed.seal(transaction);
    await this.#db.run(
      `INSERT INTO ${this.#db.schema}.login_transactions (state_hash, expires_at, sealed) VALUES ($1, $2, $3)
       ON CONFLICT (state_hash) DO UPDATE SET expires_at = excluded.expires_at, sealed = excluded.sealed`,
      ...[stateHash, expiresAt, sealed],
    );
  }

  async take(state: string, now: number): Promise<LoginTransaction | undefined> {
    const stateHash = this.#sealed.hash(state);
    const row = await this.#db.get(
      `DELETE FROM ${this.#db.schema}.login_transactions WHERE state_hash = $1 RETURNING expires_at, sealed`,
      stateHash,
    );
    if (row === undefined) return undefined;
    return this.#sealed.unseal({ stateHash, expiresAt: mustNumber(row, "expires_at"), sealed: mustText(row, "sealed") }, now);
  }
}
