import type { Readable, Writable } from "node:stream";
import type { Clock } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { createServerFactory } from "../mcp/server-factory.ts";
import { sessionTools } from "../tool/session-tools.ts";
import { createToolTable } from "../tool/tool-table.ts";
import { Connection } from "../transport/connection.ts";
import { serveStdioConnection } from "../transport/stdio.ts";
import { latchkeyVersion } from "./version.ts";

export interface StdioRefusalSettings {
  /** What each tool call answers with. */
  readonly error: LatchkeyError;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly input: Readable;
  readonly output: Writable;
  readonly signal: AbortSignal;
}

/**
 * Tells a client through MCP, in either era, why nothing can be served: a client that starts a program shows its user what
 * MCP says, and hides a silent exit. The tools that every server has are listed, so that there is something to call.
 * Resolves at the end of the input.
 */
export async function serveStdioRefusal({ error, clock, logger, input, output, signal }: StdioRefusalSettings): Promise<void> {
  const servers = createServerFactory({
    name: "latchkey",
    version: latchkeyVersion(),
    instructions: error.message,
    tools: createToolTable(sessionTools),
    createContext: neverReached,
    tokens: { acquire: neverReached },
    endLoginSession: neverReached,
    loginLink: () => undefined,
    deadLoginError: neverReached,
    logger,
  });
  await serveStdioConnection({ input, output, clock, signal }, (makeWire) => {
    const admit = async () => ({ error });
    const own = { transport: "stdio", login: undefined, credential: undefined, survivesEnd: true } as const;
    return new Connection({ ...own, admit, makeWire, servers, clock, clients: () => [], onClosed: () => {} });
  });
}

/** No call gets past `admit`, and there is no login session. */
function neverReached(): never {
  throw new LatchkeyError("internal_error", "A call was admitted that had to be refused.");
}
