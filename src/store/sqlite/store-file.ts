import { closeSync, openSync, readSync } from "node:fs";

/** What every SQLite file begins with. */
const magic = "SQLite format 3\0";

/** What can be said of a store's file without opening it: no problem, or what is wrong and what to do. Nothing is written. */
export function storeFileProblem(file: string): string | undefined {
  try {
    const handle = openSync(file, "r");
    try {
      const head = Buffer.alloc(magic.length);
      const length = readSync(handle, head, 0, head.length, 0);
      return length === 0 || head.toString("latin1") === magic ? undefined : notOurs(file);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    return codeOf(error) === "ENOENT" ? undefined : fileSystemProblem(file, error);
  }
}

/** The file is another program's. */
export function notOurs(file: string): string {
  return `store.file ${file} is no database of Latchkey: name another file, or move this one away. It was not changed.`;
}

/** What the file system's error means for the store's file. */
export function fileSystemProblem(file: string, error: unknown): string {
  const code = codeOf(error);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return `store.file ${file} cannot be written: correct the permissions of the file and its folder.`;
  if (code === "EISDIR") return `store.file ${file} is a folder: name a file in it.`;
  if (code === "ENOTDIR" || code === "EEXIST") return `store.file ${file} cannot be made: what should be its folder is a file.`;
  if (code === "ENOSPC") return `The disk of store.file ${file} is full: free some space.`;
  return `store.file ${file} cannot be opened (${code ?? "unknown reason"}): correct the path or the permissions.`;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
