import type { AppliedPreset } from "../config/presets.ts";
import { didYouMean } from "../config/spelling.ts";
import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import { refuseConfiguration, refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "For print: the configuration. Default: latchkey.config.json." },
};

const parts = ["schema", "print"];

const help = `latchkey config: what the configuration can hold, and what it holds.

  latchkey config schema  writes the JSON Schema of latchkey.config.json
  latchkey config print   writes the configuration in force, defaults filled in, secrets as "set" or "missing"

Usage: latchkey config schema|print [options]

${optionsHelp(specs)}

Example:
  latchkey config schema > latchkey.schema.json`;

export const configCommand: Command = {
  name: "config",
  summary: "The configuration's JSON Schema, or the configuration in force.",
  help,
  run,
};

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs, 1);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const part = parsed.positionals[0];
  const problems = [...parsed.problems, ...partProblems(part)];
  if (part === "schema" && parsed.flag("config")) problems.push("schema reads no configuration: remove --config.");
  if (problems.length > 0) return refuseUsage("config", problems, io);
  return part === "schema" ? printSchema(io) : printConfig(io, parsed.text("config"));
}

function partProblems(part: string | undefined): readonly string[] {
  if (part === undefined) return ["say what to write: schema or print."];
  return parts.includes(part) ? [] : [`"${part}" is unknown: say schema or print.${didYouMean(part, parts)}`];
}

async function printSchema(io: CommandIo): Promise<ExitCode> {
  const { configJsonSchema } = await import("../config/json-schema.ts");
  io.stdout.write(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`);
  return 0;
}

async function printConfig(io: CommandIo, file: string | undefined): Promise<ExitCode> {
  const { loadConfigFor } = await import("./load-config.ts");
  const loaded = loadConfigFor(io, file);
  if (!loaded.ok) return refuseConfiguration("config", loaded.problems, io);
  const { redacted } = await import("../config/redacted.ts");
  io.stdout.write(`${JSON.stringify(redacted(loaded.config), undefined, 2)}\n`);
  for (const preset of loaded.presets) io.stderr.write(`${describePreset(preset)}\n`);
  return 0;
}

/** Where values come from that nobody wrote. */
function describePreset({ authorizationServer, preset, by, settings }: AppliedPreset): string {
  const where = `authorizationServers.${authorizationServer}`;
  const chosen = by === "setting" ? `${where}.preset` : `the issuer, since ${where}.preset is auto`;
  return `${where}: the preset ${preset} (by ${chosen}) sets ${settings.join(", ") || "nothing that is not written"}.`;
}
