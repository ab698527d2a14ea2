import { accessSync, constants, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { z } from "zod";
import { crossProblems } from "./cross-rules.ts";
import { type Expanded, expand, fileProblem } from "./expand.ts";
import { issueProblems } from "./issue-text.ts";
import { configJsonSchema } from "./json-schema.ts";
import { readJsonText } from "./json-text.ts";
import { type AppliedPreset, applyPresets } from "./presets.ts";
import { type ConfigPath, isWithin, type Problem, pathText, valueAt } from "./problem.ts";
import { salvage } from "./salvage.ts";
import { type Config, configSchema } from "./schema.ts";

/** A configuration that is right in every part, or all that is wrong with it: one line each, no secret in any of them. */
export type LoadedConfig =
  | { readonly ok: true; readonly config: Config; readonly presets: readonly AppliedPreset[] }
  | { readonly ok: false; readonly problems: readonly string[] };

/** What a configuration depends on besides its text. */
export interface ConfigSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths of files are relative to. */
  readonly directory: string;
  /** The folder for files that no setting names. Undefined: each of them must be named. */
  readonly dataDirectory?: string | undefined;
  /** Settings from the command line, which win over the file's. */
  readonly server?: { readonly host?: string | undefined; readonly port?: number | undefined };
  /**
   * Further rules, checked together with the built-in ones. They see the sound parts of a configuration, even if others
   * are wrong.
   */
  readonly check?: (config: Config) => readonly string[];
}

/** Loads a file. A file that cannot be read is a problem like any other. */
export function loadConfigFile(file: string, surroundings: Omit<ConfigSurroundings, "directory">): LoadedConfig {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return { ok: false, problems: [`The configuration needs the file ${file}, ${fileProblem(error)}.`] };
  }
  const loaded = loadConfig(text, { ...surroundings, directory: dirname(resolve(file)) });
  return loaded.ok ? loaded : { ok: false, problems: loaded.problems.map((problem) => `${file}: ${problem}`) };
}

/** Loads a configuration from its text. */
export function loadConfig(text: string, surroundings: ConfigSurroundings): LoadedConfig {
  const json = readJsonText(text);
  if (json.kind === "problem") return { ok: false, problems: [json.problem] };
  const raw = withServer(json.value, surroundings.server);
  const schema = configJsonSchema();
  const written = expand(raw, { ...surroundings, schema });
  const { value: preset, applied } = applyPresets(written.value);
  const expanded = { ...written, value: preset };
  const { value, error } = parse(expanded);
  // A text that could not be filled in is reported as such, and not as a wrong value too.
  const unfilled = expanded.problems.flatMap((problem) => problem.paths);
  const ownProblems = (error?.issues ?? [])
    .filter((issue) => !unfilled.some((path) => isWithin(issue.path, path)))
    .flatMap((issue) => issueProblems(issue, raw, schema));
  const sound = salvage(value);
  const wrong = [...unfilled, ...ownProblems.flatMap((problem) => problem.paths)];
  const isWrong = (path: ConfigPath): boolean => wrong.some((each) => isWithin(each, path) || isWithin(path, each));
  const across =
    sound === undefined ? [] : crossProblems(sound, writtenNames(raw), surroundings).filter((problem) => !problem.paths.some(isWrong));
  const files = sound === undefined ? [] : tlsProblems(sound, surroundings.directory);
  const complete = sound === undefined ? undefined : withAbsoluteFiles(sound, surroundings);
  const checked = complete === undefined ? [] : (surroundings.check?.(complete) ?? []);
  const problems = [...[...expanded.problems, ...ownProblems, ...across].map((problem) => nameTools(problem, raw)), ...files, ...checked];
  const shown = problems.map((problem) => withoutValues(problem, expanded.origins));
  if (shown.length > 0 || complete === undefined) return { ok: false, problems: [...new Set(shown)] };
  return { ok: true, config: complete, presets: applied };
}

/** Parses, and takes `"${PORT}"` for a number or a boolean where the schema wants one. */
function parse(expanded: Expanded): { readonly value: unknown; readonly error?: z.ZodError | undefined } {
  const first = configSchema.safeParse(expanded.value, { reportInput: true });
  if (first.success) return { value: expanded.value };
  let value = expanded.value;
  for (const issue of first.error.issues) {
    if (issue.code !== "invalid_type" || typeof issue.input !== "string") continue;
    const meant = scalar(issue.input, issue.expected);
    const replaceable = expanded.fromEnvironment.some((path) => path.length === issue.path.length && isWithin(issue.path, path));
    if (replaceable && meant !== undefined) value = withValue(value, issue.path, meant);
  }
  const second = configSchema.safeParse(value, { reportInput: true });
  return { value, error: second.error };
}

function scalar(text: string, expected: string): number | boolean | undefined {
  if (expected === "boolean") return text === "true" ? true : text === "false" ? false : undefined;
  if ((expected === "number" || expected === "int") && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  return undefined;
}

function withValue(root: unknown, path: ConfigPath, value: unknown): unknown {
  const [key, ...below] = path;
  if (key === undefined) return value;
  if (Array.isArray(root)) return root.map((item: unknown, index) => (index === key ? withValue(item, below, value) : item));
  if (typeof root !== "object" || root === null) return root;
  return Object.fromEntries(
    Object.entries(root).map(([name, item]): [string, unknown] => [name, name === key ? withValue(item, below, value) : item]),
  );
}

function withServer(raw: unknown, server: ConfigSurroundings["server"]): unknown {
  const given = Object.entries(server ?? {}).filter(([, value]) => value !== undefined);
  if (given.length === 0 || typeof raw !== "object" || raw === null || Array.isArray(raw)) return raw;
  const written: unknown = Object.hasOwn(raw, "server") ? Reflect.get(raw, "server") : {};
  if (typeof written !== "object" || written === null || Array.isArray(written)) return raw;
  return { ...raw, server: { ...written, ...Object.fromEntries(given) } };
}

function writtenNames(raw: unknown): { readonly authorizationServers: readonly string[]; readonly apis: readonly string[] } {
  const keys = (section: string): readonly string[] => {
    const value = valueAt(raw, [section]);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
  };
  return { authorizationServers: keys("authorizationServers"), apis: keys("apis") };
}

/** A variable may hold a secret wherever it is used: a problem shows its name instead. */
function withoutValues(problem: string, origins: ReadonlyMap<string, string>): string {
  // A short value ("8420") is no secret, and is found in places that it did not come from.
  const values = [...origins].filter(([value]) => value.length >= 8).sort(([one], [other]) => other.length - one.length);
  return values.reduce((text, [value, written]) => text.replaceAll(value, () => written), problem);
}

/** `tools[3].path` becomes `tools.add_note.path`: people count badly. */
function nameTools(problem: Problem, raw: unknown): string {
  const index = problem.paths.find((path) => path[0] === "tools" && typeof path[1] === "number")?.[1];
  if (index === undefined) return problem.text;
  const name = valueAt(raw, ["tools", index, "name"]);
  const usable = typeof name === "string" && /^[A-Za-z0-9_.-]{1,128}$/.test(name);
  return usable ? problem.text.replace(pathText(["tools", index]), `tools.${name}`) : problem.text;
}

function tlsProblems({ server }: Config, directory: string): readonly string[] {
  return Object.entries(server.tls ?? {}).flatMap(([field, file]) => {
    const where = resolve(directory, file);
    try {
      accessSync(where, constants.R_OK);
      return [];
    } catch (error) {
      return [`server.tls.${field} needs the file ${where}, ${fileProblem(error)}`];
    }
  });
}

function withAbsoluteFiles(config: Config, { directory, dataDirectory }: ConfigSurroundings): Config {
  const { tls } = config.server;
  const files = tls && { certificateFile: resolve(directory, tls.certificateFile), keyFile: resolve(directory, tls.keyFile) };
  const server = files === undefined ? config.server : { ...config.server, tls: files };
  return { ...config, server, store: withStoreFiles(config.store, directory, dataDirectory) };
}

function withStoreFiles(store: Config["store"], directory: string, dataDirectory: string | undefined): Config["store"] {
  const within = (name: string): string | undefined => dataDirectory && join(dataDirectory, name);
  const { file, journalDirectory } = store;
  switch (store.type) {
    case "memory":
      return store;
    case "sqlite":
      return { ...store, file: file === undefined ? within("latchkey.db") : resolve(directory, file) };
    case "postgres":
    case "redis":
      return { ...store, journalDirectory: journalDirectory === undefined ? within("replies") : resolve(directory, journalDirectory) };
  }
}
