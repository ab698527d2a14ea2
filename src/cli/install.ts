import { clientNamed, clientNames, clientProblems } from "./client-option.ts";
import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import { defaultProfile, profileOption, profileProblems } from "./profile-option.ts";
import { refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "The configuration that the client's Latchkey uses. Default: latchkey.config.json." },
  profile: { ...profileOption, description: `The local profile that the client acts for. Default: ${defaultProfile}.` },
  print: { description: "Show what would be changed, and write nothing." },
};

const help = `latchkey install: enters latchkey stdio in the configuration of an MCP client on this machine.

The entry is named latchkey, or latchkey-PROFILE, and has the absolute paths of Node.js and of this program. All
else in the client's file stays as it is; a copy of the file is kept beside it. Run it again after an update of
Node.js or Latchkey has moved them. Variables that the configuration takes from the environment go into "env" of
the entry; they are kept when it is run again.

Usage: latchkey install ${clientNames} [options]

${optionsHelp(specs)}

Example:
  latchkey install claude-desktop --config latchkey.config.json --profile work`;

export const installCommand: Command = { name: "install", summary: "Enters Latchkey in an MCP client's configuration.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs, 1);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const client = clientNamed(parsed.positionals[0]);
  const problems = [...parsed.problems, ...clientProblems(parsed.positionals[0]), ...profileProblems(parsed.text("profile"))];
  if (client === undefined || problems.length > 0) return refuseUsage("install", problems, io);
  const { runInstall } = await import("./run-install.ts");
  const profile = parsed.text("profile") ?? defaultProfile;
  return runInstall({ client, profile, config: parsed.text("config"), print: parsed.flag("print") }, io);
}
