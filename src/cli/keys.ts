import { didYouMean } from "../config/spelling.ts";
import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import { refuseConfiguration, refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "The configuration that names the store and its keys. Default: latchkey.config.json." },
  forget: { description: "Afterwards, remove the old keys from the key file, if nothing is sealed with them any more." },
};

const help = `latchkey keys: the keys that stored login sessions are sealed with.

  latchkey keys rotate  seals everything that is stored anew with the newest key, while servers go on

With a key file it makes a new key first; servers on this machine take it up by themselves. With sealing.keys,
put the new key in front of the list and restart the servers; then run this. It says which keys are still needed.

Usage: latchkey keys rotate [options]

${optionsHelp(specs)}

Example:
  latchkey keys rotate --config /etc/latchkey/latchkey.config.json`;

export const keysCommand: Command = { name: "keys", summary: "The sealing keys: rotate them in place.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs, 1);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const part = parsed.positionals[0];
  const problems = [...parsed.problems];
  if (part === undefined) problems.push("say what to do: rotate.");
  else if (part !== "rotate") problems.push(`"${part}" is unknown: say rotate.${didYouMean(part, ["rotate"])}`);
  if (problems.length > 0) return refuseUsage("keys", problems, io);
  const { loadConfigFor } = await import("./load-config.ts");
  const loaded = loadConfigFor(io, parsed.text("config"), { forUse: true });
  if (!loaded.ok) return refuseConfiguration("keys", loaded.problems, io);
  if (parsed.flag("forget") && loaded.config.sealing.keys.length > 0)
    return refuseUsage("keys", ["--forget is for a key file. Your keys stand in sealing.keys: remove the old ones there."], io);
  const { rotateKeys } = await import("./rotate-keys.ts");
  return rotateKeys(loaded.config, parsed.flag("forget"), io);
}
