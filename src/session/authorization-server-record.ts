/**
 * What Latchkey's own authorization server keeps of an MCP client's grant: a registered client, a code, a token, a grant. Its content is
 * nobody's business but the authorization server's.
 */
export interface AuthorizationServerRecord {
  /** What it is: "AccessToken", "Client". */
  readonly kind: string;
  /** Within its kind. It may be the secret itself: a store keeps only a hash of it outside of what is sealed. */
  readonly id: string;
  /** JSON. */
  readonly content: string;
  /** The grant that it ends with. */
  readonly grantId?: string | undefined;
  /** Other names that it is found by, within its kind. */
  readonly uid?: string | undefined;
  readonly userCode?: string | undefined;
  /** Milliseconds since the epoch; undefined: it stays until it is removed. */
  readonly expiresAt?: number | undefined;
  /** When it was used up, milliseconds since the epoch. */
  readonly consumedAt?: number | undefined;
}
