import { parseArgs } from "node:util";
import { didYouMean } from "../config/spelling.ts";

/** One option of a command. Without a placeholder it is a flag. */
export interface OptionSpec {
  /** What stands for the value in the help: `FILE`. */
  readonly placeholder?: string;
  readonly description: string;
  /** The value is a whole number within these bounds. */
  readonly integer?: { readonly min: number; readonly max: number };
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** What was given on the command line. */
export interface ParsedOptions {
  flag(name: string): boolean;
  text(name: string): string | undefined;
  integer(name: string): number | undefined;
  readonly positionals: readonly string[];
  /** All that is wrong, one sentence each. */
  readonly problems: readonly string[];
}

/** Reads the arguments of a command; `--help` and `-h` are always understood. It never throws: wrong usage is listed in `problems`. */
export function parseOptions(args: readonly string[], specs: OptionSpecs, mostPositionals = 0): ParsedOptions {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [
      name,
      { type: spec.placeholder === undefined ? ("boolean" as const) : ("string" as const) },
    ]),
  );
  const { tokens } = parseArgs({
    args: [...args],
    options: { ...options, help: { type: "boolean", short: "h" } },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const problems: string[] = [];
  const values = new Map<string, string>();
  const positionals: string[] = [];
  let unknown = false;
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const spec = token.name === "help" ? helpSpec : Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
    unknown ||= spec === undefined;
    const problem = optionProblem(token, spec, specs, values.has(token.name));
    if (problem !== undefined) problems.push(problem);
    // Also a wrong one is one that was given: options that exclude each other look at that.
    if (spec !== undefined) values.set(token.name, token.value ?? "");
  }
  // After an unknown option nobody knows whether what follows was its value.
  if (!unknown) for (const extra of positionals.slice(mostPositionals)) problems.push(`"${extra}" is one argument too many: remove it.`);
  return {
    flag: (name) => values.has(name),
    text: (name) => values.get(name),
    integer: (name) => (values.has(name) ? Number(values.get(name)) : undefined),
    positionals,
    problems,
  };
}

/** The lines of the help about the options. */
export function optionsHelp(specs: OptionSpecs): string {
  const rows = Object.entries({ ...specs, help: helpSpec }).map(([name, { placeholder, description }]) => [
    `  --${name}${placeholder === undefined ? "" : ` ${placeholder}`}`,
    description,
  ]);
  const width = Math.max(...rows.map(([left = ""]) => left.length));
  return rows.map(([left = "", right = ""]) => `${left.padEnd(width)}  ${right}`).join("\n");
}

const helpSpec: OptionSpec = { description: "Show this help." };

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function optionProblem(token: OptionToken, spec: OptionSpec | undefined, specs: OptionSpecs, given: boolean): string | undefined {
  if (spec === undefined)
    return `${token.rawName} is no known option.${didYouMean(
      token.name,
      Object.keys(specs).map((known) => `--${known}`),
    )}`;
  const name = `--${token.name}`;
  if (given && token.name !== "help") return `${name} is given twice: remove one.`;
  if (spec.placeholder === undefined) return token.value === undefined ? undefined : `${name} takes no value.`;
  // "--config --port 1": the next option was taken for the value.
  const swallowed = token.inlineValue !== true && token.value?.startsWith("--") === true;
  if (token.value === undefined || token.value === "" || swallowed) return `${name} needs a value: ${name} ${spec.placeholder}.`;
  if (spec.integer === undefined) return undefined;
  const { min, max } = spec.integer;
  const number = /^\d{1,15}$/.test(token.value) ? Number(token.value) : undefined;
  if (number !== undefined && number >= min && number <= max) return undefined;
  return `${name} must be a whole number from ${min} to ${max}, not "${token.value}".`;
}
