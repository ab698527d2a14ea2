import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import { defaultProfile, profileOption, profileProblems } from "./profile-option.ts";
import { refuseConfiguration, refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "The configuration. Default: latchkey.config.json." },
  profile: { ...profileOption, description: `The local profile that is signed out. Default: ${defaultProfile}.` },
};

const help = `latchkey logout: ends the login session of a profile and revokes its tokens at the authorization server.

Processes that use the profile go on running, and their next call says that nobody is signed in. Doing it
twice does no harm.

Usage: latchkey logout [options]

${optionsHelp(specs)}

Example:
  latchkey logout --profile work`;

export const logoutCommand: Command = { name: "logout", summary: "Signs a profile out and revokes its tokens.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const problems = [...parsed.problems, ...profileProblems(parsed.text("profile"))];
  if (problems.length > 0) return refuseUsage("logout", problems, io);
  const { loadConfigFor } = await import("./load-config.ts");
  const loaded = loadConfigFor(io, parsed.text("config"), { forUse: true });
  if (!loaded.ok) return refuseConfiguration("logout", loaded.problems, io);
  const { runLogout } = await import("./run-logout.ts");
  return runLogout(loaded.config, parsed.text("profile") ?? defaultProfile, io);
}
