import { type LocalSide, openLocalSide } from "../composition/local-side.ts";
import type { Config } from "../config/schema.ts";
import type { CommandIo } from "./command.ts";
import { commandLogger } from "./command-logger.ts";
import { stayAlive } from "./stay-alive.ts";

/** How long what a command began may take at its end. */
const drainMs = 5_000;

/**
 * Opens the local side for one task and closes it afterwards. Of its log only what went wrong is shown: the command says the
 * rest itself. Throws LatchkeyError `configuration_invalid` and `store_unavailable`.
 */
export function withLocalSide<T>(config: Config, io: CommandIo, task: (side: LocalSide) => Promise<T>): Promise<T> {
  return stayAlive(() => openAndClose(config, io, task));
}

async function openAndClose<T>(config: Config, io: CommandIo, task: (side: LocalSide) => Promise<T>): Promise<T> {
  const level = config.log.level === "debug" ? "debug" : "warn";
  const logger = commandLogger(io, { ...config.log, level });
  const side = await openLocalSide({ config, clock: io.clock, logger, env: io.env, background: false });
  try {
    return await task(side);
  } finally {
    await side.core.close(drainMs);
  }
}
