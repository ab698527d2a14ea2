import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, statSync, unlinkSync, writeSync } from "node:fs";
import { sep } from "node:path";
import { z } from "zod";
import type { SealingKey } from "./key-ring.ts";

export type KeyFile =
  /** The active one first. */
  | { readonly kind: "keys"; readonly keys: readonly [SealingKey, ...SealingKey[]] }
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
  const key = { id: `k${randomBytes(4).toString("hex")}`, key: randomBytes(32).toString("base64url") };
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  const file = openSync(draft, "wx", 0o600);
  try {
    writeSync(file, `${JSON.stringify({ format, keys: [key] }, undefined, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    // Unlike a rename, a link never replaces the key that another process has just made.
    linkSync(draft, path);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    unlinkSync(draft);
  }
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
