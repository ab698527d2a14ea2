import type { IncomingMessage, ServerResponse } from "node:http";
import type { Audit } from "../audit/audit.ts";
import type { McpAuthorizationServer } from "../authorization-server/mcp-authorization-server.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { LoginSessionId } from "../session/login-session.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import type { Store } from "../session/store.ts";
import type { BackchannelLogout } from "../token/backchannel-logout.ts";
import type { Imports } from "../token/imports.ts";
import type { Logins } from "../token/logins.ts";
import type { Logout } from "../token/logout.ts";
import type { VerifiedLogin } from "../token/ports.ts";
import type { ClientAddress } from "../transport/client-address.ts";
import type { HostCheck } from "../transport/host-check.ts";

/** Settings of the web server, from the configuration. */
export interface WebSettings {
  /** The origin that browsers use: `https://latchkey.example`. What a request claims in its Host header is never used instead. */
  readonly publicUrl: string;
  /** In the order of the configuration; at least one. */
  readonly authorizationServers: readonly { readonly name: string; readonly issuer: string }[];
  /** The bearer secret of the backend that imports logins; undefined: nobody imports. */
  readonly importSecret?: string | undefined;
  /** How many connection keys one login session may have. Default 20. */
  readonly keysPerLogin?: number | undefined;
}

/** The authorization servers as a browser's login needs them. Implemented by oidc/. */
export interface LoginServers {
  beginLogin(
    name: string,
    request: { redirectUri: string; prompt?: string },
  ): Promise<{ readonly url: string; readonly state: string; readonly nonce: string; readonly codeVerifier: string }>;
  /** Throws LatchkeyError `login_failed` or `authorization_server_unavailable`. */
  completeLogin(
    name: string,
    request: { callbackUrl: URL; redirectUri: string; state: string; nonce: string; codeVerifier: string },
  ): Promise<VerifiedLogin>;
  /** Where the browser signs out of the authorization server itself (RP-initiated logout), if it can. */
  endSessionUrl(name: string, request: { idToken: undefined; postLogoutRedirectUri: string }): Promise<string | undefined>;
  /** A sentence for people when this machine's clock and that of the authorization server are far apart. */
  clockNote?(name: string): string | undefined;
  probe(name: string): Promise<{ readonly ok: true } | { readonly ok: false; readonly problem: string }>;
}

/** The MCP paths, which are served on node:http before the web framework sees them. */
export interface McpPaths {
  handles(pathname: string): boolean;
  /** Never rejects. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/** The demo's own parts, forwarded to its authorization server. */
export interface DemoControls {
  setFault(body: unknown): Promise<{ readonly status: number; readonly body: unknown }>;
  /** What happened to tokens since the start, never a token. */
  events(): Promise<{ readonly status: number; readonly body: unknown }>;
}

/** What the routes work with. */
export interface WebServices {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
  readonly sessions: LoginSessions;
  readonly store: Pick<Store, "browserSessions" | "connectionKeys" | "loginTransactions">;
  readonly logins: Pick<Logins, "start" | "repair">;
  readonly imports: Pick<Imports, "importLogin">;
  readonly logout: Pick<Logout, "end">;
  readonly backchannelLogout: Pick<BackchannelLogout, "receive">;
  readonly loginServers: LoginServers;
  /** Latchkey as the authorization server of MCP clients. */
  readonly clientAuthorization: McpAuthorizationServer;
  readonly connectionsOf: (id: LoginSessionId) => number;
  /** Closes what was opened with a connection key, by its public id. */
  readonly closeConnectionsOfKey: (id: LoginSessionId, keyId: string) => void;
  readonly mcp: McpPaths;
  readonly hostCheck: HostCheck;
  /** For audit events. */
  readonly clientAddress: ClientAddress;
  /** Aborted when the server closes: streams end then, so that it need not cut them. */
  readonly closing?: AbortSignal | undefined;
  /** Only in the demo. */
  readonly demo?: DemoControls | undefined;
}
