import { clientNamed, clientNames, clientProblems } from "./client-option.ts";
import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import { defaultProfile, profileOption, profileProblems } from "./profile-option.ts";
import { refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  profile: { ...profileOption, description: `The profile whose entry is removed. Default: ${defaultProfile}.` },
  print: { description: "Show what would be removed, and write nothing." },
};

const help = `latchkey uninstall: removes the entry of latchkey stdio from an MCP client's configuration.

Nothing else in the client's file is touched, and a copy of it is kept beside it. Nobody is signed out:
latchkey logout does that.

Usage: latchkey uninstall ${clientNames} [options]

${optionsHelp(specs)}

Example:
  latchkey uninstall cursor --print`;

export const uninstallCommand: Command = { name: "uninstall", summary: "Removes it there.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs, 1);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const client = clientNamed(parsed.positionals[0]);
  const problems = [...parsed.problems, ...clientProblems(parsed.positionals[0]), ...profileProblems(parsed.text("profile"))];
  if (client === undefined || problems.length > 0) return refuseUsage("uninstall", problems, io);
  const { runUninstall } = await import("./run-install.ts");
  return runUninstall({ client, profile: parsed.text("profile") ?? defaultProfile, print: parsed.flag("print") }, io);
}
