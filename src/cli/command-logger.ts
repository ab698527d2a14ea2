import type { Config } from "../config/schema.ts";
import { createLogger, type Logger } from "../logger.ts";
import type { CommandIo } from "./command.ts";

/** The log of a command, on stderr: text for a person at a terminal, else JSON lines, unless the configuration says otherwise. */
export function commandLogger(io: CommandIo, log: Config["log"]): Logger {
  const format = log.format === "auto" ? (io.stderrIsTerminal ? "text" : "json") : log.format;
  return createLogger({ level: log.level, format, write: (line) => io.stderr.write(line), now: () => io.clock.now() });
}
