import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import { defaultProfile, profileOption, profileProblems } from "./profile-option.ts";
import { refuseConfiguration, refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "The configuration. Default: latchkey.config.json." },
  profile: { ...profileOption, description: `The local profile that is signed in. Default: ${defaultProfile}.` },
  "authorization-server": {
    placeholder: "NAME",
    description: "Where to sign in, by its name in the configuration. Default: that of the profile, or the only one.",
  },
  device: { description: "Show a code that the user enters on another device, where there is no browser on this one." },
  "no-browser": { description: "Open no browser: the address is written to stderr anyway." },
};

const help = `latchkey login: signs a user in, for latchkey stdio.

It opens the browser, and listens on this machine until the browser comes back. Register the redirect URI
http://127.0.0.1/login/callback at the authorization server, with any port. Processes that use the profile
go on with the new login; they need not be started again. With --device a code is entered elsewhere.

Usage: latchkey login [options]

${optionsHelp(specs)}

Example:
  latchkey login --profile work`;

export const loginCommand: Command = { name: "login", summary: "Signs a user in on this machine, for stdio.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const problems = [...parsed.problems, ...profileProblems(parsed.text("profile"))];
  if (problems.length > 0) return refuseUsage("login", problems, io);
  const { loadConfigFor } = await import("./load-config.ts");
  const loaded = loadConfigFor(io, parsed.text("config"), { forUse: true });
  if (!loaded.ok) return refuseConfiguration("login", loaded.problems, io);
  const { runLogin } = await import("./run-login.ts");
  return runLogin(
    {
      config: loaded.config,
      profile: parsed.text("profile") ?? defaultProfile,
      authorizationServer: parsed.text("authorization-server"),
      device: parsed.flag("device"),
      browser: !parsed.flag("no-browser"),
    },
    io,
  );
}
