import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeSync } from "node:fs";
import { sep } from "node:path";
import { z } from "zod";
import { LatchkeyError } from "../errors.ts";
import type { SealingKey, SealingKeys } from "./key-ring.ts";

export type KeyFile =
  /** The active one first. */
  | { readonly kind: "keys"; readonly keys: SealingKeys }
  | { readonly kind: "missing" }
  /** What is wrong, and what to do. */
  | { readonly kind: "problem"; readonly problem: string };

const format = "latchkey-sealing-keys";
const othersMask = 0o077;

const fileSchema = z.object({
  format: z.literal(format),
  keys: z.tuple([keySchema()], keySchema()),
});

function keySchema() {
  return z.object({ id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/), key: z.string().min(32) });
}

/** Reads the sealing keys of a file. One that others than its owner may read or write is refused, never used (F37). */
export function readKeyFile(path: string): KeyFile {
  let text: string;
  try {
    const { mode } = statSync(path);
    // Windows has no such modes: there the user's folder protects it.
    if ((mode & othersMask) !== 0 && sep === "/") return { kind: "problem", problem: openToOthers(path, mode) };
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return { kind: "missing" };
    return { kind: "problem", problem: `The key file ${path} cannot be read (${codeOf(error)}): correct its permissions.` };
  }
  const parsed = fileSchema.safeParse(parse(text));
  if (!parsed.success)
    return { kind: "problem", problem: `The key file ${path} is damaged: put it back from a backup. Nothing was changed.` };
  const [active, ...others] = parsed.data.keys.map(({ id, key }): SealingKey => ({ id, secret: key }));
  return active === undefined ? { kind: "missing" } : { kind: "keys", keys: [active, ...others] };
}

/**
 * Makes a key file with a new key, mode 0600, unless there is one. Of several processes that do it at one time, one makes
 * it; read it afterwards. Throws what the file system throws.
 */
export function makeKeyFile(path: string): void {
  const draft = writeDraft(path, [newKey()]);
  try {
    // Unlike a rename, a link never replaces the key that another process has just made.
    linkSync(draft, path);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    unlinkSync(draft);
  }
}

/** Puts a new key in front of those that the file has. Gives its id. Throws LatchkeyError `configuration_invalid`, and what the file system throws. */
export function addKey(path: string): string {
  const added = newKey();
  replaceKeys(path, (keys) => [added, ...keys]);
  return added.id;
}

/** Leaves the active key alone in the file. Throws as `addKey` does. */
export function forgetKeys(path: string): void {
  replaceKeys(path, ([active]) => [active]);
}

/** The file is never half written. Whoever comes second must not overwrite a key that records are being sealed with: it is refused. */
function replaceKeys(path: string, change: (keys: SealingKeys) => SealingKeys): void {
  const lock = `${path}.lock`;
  try {
    closeSync(openSync(lock, "wx", 0o600));
  } catch (error) {
    if (codeOf(error) === "EEXIST") throw unusable(`The key file ${path} is being changed by another process. If none is, remove ${lock}.`);
    throw error;
  }
  try {
    const file = readKeyFile(path);
    if (file.kind === "problem") throw unusable(file.problem);
    if (file.kind === "missing") throw unusable(`There is no key file ${path}: it is made with the store.`);
    renameSync(writeDraft(path, change(file.keys)), path);
  } finally {
    rmSync(lock, { force: true });
  }
}

function newKey(): SealingKey {
  return { id: `k${randomBytes(4).toString("hex")}`, secret: randomBytes(32).toString("base64url") };
}

function writeDraft(path: string, keys: SealingKeys): string {
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  const file = openSync(draft, "wx", 0o600);
  try {
    const written = keys.map(({ id, secret }) => ({ id, key: secret }));
    writeSync(file, `${JSON.stringify({ format, keys: written }, undefined, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return draft;
}

function unusable(problem: string): LatchkeyError {
  return new LatchkeyError("configuration_invalid", problem, { details: { problems: [problem] } });
}

function openToOthers(path: string, mode: number): string {
  const shown = (mode & 0o777).toString(8).padStart(4, "0");
  return `The key file ${path} has mode ${shown}, so that others on this machine can get at the key: run "chmod 600 ${path}". If others may have read it, make a new key.`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown reason";
}
