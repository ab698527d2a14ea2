import { LatchkeyError } from "../../errors.ts";

/** One row as PostgreSQL gives it. */
export type PostgresRow = Readonly<Record<string, unknown>>;

/** A column that holds a text. */
export function mustText(row: PostgresRow, column: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  throw strange(column);
}

/** A column that holds a text or nothing. */
export function textOrNull(row: PostgresRow, column: string): string | undefined {
  return row[column] === null ? undefined : mustText(row, column);
}

/** A column that holds a number. */
export function mustNumber(row: PostgresRow, column: string): number {
  const value = row[column];
  if (typeof value === "number") return value;
  throw strange(column);
}

/** A column that holds a number or nothing. */
export function numberOrNull(row: PostgresRow, column: string): number | undefined {
  return row[column] === null ? undefined : mustNumber(row, column);
}

/** The columns have types, so that it cannot be but by another hand. */
function strange(column: string): LatchkeyError {
  return new LatchkeyError("internal_error", `The store's column ${column} does not hold what it should.`);
}
