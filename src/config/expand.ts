import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type JsonSchemaNode, nodeAt } from "./json-schema.ts";
import { type ConfigPath, type Problem, pathText } from "./problem.ts";

export interface ExpandOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths of files are relative to. */
  readonly directory: string;
  readonly schema: JsonSchemaNode;
}

export interface Expanded {
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** Places that held nothing but one `${NAME}`: a number or a boolean may have been meant. */
  readonly fromEnvironment: readonly ConfigPath[];
  /** What came out of the environment: by its value, the way it was written. */
  readonly origins: ReadonlyMap<string, string>;
}

/** A secret's file larger than this is the wrong file. */
const largestSecretBytes = 65_536;

/**
 * Replaces `${NAME}` in every text by the environment variable (`$${` stands for a plain `${`), and `{"file": "…"}`, where
 * the schema has a secret, by the file's content without its last line end.
 */
export function expand(raw: unknown, options: ExpandOptions): Expanded {
  const problems: Problem[] = [];
  const fromEnvironment: ConfigPath[] = [];
  const origins = new Map<string, string>();
  const walk = (value: unknown, path: ConfigPath): unknown => {
    if (typeof value === "string") {
      if (/^\$\{[A-Za-z_]\w*\}$/.test(value)) fromEnvironment.push(path);
      return expandText(value, path, options.env, problems, origins);
    }
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([key, item]): [string, unknown] => [key, walk(item, [...path, key])]);
    const expanded: Record<string, unknown> = Object.fromEntries(entries);
    const file = nodeAt(options.schema, path)?.writeOnly === true ? onlyFile(expanded) : undefined;
    return file === undefined ? expanded : readSecret(file, path, options.directory, problems);
  };
  return { value: walk(raw, []), problems, fromEnvironment, origins };
}

/** The file of a `{"file": "…"}`. */
function onlyFile(value: Readonly<Record<string, unknown>>): string | undefined {
  return Object.keys(value).length === 1 && typeof value["file"] === "string" ? value["file"] : undefined;
}

function expandText(text: string, path: ConfigPath, env: ExpandOptions["env"], problems: Problem[], origins: Map<string, string>): string {
  return text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (whole, name: string | undefined, end: string | undefined) => {
    if (name === undefined) return "${";
    if (end !== "}" || !/^[A-Za-z_]\w*$/.test(name)) {
      problems.push({
        paths: [path],
        text: `${pathText(path)} has a "\${" that is not followed by a name and "}": write \${NAME}, or $\${ for the two characters themselves`,
      });
      return whole;
    }
    const value = env[name];
    if (value !== undefined) {
      origins.set(value, whole);
      return value;
    }
    problems.push({
      paths: [path],
      text: `${pathText(path)} needs the environment variable ${name}, which is not set: set it before the start`,
    });
    return whole;
  });
}

function readSecret(file: string, path: ConfigPath, directory: string, problems: Problem[]): string | undefined {
  const where = resolve(directory, file);
  const problem = (what: string): undefined => {
    problems.push({ paths: [path], text: `${pathText(path)} needs the file ${where}, ${what}` });
    return undefined;
  };
  let content: Buffer;
  try {
    content = readFileSync(where);
  } catch (error) {
    return problem(fileProblem(error));
  }
  if (content.length > largestSecretBytes) return problem("which is too large for a secret: name the file that holds the secret alone");
  const secret = content.toString("utf8").replace(/\r?\n$/, "");
  return secret === "" ? problem("which is empty: put the secret into it") : secret;
}

/** What went wrong with a file, as the end of a sentence that began with "the file …,". */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "which does not exist: create it, or correct the path";
  if (code === "EACCES" || code === "EPERM") return "which this user may not read: correct its permissions";
  if (code === "EISDIR") return "which is a folder: name a file";
  return `which cannot be read (${typeof code === "string" ? code : "unknown reason"})`;
}
