import type { z } from "zod";
import { systemClock } from "../clock.ts";
import { loadConfig } from "../config/load.ts";
import type { configSchema } from "../config/schema.ts";
import { LatchkeyError } from "../errors.ts";
import { type Logger, silentLogger } from "../logger.ts";
import type { Tool } from "../tool/tool.ts";
import { type HttpServer, startHttpServer } from "./http-server.ts";

export interface LatchkeyOptions {
  /** What would stand in `latchkey.config.json`. `${ENV}` is filled in from `env`; relative files are relative to `directory`. */
  readonly config: z.input<typeof configSchema>;
  readonly tools?: readonly Tool[] | undefined;
  /** Default: nothing is logged. */
  readonly logger?: Logger | undefined;
  /** For `${NAME}` in the configuration, and for HTTPS_PROXY and NO_PROXY. Default: empty. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Default: the root folder, so that only absolute paths make sense. */
  readonly directory?: string | undefined;
}

/** A Latchkey server made from code. */
export interface Latchkey {
  /**
   * Listens, and gives the origin that clients use. Starting twice gives the same. Throws LatchkeyError
   * `configuration_invalid` when the address cannot be had, or tools share a name.
   */
  start(): Promise<{ readonly url: string }>;
  /** Lets running calls and refreshes finish, then closes everything. */
  close(): Promise<void>;
}

/**
 * The same server as `latchkey serve`, from code, with own tools. Throws LatchkeyError `configuration_invalid` with all
 * `details.problems` at once; nothing is started then.
 */
export function createLatchkey(options: LatchkeyOptions): Latchkey {
  const { tools, logger = silentLogger, env = {}, directory = "/" } = options;
  const loaded = loadConfig(JSON.stringify(options.config), { env, directory });
  if (!loaded.ok) {
    const { problems } = loaded;
    throw new LatchkeyError("configuration_invalid", `The configuration cannot be used:\n${problems.join("\n")}`, {
      details: { problems },
    });
  }
  const { config } = loaded;
  let server: Promise<HttpServer> | undefined;
  return {
    start: async () => {
      server ??= startHttpServer({ config, clock: systemClock, logger, env, tools });
      return { url: (await server).publicUrl };
    },
    close: async () => {
      await (await server)?.close();
    },
  };
}
