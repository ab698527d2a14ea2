import type { LogFields } from "../logger.ts";
import type { AccessTokenTarget, LoginSession } from "../session/login-session.ts";
import type { SignOutRevocation } from "./tool.ts";

/** An access token on its way into one request to the API. */
export interface BorrowedAccessToken {
  readonly accessToken: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/**
 * What the connection lends to one running call: its login session and its wire. The tool's context is made of it.
 * Implemented by mcp/, out of the binding of the connection.
 */
export interface CallHost {
  readonly toolName: string;
  readonly signal: AbortSignal;
  /** The newest snapshot of the bound login session. */
  loginSession(): LoginSession;
  /**
   * An access token of the bound login session. `rejected`: this very token got a 401 from the API.
   * Throws LatchkeyError as `TokenService.acquire`.
   */
  acquire(target: AccessTokenTarget, options?: { readonly rejected?: string | undefined }): Promise<BorrowedAccessToken>;
  progress(progress: number, total?: number, message?: string): void;
  log(message: string, fields?: LogFields): void;
  /** The clients seen on connections of this login session in the last 15 minutes. */
  clients(): readonly {
    readonly name: string;
    readonly version?: string | undefined;
    readonly transport: string;
    readonly lastSeenAt: number;
  }[];
  signOut(): Promise<{ readonly state: string; readonly revocation: SignOutRevocation }>;
}
