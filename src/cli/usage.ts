import type { Command, CommandIo, ExitCode } from "./command.ts";

/** Writes the help of a command to stdout: it was asked for. */
export function showHelp(command: Pick<Command, "help">, io: CommandIo): ExitCode {
  io.stdout.write(`${command.help}\n`);
  return 0;
}

/** Writes all problems of a call to stderr, and where the help is. */
export function refuseUsage(command: string, problems: readonly string[], io: CommandIo): ExitCode {
  const lines = problems.map((problem) => `latchkey ${command}: ${problem}\n`).join("");
  io.stderr.write(`${lines}Try: latchkey ${command} --help\n`);
  return 2;
}

/** Writes all problems of a configuration to stderr. */
export function refuseConfiguration(command: string, problems: readonly string[], io: CommandIo): ExitCode {
  const head = problems.length === 1 ? "the configuration has a problem" : `the configuration has ${problems.length} problems`;
  io.stderr.write(`latchkey ${command}: ${head}:\n${problems.map((problem) => `  ${problem}\n`).join("")}`);
  return 2;
}
