import { LatchkeyError } from "../../errors.ts";

/** The primary result codes of SQLite that mean something of their own here (https://sqlite.org/rescode.html). */
export const sqliteCode = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** The primary result code; undefined: it is no error of SQLite. */
export function sqliteCodeOf(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}

/** Whether another connection is in the way, and the same may succeed in a moment. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCodeOf(error);
  return code === sqliteCode.busy || code === sqliteCode.locked;
}

/** What went wrong while the store was used, as a LatchkeyError; one that is already is passed on. No path: users see the message. */
export function storeError(error: unknown): LatchkeyError {
  if (error instanceof LatchkeyError) return error;
  const code = sqliteCodeOf(error);
  const away = (message: string): LatchkeyError => new LatchkeyError("store_unavailable", message, { retryable: true, cause: error });
  switch (code) {
    case sqliteCode.busy:
    case sqliteCode.locked:
      return away("The store is busy: another process holds it. Try again in a moment.");
    case sqliteCode.full:
      return away("The store's disk is full: free some space.");
    case sqliteCode.readOnly:
      return away("The store cannot be written: its file or its disk is read-only.");
    case sqliteCode.corrupt:
    case sqliteCode.notADatabase:
      return away("The store's file is damaged: stop Latchkey and put the file back from a backup.");
    case undefined:
      return error instanceof Error && "code" in error && error.code === "ERR_INVALID_STATE"
        ? away("The store is closed.")
        : new LatchkeyError("internal_error", "Something went wrong in the store. The log has the cause.", { cause: error });
    default:
      return away("The store cannot be reached. The log has the cause.");
  }
}
