import { DatabaseError } from "pg";
import { LatchkeyError } from "../../errors.ts";
import { unusable } from "../unusable.ts";

/** The SQLSTATE (PostgreSQL, appendix A) or the code of Node.js; undefined: the error has none. */
export function postgresCodeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** Whether the connection is of no use any more: it broke, was ended by the server, or leads to one that only reads. */
export function breaksConnection(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return true;
  return /^(08|57P|25006|XX)/.test(error.code ?? "08");
}

/**
 * What went wrong while the store was used, as a LatchkeyError; one that is already is passed on. Users see the message: no host, no user.
 * After an error of a connection, what was being written may have been written.
 */
export function storeError(error: unknown): LatchkeyError {
  if (error instanceof LatchkeyError) return error;
  const away = (message: string): LatchkeyError => new LatchkeyError("store_unavailable", message, { retryable: true, cause: error });
  const code = postgresCodeOf(error) ?? "";
  if (!(error instanceof DatabaseError)) return away("The store cannot be reached. The log has the cause.");
  if (/^(55P03|57014|40001|40P01)/.test(code)) return away("The store is busy. Try again in a moment.");
  if (code === "25006") return away("The store cannot be written: its server only reads. The log has the cause.");
  if (code === "53100") return away("The store's disk is full: free some space.");
  if (code === "42501") return away("The store's role lacks a permission. The log has the cause.");
  // Data exceptions and violated constraints: the server is well, what we asked was wrong.
  if (/^2[23]/.test(code))
    return new LatchkeyError("internal_error", "Something went wrong in the store. The log has the cause.", { cause: error });
  return away("The store cannot be reached. The log has the cause.");
}

/** Where the store is, for messages to whoever runs Latchkey. Nothing in it is secret. */
export interface PostgresPlace {
  readonly host: string;
  readonly user: string;
  readonly database: string;
  readonly schema: string;
}

/** What went wrong while the store was opened, in words with the way out. `away`: the same may succeed later. */
export function openingError(error: unknown, place: PostgresPlace): LatchkeyError {
  if (error instanceof LatchkeyError && error.code !== "store_unavailable") return error;
  const cause = error instanceof LatchkeyError ? (error.cause ?? error) : error;
  const code = postgresCodeOf(cause) ?? "";
  const { host, user, database } = place;
  switch (code) {
    case "28P01":
    case "28000":
      return unusable(
        `the server at ${host} refuses the user ${user}: correct the user name and the password in store.url, or let it in (pg_hba.conf; it may want TLS: sslmode in store.url).`,
        cause,
      );
    case "3D000":
      return unusable(`the server at ${host} has no database ${database}: create it, or correct its name in store.url.`, cause);
    case "42501":
      return unusable(permissionProblem(place), cause);
    case "25006":
      return unusable(`the server at ${host} is a standby, which only reads: name the primary in store.url.`, cause);
    case "ENOTFOUND":
      return unusable(`the host name in store.url is not known (${host}): correct it.`, cause);
  }
  if (cause instanceof DatabaseError && !/^(08|53|57|55P03|40)/.test(code))
    return unusable(`the server at ${host} answers with the error ${code}. The log has the cause.`, cause);
  const why = code === "" ? wordsOf(cause) : code;
  const problem = `The store's PostgreSQL server at ${host} cannot be reached (${why}): start it, or correct store.url.`;
  return new LatchkeyError("store_unavailable", problem, { retryable: true, details: { problems: [problem] }, cause });
}

function permissionProblem({ user, database, schema }: PostgresPlace): string {
  return `the role ${user} lacks a permission in the database ${database}. As an administrator run: CREATE SCHEMA IF NOT EXISTS "${schema}" AUTHORIZATION "${user}". If another role made the tables, run: GRANT USAGE, CREATE ON SCHEMA "${schema}" TO "${user}"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "${schema}" TO "${user}".`;
}

/** The driver's own errors have no code; their messages are fixed sentences. */
function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : "unknown reason";
}
