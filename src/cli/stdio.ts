import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, type ParsedOptions, parseOptions } from "./options.ts";
import { defaultProfile, profileOption, profileProblems } from "./profile-option.ts";
import { refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "The configuration. Default: latchkey.config.json." },
  profile: profileOption,
  demo: { description: "Embed the demo's authorization server and API; nothing to configure." },
  as: { placeholder: "NAME", description: "With --demo: the user who is signed in. Default: alice." },
};

const help = `latchkey stdio: an MCP server on stdin and stdout, for a client that starts it.

Stdout carries MCP only; logs go to stderr. It ends when stdin ends. It acts for whoever is signed in in
the profile, as latchkey login does it; without a login, tool calls say where to sign in.

Usage: latchkey stdio [options]

${optionsHelp(specs)}

Example:
  latchkey stdio --demo --as bob`;

export const stdioCommand: Command = { name: "stdio", summary: "An MCP server on stdin and stdout.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const problems = [...parsed.problems, ...conflicts(parsed)];
  if (problems.length > 0) return refuseUsage("stdio", problems, io);
  const { runStdio } = await import("./run-stdio.ts");
  if (parsed.flag("demo")) return runStdio({ kind: "demo", user: parsed.text("as") ?? "alice" }, io);
  const { configPath, loadConfigFor } = await import("./load-config.ts");
  const loaded = loadConfigFor(io, parsed.text("config"), { forUse: true });
  const profile = parsed.text("profile") ?? defaultProfile;
  return runStdio({ kind: "configured", loaded, configFile: configPath(io, parsed.text("config")), profile }, io);
}

function conflicts(parsed: ParsedOptions): readonly string[] {
  const demo = parsed.flag("demo");
  const as = parsed.text("as");
  const profile = parsed.text("profile");
  return [
    ...(demo && parsed.flag("config") ? ["--demo has a configuration of its own: remove --config."] : []),
    ...(demo && parsed.flag("profile") ? ["--demo signs in by itself: remove --profile, or say who with --as NAME."] : []),
    ...(!demo && parsed.flag("as") ? ["--as works with --demo only."] : []),
    ...(as !== undefined && !/^[\p{L}\p{M}\p{N}._@-]{1,64}$/u.test(as)
      ? [`--as takes 1 to 64 letters, digits and . _ @ -, not "${as}".`]
      : []),
    ...profileProblems(profile),
  ];
}
