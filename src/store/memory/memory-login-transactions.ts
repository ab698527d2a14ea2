import type { LoginTransaction } from "../../session/login-transaction.ts";
import type { LoginTransactionStore } from "../../session/store.ts";
import { dropExpired } from "./drop-expired.ts";

/** Logins that are under way, in this process's memory. */
export class MemoryLoginTransactions implements LoginTransactionStore {
  readonly #entries = new Map<string, LoginTransaction>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  async insert(transaction: LoginTransaction): Promise<void> {
    dropExpired(this.#entries, this.#now());
    this.#entries.set(transaction.state, transaction);
  }

  async take(state: string, now: number): Promise<LoginTransaction | undefined> {
    const found = this.#entries.get(state);
    this.#entries.delete(state);
    return found !== undefined && found.expiresAt > now ? found : undefined;
  }
}
