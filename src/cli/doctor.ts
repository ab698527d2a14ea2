import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import { profileOption, profileProblems } from "./profile-option.ts";
import { refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "The configuration. Default: latchkey.config.json." },
  profile: { ...profileOption, description: "Look at this local profile too. Default: at none." },
  json: { description: "Write JSON." },
};

const help = `latchkey doctor: checks Node.js, configuration, authorization servers, clock, store, sealing key and port.

Each check is ok, warn or fail, and says what to do. It ends with 1 if one fails. No refresh token is presented.

Usage: latchkey doctor [options]

${optionsHelp(specs)}

Example:
  latchkey doctor --config /etc/latchkey/latchkey.config.json`;

export const doctorCommand: Command = { name: "doctor", summary: "Checks this machine and the configuration.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const problems = [...parsed.problems, ...profileProblems(parsed.text("profile"))];
  if (problems.length > 0) return refuseUsage("doctor", problems, io);
  const { loadConfigFor } = await import("./load-config.ts");
  const loaded = loadConfigFor(io, parsed.text("config"));
  const { runDoctor } = await import("./run-doctor.ts");
  return runDoctor({ loaded, profile: parsed.text("profile"), json: parsed.flag("json") }, io);
}
