export type LogLevel = "debug" | "info" | "warn" | "error";

/** Plain facts of a log line. Values are printed as they are: never hand in a token, a code, a cookie or a key. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes what happened. `message` is a fixed sentence; everything that varies is a field. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same logger with these fields on each line. */
  with(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `json`: one JSON object a line. `text`: for a person at a terminal. */
  readonly format: "json" | "text";
  readonly write: (line: string) => void;
  readonly now: () => number;
}

const order: Readonly<Record<LogLevel, number>> = { debug: 10, info: 20, warn: 30, error: 40 };

/** A logger that hands each finished line, with its line end, to `write`. Errors among the fields are reduced to name, message and code. */
export function createLogger(options: LoggerOptions, bound: LogFields = {}): Logger {
  const log = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (order[level] < order[options.level]) return;
    const time = new Date(options.now()).toISOString();
    const all: LogFields = { ...bound, ...fields };
    options.write(options.format === "json" ? jsonLine(time, level, message, all) : textLine(time, level, message, all));
  };
  return {
    debug: (message, fields) => log("debug", message, fields),
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
    with: (fields) => createLogger(options, { ...bound, ...fields }),
  };
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLogger,
};

function jsonLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  return `${JSON.stringify({ time, level, message, ...plain(fields) })}\n`;
}

function textLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const tail = Object.entries(plain(fields))
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${message}${tail}\n`;
}

function plain(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, describe(value)]));
}

/** Name, message and code of an error and of its causes: foreign errors carry requests and replies in other properties. */
function describe(value: unknown, depth = 0): unknown {
  if (!(value instanceof Error)) return value;
  const code = "code" in value && typeof value.code === "string" ? { code: value.code } : {};
  const cause = value.cause instanceof Error && depth < 3 ? { cause: describe(value.cause, depth + 1) } : {};
  return { name: value.name, message: value.message, ...code, ...cause };
}
