import { createHash } from "node:crypto";
import type { LoginTransaction } from "../session/login-transaction.ts";
import type { Quarantine } from "./quarantine.ts";
import type { SealContext, Sealer } from "./sealer.ts";

/** A login that is under way as it is stored: found by the hash of its state, everything else sealed. */
export interface StoredLoginTransaction {
  readonly stateHash: string;
  readonly expiresAt: number;
  readonly sealed: string;
}

/** Turns logins that are under way into stored ones and back. */
export class SealedLoginTransactions {
  readonly #sealer: Sealer;
  readonly #quarantine: Quarantine;

  constructor(sealer: Sealer, quarantine: Quarantine) {
    this.#sealer = sealer;
    this.#quarantine = quarantine;
  }

  async seal(transaction: LoginTransaction): Promise<StoredLoginTransaction> {
    const stateHash = this.hash(transaction.state);
    const sealed = await this.#sealer.seal(contextOf(stateHash), JSON.stringify(transaction));
    return { stateHash, expiresAt: transaction.expiresAt, sealed };
  }

  hash(state: string): string {
    return createHash("sha256").update(state).digest("base64url");
  }

  /** Undefined: it has expired at `now`, or cannot be read, which is reported. */
  async unseal({ stateHash, expiresAt, sealed }: StoredLoginTransaction, now: number): Promise<LoginTransaction | undefined> {
    if (expiresAt <= now) return undefined;
    const unsealed = await this.#sealer.unseal(contextOf(stateHash), sealed);
    const transaction = unsealed.kind === "text" ? parse(unsealed.text) : undefined;
    if (transaction === undefined) this.#quarantine.reportRow("login_transactions");
    // The column decides when it is dropped, what was sealed whether it is honoured.
    return transaction !== undefined && transaction.expiresAt > now ? transaction : undefined;
  }
}

function contextOf(stateHash: string): SealContext {
  return { kind: "login_transaction", id: stateHash, generation: 0, version: 0 };
}

function parse(text: string): LoginTransaction | undefined {
  const value: unknown = JSON.parse(text);
  return typeof value === "object" && value !== null && "codeVerifier" in value ? (value as LoginTransaction) : undefined;
}
