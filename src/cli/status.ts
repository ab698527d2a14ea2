import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import { profileOption, profileProblems } from "./profile-option.ts";
import { refuseConfiguration, refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "The configuration. Default: latchkey.config.json." },
  profile: { ...profileOption, description: "The one profile to tell of. Default: all." },
  json: { description: "Write JSON." },
};

const help = `latchkey status: who is signed in in the profiles of this machine, and how their login sessions stand.

Usage: latchkey status [options]

${optionsHelp(specs)}

Example:
  latchkey status --json`;

export const statusCommand: Command = { name: "status", summary: "Who is signed in on this machine, and how it stands.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const problems = [...parsed.problems, ...profileProblems(parsed.text("profile"))];
  if (problems.length > 0) return refuseUsage("status", problems, io);
  const { loadConfigFor } = await import("./load-config.ts");
  const loaded = loadConfigFor(io, parsed.text("config"), { forUse: true });
  if (!loaded.ok) return refuseConfiguration("status", loaded.problems, io);
  const { runStatus } = await import("./run-status.ts");
  return runStatus({ config: loaded.config, profile: parsed.text("profile"), json: parsed.flag("json") }, io);
}
