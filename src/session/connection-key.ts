import type { LoginSessionId } from "./login-session.ts";

/** A bearer secret for a client that cannot do OAuth. Shown once; only its hash is stored. */
export type ConnectionKey = string & { readonly __brand: "ConnectionKey" };
export type ConnectionKeyHash = string & { readonly __brand: "ConnectionKeyHash" };

export interface ConnectionKeyRecord {
  /** Public id, for lists and removal. */
  readonly id: string;
  readonly hash: ConnectionKeyHash;
  readonly loginSessionId: LoginSessionId;
  readonly name: string;
  readonly createdAt: number;
  readonly expiresAt?: number | undefined;
}
