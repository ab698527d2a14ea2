import { randomBytes } from "node:crypto";
import {
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { EditedText } from "./client-entry.ts";

/** What became of a client's file. `path`: the file itself, where the given one is a link. */
export type ChangedFile =
  | {
      readonly kind: "changed";
      readonly path: string;
      /** The copy of what was there; undefined: there was no file. */
      readonly backup: string | undefined;
      readonly before: unknown;
      readonly after: unknown;
    }
  | { readonly kind: "unchanged"; readonly path: string; readonly entry: unknown }
  /** Nothing was written. One sentence or two, with the path. */
  | { readonly kind: "problem"; readonly problem: string };

export interface FileChange {
  readonly path: string;
  /** Makes the new text out of the old one. It is asked again when another process has changed the file meanwhile. */
  readonly edit: (text: string) => EditedText;
  /** False: say what would be done, and write nothing. */
  readonly write: boolean;
  /** Milliseconds since the epoch, for the backup's name. */
  readonly now: number;
}

/** A client that is at work writes its file too. */
const mostTries = 5;

/**
 * Changes a client's file as a whole or not at all: a copy is kept, the new text is on the disk before it takes the file's place,
 * with the same mode and owner. Links are followed. Never throws for what a file system can refuse.
 */
export function changeClientFile(change: FileChange): ChangedFile {
  try {
    return tryToChange(change);
  } catch (error) {
    const code = codeOf(error);
    return {
      kind: "problem",
      problem: `${change.path} cannot be ${change.write ? "changed" : "read"} (${code}): correct its permissions and those of its folder.`,
    };
  }
}

function tryToChange({ path: given, edit, write, now }: FileChange): ChangedFile {
  if (lstatSync(given, { throwIfNoEntry: false })?.isSymbolicLink() && statSync(given, { throwIfNoEntry: false }) === undefined)
    return { kind: "problem", problem: `${given} is a link to a file that does not exist: make that file, or remove the link.` };
  for (let tries = 0; tries < mostTries; tries += 1) {
    const path = statSync(given, { throwIfNoEntry: false }) === undefined ? given : realpathSync(given);
    const old = textOf(path);
    const edited = edit(old ?? "");
    if (edited.kind === "problem") return { kind: "problem", problem: `${path}: ${edited.problem}` };
    if (edited.kind === "unchanged") return { kind: "unchanged", path, entry: edited.entry };
    const { before, after } = edited;
    if (!write) return { kind: "changed", path, backup: undefined, before, after };
    const written = replaceFile(path, old, edited.text, now);
    if (written.kind === "replaced") return { kind: "changed", path, backup: written.backup, before, after };
  }
  return { kind: "problem", problem: `${given} is being changed by another program all the time: close the client, and run this again.` };
}

type Replaced = { readonly kind: "replaced"; readonly backup: string | undefined } | { readonly kind: "overtaken" };

function replaceFile(path: string, old: string | undefined, text: string, now: number): Replaced {
  if (old === undefined) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = writeDraft(path, text);
  try {
    // Read again: what the client wrote meanwhile must not be lost.
    if (textOf(path) !== old) return { kind: "overtaken" };
    const backup = old === undefined ? undefined : backUp(path, now);
    renameSync(draft, path);
    return { kind: "replaced", backup };
  } finally {
    rmSync(draft, { force: true });
  }
}

function writeDraft(path: string, text: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  const file = openSync(draft, "wx", 0o600);
  try {
    writeFileSync(file, text);
    if (found !== undefined) fchmodSync(file, found.mode & 0o7777);
    fsyncSync(file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  const own = statSync(draft);
  // Somebody else's file, changed by an administrator, stays theirs.
  if (found !== undefined && (found.uid !== own.uid || found.gid !== own.gid)) chownSync(draft, found.uid, found.gid);
  return draft;
}

/** A copy with the same mode, under a name that is free. */
function backUp(path: string, now: number): string {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  for (let count = 1; ; count += 1) {
    const backup = `${path}.${stamp}${count === 1 ? "" : `-${count}`}.bak`;
    try {
      copyFileSync(path, backup, constants.COPYFILE_EXCL);
      return backup;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown reason";
}
