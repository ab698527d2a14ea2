import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { LatchkeyError } from "../errors.ts";
import { addKey, forgetKeys, makeKeyFile, readKeyFile } from "./key-file.ts";
import { KeyRing, type SealingKey, type SealingKeys } from "./key-ring.ts";

/** Where the keys come from when none are configured: a file beside the store's. */
export function keyFileOf(storeFile: string): string {
  return join(dirname(storeFile), "sealing-keys.json");
}

/**
 * The key ring: the configured keys, else those of the key file, also as they change while this process runs. `sealed`: the
 * store holds records already, so that a key file that is missing is not made anew. Throws LatchkeyError `configuration_invalid`;
 * nothing is lost then.
 */
export function keyRingFor(storeFile: string, configured: readonly SealingKey[], sealed: boolean): KeyRing {
  const [active, ...others] = configured;
  if (active !== undefined) return new KeyRing([active, ...others]);
  const path = keyFileOf(storeFile);
  const first = readKeyFile(path);
  if (first.kind === "missing" && sealed) throw refused(missing(path, storeFile));
  if (first.kind === "missing") change(path, () => makeKeyFile(path));
  const file = first.kind === "missing" ? readKeyFile(path) : first;
  switch (file.kind) {
    case "keys":
      return new KeyRing(file.keys, following(path));
    case "missing":
      throw refused(missing(path, storeFile));
    case "problem":
      throw refused(file.problem);
  }
}

/** What is wrong with the key file, if there is one; whether it may be missing shows when the store is open. */
export function keyFileProblem(storeFile: string): string | undefined {
  const file = readKeyFile(keyFileOf(storeFile));
  return file.kind === "problem" ? file.problem : undefined;
}

/** Adds a new key to the key file, as the active one. Gives its id. Throws LatchkeyError `configuration_invalid`; the file is as it was then. */
export function rotateKeyFile(storeFile: string): string {
  const path = keyFileOf(storeFile);
  return change(path, () => addKey(path));
}

/** Removes all keys but the active one from the key file. Throws as `rotateKeyFile` does. */
export function forgetOldKeys(storeFile: string): void {
  const path = keyFileOf(storeFile);
  change(path, () => forgetKeys(path));
}

/** Reads the file again when it was replaced. One that cannot be used is left alone: the keys that are known go on. */
function following(path: string): () => SealingKeys | undefined {
  let seen = stampOf(path);
  return () => {
    const stamp = stampOf(path);
    if (stamp === seen || stamp === undefined) return undefined;
    seen = stamp;
    const file = readKeyFile(path);
    return file.kind === "keys" ? file.keys : undefined;
  };
}

function stampOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && `${found.ino} ${found.mtimeMs} ${found.size}`;
}

function change<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (cause) {
    if (cause instanceof LatchkeyError) throw cause;
    throw refused(`The key file ${path} cannot be written: correct the permissions of its folder, or set sealing.keys.`, cause);
  }
}

function missing(path: string, storeFile: string): string {
  return `The key file ${path} is missing, and what ${storeFile} holds cannot be read without it: put it back from a backup, or set sealing.keys. To begin without the stored login sessions, move ${storeFile} away.`;
}

function refused(problem: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError("configuration_invalid", problem, { details: { problems: [problem] }, cause });
}
