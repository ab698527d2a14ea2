import { startHttpServer } from "../composition/http-server.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { commandLogger } from "./command-logger.ts";
import { announceReady, untilShutdown } from "./ready.ts";
import type { ServeOptions } from "./run-options.ts";

/** Runs `latchkey serve` until `io.shutdown` aborts. Throws LatchkeyError `configuration_invalid` when the address is taken. */
export async function runServe({ config }: ServeOptions, io: CommandIo): Promise<ExitCode> {
  const logger = commandLogger(io, config.log);
  const server = await startHttpServer({ config, clock: io.clock, logger, env: io.env });
  const issuer = Object.values(config.authorizationServers)[0]?.issuer;
  const api = Object.values(config.apis)[0]?.baseUrl;
  if (config.store.type === "memory")
    logger.warn("Login sessions are kept in memory: they end with this process, and their tokens are not revoked.");
  else if (config.store.type === "sqlite") logger.info("Login sessions are kept in a file.", { file: config.store.file });
  else logger.info("Login sessions are kept in a store that replicas share.", { type: config.store.type });
  announceReady(io, { publicUrl: server.publicUrl, issuer, api }, []);
  await untilShutdown(io);
  await server.close();
  return 0;
}
