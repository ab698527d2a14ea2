/** Two processes measure the same jump of the wall clock within this. */
const sameJumpMs = 2_000;
/** And notice it within this: a heartbeat looks once a minute at least. */
const noticedWithinMs = 120_000;

/**
 * Moves all due times by $1 ms for the writer $2 at $3 (ms since the epoch), unless another process has moved them for this very jump.
 * One statement: of two that notice it at one time, the second waits for the first and finds what it noted.
 */
export function shiftStatement(schema: string): string {
  return `WITH begun AS (
    INSERT INTO ${schema}.due_shift AS last (row, by_ms, writer, at) VALUES (1, $1::double precision, $2, $3::double precision)
    ON CONFLICT (row) DO UPDATE SET by_ms = excluded.by_ms, writer = excluded.writer, at = excluded.at
    WHERE last.writer = excluded.writer OR abs(last.by_ms - excluded.by_ms) >= ${sameJumpMs} OR abs(last.at - excluded.at) >= ${noticedWithinMs}
    RETURNING by_ms)
  UPDATE ${schema}.login_sessions SET due_at = due_at + begun.by_ms FROM begun WHERE due_at IS NOT NULL`;
}
