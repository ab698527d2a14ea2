import { latchkeyVersion } from "../composition/version.ts";
import { didYouMean } from "../config/spelling.ts";
import type { Command, CommandIo, ExitCode } from "./command.ts";

/** Each command with the file that holds it, loaded when it is called: `--version` need not wait for the rest. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  demo: async () => (await import("./demo.ts")).demoCommand,
  serve: async () => (await import("./serve.ts")).serveCommand,
  stdio: async () => (await import("./stdio.ts")).stdioCommand,
  login: async () => (await import("./login.ts")).loginCommand,
  logout: async () => (await import("./logout.ts")).logoutCommand,
  status: async () => (await import("./status.ts")).statusCommand,
  install: async () => (await import("./install.ts")).installCommand,
  uninstall: async () => (await import("./uninstall.ts")).uninstallCommand,
  config: async () => (await import("./config.ts")).configCommand,
  store: async () => (await import("./store.ts")).storeCommand,
  keys: async () => (await import("./keys.ts")).keysCommand,
  doctor: async () => (await import("./doctor.ts")).doctorCommand,
};

/** Names of all commands of this version. */
export const commandNames: readonly string[] = [...Object.keys(commands), "help", "version"];

/** The command of this name, without `help` and `version`. */
export async function loadCommand(name: string): Promise<Command | undefined> {
  return Object.hasOwn(commands, name) ? commands[name]?.() : undefined;
}

/** Runs the command that `argv` (without node and script) names. Throws what a command's composition throws. */
export async function runCommandLine(argv: readonly string[], io: Omit<CommandIo, "args">): Promise<ExitCode> {
  const [name, ...args] = argv;
  if (name === undefined) return misuse("say which command to run.", io);
  if (name === "help" || name === "--help" || name === "-h") return help(args, io);
  if (name === "version" || name === "--version" || name === "-v") return version(args, io);
  const command = await loadCommand(name);
  if (command !== undefined) return command.run({ ...io, args });
  if (name.startsWith("-")) return misuse(`${name} must come after the command's name.`, io);
  return misuse(`"${name}" is no command.${didYouMean(name, commandNames)}`, io);
}

async function help(args: readonly string[], io: Omit<CommandIo, "args">): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined || name.startsWith("-")) return writeOverview(io);
  const command = await loadCommand(name);
  if (command === undefined || rest.length > 0)
    return misuse(`there is no help about "${args.join(" ")}".${didYouMean(name, commandNames)}`, io);
  io.stdout.write(`${command.help}\n`);
  return 0;
}

async function writeOverview(io: Omit<CommandIo, "args">): Promise<ExitCode> {
  const loaded = await Promise.all(Object.values(commands).map((load) => load()));
  const rows = [
    ...loaded.map((command) => [command.name, command.summary] as const),
    ["help", "This list, or the help of one command: latchkey help serve."] as const,
    ["version", "The version of Latchkey."] as const,
  ];
  const list = rows.map(([name, summary]) => `  ${name.padEnd(9)} ${summary}`).join("\n");
  io.stdout.write(`Latchkey ${latchkeyVersion()}: each MCP connection acts as its own signed-in user.

Usage: latchkey COMMAND [options]

${list}

Each command has --help with an example. Begin with:
  latchkey demo
`);
  return 0;
}

function version(args: readonly string[], io: Omit<CommandIo, "args">): ExitCode {
  const [extra] = args;
  if (extra === "--help" || extra === "-h") {
    io.stdout.write("latchkey version: the version of Latchkey.\n\nExample:\n  latchkey version\n");
    return 0;
  }
  if (extra !== undefined) return misuse(`"${extra}" is one argument too many: remove it.`, io);
  io.stdout.write(`${latchkeyVersion()}\n`);
  return 0;
}

function misuse(problem: string, io: Omit<CommandIo, "args">): ExitCode {
  io.stderr.write(`latchkey: ${problem}\nTry: latchkey help\n`);
  return 2;
}
