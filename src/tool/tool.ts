import type { LogFields } from "../logger.ts";

/** A JSON Schema (2020-12) of an object. */
export interface ObjectSchema {
  readonly type: "object";
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Readonly<Record<string, unknown>>;
  readonly [keyword: string]: unknown;
}

/** MCP tool annotations: hints, not promises. */
export interface ToolAnnotations {
  readonly title?: string;
  readonly readOnlyHint?: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
  readonly openWorldHint?: boolean;
}

export type ToolContent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly data: string; readonly mimeType: string };

/** What a tool answers. `structured` must match the tool's output schema when it has one. */
export interface ToolResult {
  readonly content: readonly ToolContent[];
  readonly structured?: Readonly<Record<string, unknown>> | undefined;
  /** True: the call failed in a way that the model should read. */
  readonly isError?: boolean | undefined;
}

/** What a tool sees of the user on whose behalf it runs. */
export interface ToolPrincipal {
  readonly issuer: string;
  readonly subject: string;
  readonly name?: string | undefined;
  readonly email?: string | undefined;
}

/** How the login session of the connection stands. Times as ISO 8601. No token. */
export interface LoginSessionStatus {
  readonly login: string;
  readonly state: string;
  readonly reason?: string | undefined;
  readonly accessTokenExpiresAt?: string | undefined;
  readonly lastRefreshAt?: string | undefined;
  readonly nextRefreshAt?: string | undefined;
  /** What to know when it is not well: the last failure, when it is tried again. */
  readonly note?: string | undefined;
  /** Said when this machine's clock and the authorization server's are far apart. */
  readonly clock?: string | undefined;
  readonly clients: readonly {
    readonly name: string;
    readonly version?: string | undefined;
    readonly transport: string;
    readonly lastSeenAt: string;
  }[];
}

export type SignOutRevocation = "pending" | "done" | "shared" | "unsupported";

/**
 * What a running tool is given. Everything in it belongs to the one login session of the connection that called;
 * there is no way to reach another one.
 */
export interface ToolContext {
  readonly principal: ToolPrincipal;
  /** Aborts when the client cancels, the connection closes, or the login session ends or needs a new login. */
  readonly signal: AbortSignal;
  /**
   * `fetch` as the signed-in user: it attaches an access token for the configured API that `input` belongs to, and only
   * for that API's origin; a redirect elsewhere goes without it. After a 401 the access token is refreshed and the
   * request is sent once more, unless its body is a stream. Headers that say who speaks (Authorization, Cookie,
   * Proxy-Authorization, Host) are refused. Throws LatchkeyError (`login_required`, `login_ended`, `refresh_timeout`,
   * `authorization_server_unavailable`, `forbidden` for an address that belongs to no configured API, `invalid_request`,
   * `cancelled`, `upstream_failed` when the API cannot be reached or is silent); so does reading the body.
   */
  fetch(input: string | URL, init?: RequestInit): Promise<Response>;
  /** Tells the client how far the call is. Does nothing when the client did not ask for progress. */
  progress(progress: number, total?: number, message?: string): void;
  /** A line in Latchkey's log with the call's tool, login session and connection. */
  log(message: string, fields?: LogFields): void;
  /** The state of this connection's login session. */
  status(): Promise<LoginSessionStatus>;
  /** Ends this connection's login session: the answer to this call is still delivered, then the connection closes. */
  signOut(): Promise<{ readonly state: string; readonly revocation: SignOutRevocation }>;
}

/** One tool, whatever the transport and the era of MCP. It is immutable and shared by all connections. */
export interface Tool {
  readonly name: string;
  readonly title?: string | undefined;
  readonly description: string;
  readonly inputSchema: ObjectSchema;
  readonly outputSchema?: ObjectSchema | undefined;
  readonly annotations?: ToolAnnotations | undefined;
  /** `args` matches the input schema. A thrown LatchkeyError becomes a tool error with its code; anything else is logged and hidden. */
  run(args: Readonly<Record<string, unknown>>, context: ToolContext): Promise<ToolResult>;
}

/** All tools of a server, by name. */
export type ToolTable = ReadonlyMap<string, Tool>;
