import type { LoginTransaction } from "../../session/login-transaction.ts";
import type { LoginTransactionStore } from "../../session/store.ts";
import type { SealedLoginTransactions } from "../sealed-login-transactions.ts";
import type { RedisExpiringRows } from "./redis-expiring-rows.ts";

/** Logins that are under way, in Redis. */
export class RedisLoginTransactions implements LoginTransactionStore {
  readonly #rows: RedisExpiringRows;
  readonly #sealed: SealedLoginTransactions;

  constructor(rows: RedisExpiringRows, sealed: SealedLoginTransactions) {
    this.#rows = rows;
    this.#sealed = sealed;
  }

  async insert(transaction: LoginTransaction): Promise<void> {
    const { stateHash, expiresAt, sealed } = await this.#sealed.seal(transaction);
    await this.#rows.put(stateHash, `${expiresAt} ${sealed}`, expiresAt);
  }

  async take(state: string, now: number): Promise<LoginTransaction | undefined> {
    const stateHash = this.#sealed.hash(state);
    const row = await this.#rows.take(stateHash);
    if (row === undefined) return undefined;
    const [expiresAt, sealed = ""] = row.split(" ");
    return this.#sealed.unseal({ stateHash, expiresAt: Number(expiresAt), sealed }, now);
  }
}
