import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Logger } from "../logger.ts";
import type { AccessTokens, EndLoginSession } from "../mcp/connection-call-host.ts";
import { createServerFactory, type ServerFactory } from "../mcp/server-factory.ts";
import type { LoginSessionHandle } from "../session/login-session.ts";
import { deadLoginError } from "../token/acquire-error.ts";
import { createHttpTool } from "../tool/http-tool.ts";
import { sessionTools } from "../tool/session-tools.ts";
import type { Tool, ToolTable } from "../tool/tool.ts";
import { createToolContext } from "../tool/tool-context.ts";
import { createToolTable } from "../tool/tool-table.ts";
import { boundApis } from "./settings.ts";
import { latchkeyVersion } from "./version.ts";

// Apart from the core: a stdio process answers its client before the rest is loaded.

export interface ServersOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tools from code, besides those of the configuration. */
  readonly tools?: readonly Tool[] | undefined;
  /** Where a user signs in, to repair this login session or, without a handle, for a new one; undefined: nowhere. */
  readonly loginLink: (repair: LoginSessionHandle | undefined) => string | undefined;
}

/** What they need for their first tool call. */
export interface BehindServers {
  readonly tokens: AccessTokens;
  readonly endLoginSession: EndLoginSession;
  /** A sentence when this machine's clock and that of this authorization server are far apart. */
  readonly clockNote: (authorizationServer: string) => string | undefined;
}

/**
 * The MCP servers of connections. They know their tools at once; `behind` is asked at a tool call. Throws LatchkeyError
 * `configuration_invalid` when tools cannot be made or share a name.
 */
export function composeServers(
  { config, clock, logger, tools = [], loginLink }: ServersOptions,
  behind: () => BehindServers,
): ServerFactory {
  const apis = boundApis(config);
  return createServerFactory({
    name: "latchkey",
    title: "Latchkey",
    version: latchkeyVersion(),
    tools: toolTable(config, tools),
    // An API takes access tokens of one authorization server: a login session of another one cannot call it.
    createContext: (host) => {
      const { authorizationServer } = host.loginSession();
      const reachable = apis.filter((api) => api.authorizationServer === authorizationServer);
      const clockNote = (): string | undefined => behind().clockNote(authorizationServer);
      return createToolContext(host, reachable, { clock, logger, clockNote });
    },
    tokens: { acquire: (login, target, acquireOptions) => behind().tokens.acquire(login, target, acquireOptions) },
    endLoginSession: (id) => behind().endLoginSession(id),
    loginLink,
    deadLoginError,
    logger,
  });
}

function toolTable(config: Config, own: readonly Tool[]): ToolTable {
  const apis = new Map(boundApis(config).map((api) => [api.name, api]));
  return createToolTable([...sessionTools, ...config.tools.map((tool) => createHttpTool(tool, apis)), ...own]);
}
