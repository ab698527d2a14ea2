import { isDeepStrictEqual } from "node:util";
import { applyEdits, type Edit, getNodeValue, modify, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import type { LocalClient } from "./clients.ts";

/** How a client starts Latchkey. Paths are absolute: a client has no working folder that anybody knows, and its own PATH. */
export interface ClientEntry {
  readonly command: string;
  readonly args: readonly string[];
  /** Set besides what the entry has already. */
  readonly env: Readonly<Record<string, string>>;
}

/** What an edit makes of a file's text. `before` and `after` are our entry; undefined: it is not there. */
export type EditedText =
  | { readonly kind: "changed"; readonly text: string; readonly before: unknown; readonly after: unknown }
  | { readonly kind: "unchanged"; readonly entry: unknown }
  /** What is wrong, and what to do. */
  | { readonly kind: "problem"; readonly problem: string };

/**
 * Puts the entry of this name into a client's file. Of an entry that is there only command, arguments and the given variables
 * are changed. All else stays, comments and layout too. An entry that is not Latchkey's is refused.
 */
export function withEntry(text: string, client: LocalClient, name: string, entry: ClientEntry): EditedText {
  return edit(text, client, name, (found) => {
    if (found === undefined) return [{ path: [], value: { ...typeOf(client), ...withoutEmptyEnv(entry) } }];
    const wanted = { ...(client.namesType ? { type: "stdio" } : {}), command: entry.command, args: entry.args };
    return [
      ...Object.entries(wanted).map(([key, value]) => ({ path: [key], value })),
      ...Object.entries(entry.env).map(([key, value]) => ({ path: ["env", key], value })),
    ];
  });
}

/** Removes the entry of this name, and nothing else. One that is not Latchkey's is refused. */
export function withoutEntry(text: string, client: LocalClient, name: string): EditedText {
  return edit(text, client, name, (found) => (found === undefined ? [] : [{ path: [], value: undefined }]));
}

/** Whether an entry starts `latchkey stdio`. */
function isOurs(entry: unknown): boolean {
  const words = [property(entry, "command"), ...list(property(entry, "args"))];
  return words.some(
    (word, index) => typeof word === "string" && /(^|[\\/])latchkey(\.js|\.cmd)?$/.test(word) && words[index + 1] === "stdio",
  );
}

interface Change {
  /** Below the entry. */
  readonly path: readonly string[];
  /** Undefined: remove it. */
  readonly value: unknown;
}

function edit(text: string, client: LocalClient, name: string, changes: (found: unknown) => readonly Change[]): EditedText {
  const source = text.replace(/^\uFEFF/, "");
  const read = readFile(source, client);
  if (read.kind === "problem") return read;
  const before = Object.hasOwn(read.servers, name) ? read.servers[name] : undefined;
  if (before !== undefined && !isOurs(before))
    return problem(
      `"${client.section}" has an entry "${name}" that does not start latchkey stdio. It stays as it is: give it another name.`,
    );
  const wanted = changes(before).filter(({ path, value }) => !isDeepStrictEqual(at(before, path), value));
  if (wanted.length === 0) return { kind: "unchanged", entry: before };
  const begun = source.trim() === "" ? "{\n}\n" : source;
  const edited = wanted.reduce((so, { path, value }) => replaceAt(so, [client.section, name, ...path], value), begun);
  const after = readFile(edited, client);
  if (after.kind === "problem" || !isDeepStrictEqual(others(after, client, name), others(read, client, name)))
    return problem("It could not be changed without touching what else is in it. It stays as it is: change it by hand, as --print shows.");
  return { kind: "changed", text: text.startsWith("\uFEFF") ? `\uFEFF${edited}` : edited, before, after: after.servers[name] };
}

type ReadFile =
  | { readonly kind: "read"; readonly root: Readonly<Record<string, unknown>>; readonly servers: Readonly<Record<string, unknown>> }
  | { readonly kind: "problem"; readonly problem: string };

/** An empty file has no servers yet. Positions are told, never the text: it may hold a secret. */
function readFile(text: string, { section, title, readsComments }: LocalClient): ReadFile {
  const source = text.replace(/^\uFEFF/, "");
  if (source.trim() === "") return { kind: "read", root: {}, servers: {} };
  const errors: ParseError[] = [];
  const tree = parseTree(source, errors, { allowTrailingComma: readsComments, disallowComments: !readsComments });
  const [error] = errors;
  if (error !== undefined || tree === undefined) {
    const what = error === undefined ? "nothing that can be read" : printParseErrorCode(error.error);
    return problem(
      `It is no JSON that ${title} can read (${what} at ${position(source, error?.offset ?? 0)}). It stays as it is: correct it first.`,
    );
  }
  const root: unknown = getNodeValue(tree);
  if (!isRecord(root)) return problem("It has no object at its top level. It stays as it is: correct it first.");
  const servers = Object.hasOwn(root, section) ? root[section] : {};
  if (!isRecord(servers)) return problem(`"${section}" in it is no object. It stays as it is: correct it first.`);
  const twice = repeatedKey(tree) ?? repeatedKey(valueNode(tree, section));
  if (twice !== undefined)
    return problem(`The key "${twice}" is in it twice, and one of the two has no effect. It stays as it is: remove one first.`);
  return { kind: "read", root, servers };
}

function repeatedKey(node: Node | undefined): string | undefined {
  const seen = new Set<string>();
  for (const key of keysOf(node)) {
    if (seen.has(key)) return key;
    seen.add(key);
  }
  return undefined;
}

function keysOf(node: Node | undefined): readonly string[] {
  return (node?.children ?? []).flatMap((child) => (typeof child.children?.[0]?.value === "string" ? [child.children[0].value] : []));
}

function valueNode(root: Node, key: string): Node | undefined {
  return root.children?.find((child) => child.children?.[0]?.value === key)?.children?.[1];
}

/** All that is in the file but our entry. */
function others({ root, servers }: Extract<ReadFile, { kind: "read" }>, { section }: LocalClient, name: string): unknown {
  const { [name]: _, ...rest } = servers;
  return { ...root, [section]: rest };
}

/** Changes the value at a path, and no other byte: the library's own formatting would touch the lines beside it too. */
function replaceAt(text: string, path: readonly string[], value: unknown): string {
  const edits = modify(text, [...path], value, {});
  const isNew = path.length === 2 && value !== undefined;
  return applyEdits(text, isNew && text.includes("\n") ? edits.map((change) => laidOut(text, change, path, value)) : edits);
}

/** A new entry on lines of its own, indented as the file is. */
function laidOut(text: string, change: Edit, [section = "", name = ""]: readonly string[], value: unknown): Edit {
  const unit = /\n([ \t]+)\S/.exec(text)?.[1] ?? "  ";
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const root = parseTree(text);
  const isSectionThere = root !== undefined && valueNode(root, section) !== undefined;
  const depth = isSectionThere ? 2 : 1;
  const property = isSectionThere ? { [name]: value } : { [section]: { [name]: value } };
  const lines = JSON.stringify(property, undefined, unit)
    .split("\n")
    .slice(1, -1)
    .map((line) => `${eol}${unit.repeat(depth - 1)}${line}`);
  // Before a closing bracket on the same line.
  const end = text[change.offset + change.length] === "}" ? `${eol}${unit.repeat(depth - 1)}` : "";
  return { ...change, content: `${change.content.startsWith(",") ? "," : ""}${lines.join("")}${end}` };
}

function withoutEmptyEnv({ command, args, env }: ClientEntry): object {
  return Object.keys(env).length === 0 ? { command, args } : { command, args, env };
}

function typeOf({ namesType }: LocalClient): object {
  return namesType ? { type: "stdio" } : {};
}

function at(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => property(value, key), root);
}

function property(value: unknown, key: string): unknown {
  return isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function position(text: string, offset: number): string {
  const lines = text.slice(0, offset).split("\n");
  return `line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1}`;
}

function problem(text: string): { readonly kind: "problem"; readonly problem: string } {
  return { kind: "problem", problem: text };
}
