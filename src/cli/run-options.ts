import type { LoadedConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";

/** What `latchkey demo` was asked for. */
export interface DemoOptions {
  /** The server's port; the authorization server and the API take the next two. 0: three free ones. */
  readonly port: number;
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
  /** Where the authorization server keeps its state; undefined: in memory. */
  readonly stateDirectory: string | undefined;
}

/** What `latchkey serve` was asked for. */
export interface ServeOptions {
  /** Checked; `--port` and `--host` are in it already. */
  readonly config: Config;
}

/** What `latchkey stdio` was asked for. */
export type StdioOptions =
  /** The demo's authorization server and API inside this process; `user` is signed in by itself. */
  | { readonly kind: "demo"; readonly user: string }
  /** A wrong configuration is handed on: the client is told through MCP. */
  | { readonly kind: "configured"; readonly loaded: LoadedConfig; readonly configFile: string; readonly profile: string };

/** What `latchkey login` was asked for. */
export interface LoginOptions {
  readonly config: Config;
  readonly profile: string;
  /** Undefined: that of the profile, or the only one. */
  readonly authorizationServer: string | undefined;
  /** A code for another device, instead of a browser on this one. */
  readonly device: boolean;
  /** Whether a browser may be opened. */
  readonly browser: boolean;
}

/** What `latchkey status` was asked for. */
export interface StatusOptions {
  readonly config: Config;
  /** Undefined: all. */
  readonly profile: string | undefined;
  readonly json: boolean;
}

/** How often the demo's heartbeat looks for what is due. */
export const demoHeartbeatIntervalSeconds = 0.25;

/** What `latchkey store` can do. */
export type StorePart = "migrate" | "stats" | "purge" | "restored";

/** What `latchkey doctor` was asked for. */
export interface DoctorOptions {
  /** A wrong configuration is one of the things it finds. */
  readonly loaded: LoadedConfig;
  /** Undefined: no profile is looked at. */
  readonly profile: string | undefined;
  readonly json: boolean;
}
