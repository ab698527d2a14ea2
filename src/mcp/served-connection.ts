import type { RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { LatchkeyError } from "../errors.ts";
import type { WatchedLoginSession } from "../session/login-sessions.ts";

/** The legacy-era transports, by the names that clients and logs see. */
export type TransportKind = "stdio" | "sse" | "streamable-http";

/** An MCP client as it introduced itself in `initialize`. Unverified: for display only. */
export interface ClientInfo {
  readonly name: string;
  readonly version?: string | undefined;
}

/** A client of a login session and when it was last heard of, milliseconds since the epoch. */
export interface ClientSeen extends ClientInfo {
  readonly transport: TransportKind;
  readonly lastSeenAt: number;
}

/** One request of the client that is not answered yet. */
export interface RunningCall {
  /** Aborts when the client cancels, the connection closes, or the login session ends or needs a new sign-in. */
  readonly signal: AbortSignal;
  /** False once it is answered, cancelled or aborted: nothing about it reaches the client any more. */
  readonly isOpen: boolean;
  /** The call is about to end the login session: its own answer, and nothing else, is delivered after that (B9). */
  keepAnswer(): void;
  /** The end did not come about: the call is one like any other again. */
  releaseAnswer(): void;
}

/** Why a tool call is not begun. */
export interface Refusal {
  readonly error: LatchkeyError;
  /** Where the user signs in; the connection goes on afterwards. Undefined: that would not help, or cannot be offered. */
  readonly loginUrl?: string | undefined;
  /** Whether the user has signed in there: true once that is done, false when it will not be. It never rejects. */
  readonly signedIn?: Promise<boolean> | undefined;
}

/** A connection as its MCP server sees it. Implemented by transport/. */
export interface ServedConnection {
  /** A short name for logs. It is not the id and leads nowhere. */
  readonly label: string;
  readonly transport: TransportKind;
  /**
   * The one login session that the connection is bound to, for its whole life (B3); with `admit`: the one that its profile has.
   * It throws LatchkeyError `login_required` as long as there is none.
   */
  readonly login: WatchedLoginSession;
  /**
   * The stdio connection of a profile alone, which may be there before any login: asked before each tool call, and again when one
   * failed for want of a login. Undefined: go on, `login` is there. It never rejects.
   */
  readonly admit?: ((tool: string) => Promise<Refusal | undefined>) | undefined;
  /** The clients seen on connections of the same login session in the last 15 minutes. */
  clients(): readonly ClientSeen[];
  /** Undefined: there is no such request, or it has its answer. */
  call(id: RequestId): RunningCall | undefined;
}
