import { createHash } from "node:crypto";
import type { LoginTransaction } from "../session/login-transaction.ts";
import type { LoginTransactionStore } from "../session/store.ts";
import type { Quarantine } from "./quarantine.ts";
import type { SealContext, Sealer } from "./sealer.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { mustNumber, mustText } from "./sqlite-values.ts";

/** Logins that are under way, in a SQLite file: found by the hash of their state, everything else sealed. */
export class SqliteLoginTransactions implements LoginTransactionStore {
  readonly #db: SqliteDatabase;
  readonly #sealer: Sealer;
  readonly #quarantine: Quarantine;
  readonly #now: () => number;

  /** `now` gives milliseconds since the epoch: what has expired is dropped while the store is used. */
  constructor(db: SqliteDatabase, sealer: Sealer, quarantine: Quarantine, now: () => number) {
    this.#db = db;
    this.#sealer = sealer;
    this.#quarantine = quarantine;
    this.#now = now;
  }

  async insert(transaction: LoginTransaction): Promise<void> {
    const stateHash = hashOf(transaction.state);
    const sealed = await this.#sealer.seal(contextOf(stateHash), JSON.stringify(transaction));
    await this.#db.write(() => {
      this.#db.run("DELETE FROM login_transactions WHERE expires_at <= ?", this.#now());
      const values = [stateHash, transaction.expiresAt, sealed] as const;
      this.#db.run("INSERT OR REPLACE INTO login_transactions (state_hash, expires_at, sealed) VALUES (?, ?, ?)", ...values);
    });
  }

  async take(state: string, now: number): Promise<LoginTransaction | undefined> {
    const stateHash = hashOf(state);
    const row = await this.#db.write(() =>
      this.#db.get("DELETE FROM login_transactions WHERE state_hash = ? RETURNING expires_at, sealed", stateHash),
    );
    if (row === undefined || mustNumber(row, "expires_at") <= now) return undefined;
    const unsealed = await this.#sealer.unseal(contextOf(stateHash), mustText(row, "sealed"));
    const transaction = unsealed.kind === "text" ? parse(unsealed.text) : undefined;
    if (transaction === undefined) this.#quarantine.reportRow("login_transactions");
    // The column decides when it is dropped, what was sealed whether it is honoured.
    return transaction !== undefined && transaction.expiresAt > now ? transaction : undefined;
  }
}

function contextOf(stateHash: string): SealContext {
  return { kind: "login_transaction", id: stateHash, generation: 0, version: 0 };
}

function hashOf(state: string): string {
  return createHash("sha256").update(state).digest("base64url");
}

function parse(text: string): LoginTransaction | undefined {
  const value: unknown = JSON.parse(text);
  return typeof value === "object" && value !== null && "codeVerifier" in value ? (value as LoginTransaction) : undefined;
}
