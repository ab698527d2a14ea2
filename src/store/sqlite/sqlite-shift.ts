import type { SqliteDatabase } from "./sqlite-database.ts";
import { mustNumber, mustText } from "./sqlite-values.ts";

/** All due times move, since the wall clock was set back. */
interface Shift {
  readonly byMs: number;
  /** The store that moves them. */
  readonly writer: string;
  /** After the jump, milliseconds since the epoch. */
  readonly at: number;
}

/** Two processes measure the same jump within this. */
const sameJumpMs = 2_000;
/** And notice it within this: a heartbeat looks once a minute at least. */
const noticedWithinMs = 120_000;

/** False: another process has moved the due times for this very jump. Else it notes that this one does; call it in a transaction. */
export function beginShift(db: SqliteDatabase, { byMs, writer, at }: Shift): boolean {
  const last = db.get("SELECT by_ms, writer, at FROM due_shift");
  const known =
    last !== undefined &&
    mustText(last, "writer") !== writer &&
    Math.abs(mustNumber(last, "by_ms") - byMs) < sameJumpMs &&
    Math.abs(mustNumber(last, "at") - at) < noticedWithinMs;
  if (known) return false;
  db.run("INSERT OR REPLACE INTO due_shift (row, by_ms, writer, at) VALUES (1, ?, ?, ?)", byMs, writer, at);
  return true;
}
