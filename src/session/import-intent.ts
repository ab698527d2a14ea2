import type { RefreshTokenHash } from "./login-session.ts";

/** A refresh token that a backend handed over is about to be presented: written before, so that no other process presents it too. */
export interface ImportIntent {
  readonly hash: RefreshTokenHash;
  /** The import that presents it; two imports of one process are two owners. */
  readonly owner: string;
  /** After this moment (ms since the epoch) nobody waits for the owner any more. */
  readonly expiresAt: number;
}
