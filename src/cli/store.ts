import { didYouMean } from "../config/spelling.ts";
import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import type { StorePart } from "./run-options.ts";
import { refuseConfiguration, refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "The configuration that names the store. Default: latchkey.config.json." },
  json: { description: "For stats: write JSON." },
};

const parts: readonly StorePart[] = ["migrate", "stats", "purge", "restored"];

const help = `latchkey store: the store of login sessions, also while servers use it.

  latchkey store migrate   makes the store, or brings its schema up to date, and nothing else
  latchkey store stats     writes how much is in it, and which sealing keys it needs
  latchkey store purge     removes what has expired (it goes with use anyway; login sessions stay)
  latchkey store restored  say this after putting a backup back: refresh tokens in it may be spent, so none is
                           presented again before it was looked at

Usage: latchkey store migrate|stats|purge|restored [options]

${optionsHelp(specs)}

Example:
  latchkey store stats --config /etc/latchkey/latchkey.config.json`;

export const storeCommand: Command = { name: "store", summary: "The store: schema, numbers, what has expired, backups.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs, 1);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const given = parsed.positionals[0];
  const part = parts.find((each) => each === given);
  const problems = [...parsed.problems, ...(part === undefined ? [partProblem(given)] : [])];
  if (parsed.flag("json") && part !== undefined && part !== "stats") problems.push("--json is for stats: remove it.");
  if (part === undefined || problems.length > 0) return refuseUsage("store", problems, io);
  const { loadConfigFor } = await import("./load-config.ts");
  const loaded = loadConfigFor(io, parsed.text("config"), { forUse: true });
  if (!loaded.ok) return refuseConfiguration("store", loaded.problems, io);
  const { runStore } = await import("./run-store.ts");
  return runStore(part, loaded.config, parsed.flag("json"), io);
}

function partProblem(part: string | undefined): string {
  if (part === undefined) return "say what to do: migrate, stats, purge or restored.";
  return `"${part}" is unknown: say migrate, stats, purge or restored.${didYouMean(part, parts)}`;
}
