import type { CommandIo } from "./command.ts";

/** Nothing is said of what is done within this time. */
const silentMs = 1_000;
const everyMs = 500;

/** Says on a terminal how far a command is, once it takes longer than a second. Elsewhere it says nothing. */
export function progressOn(io: CommandIo): (text: string) => void {
  const begun = io.clock.monotonic();
  let saidAt = begun + silentMs - everyMs;
  return (text) => {
    const now = io.clock.monotonic();
    if (!io.stderrIsTerminal || now - saidAt < everyMs) return;
    saidAt = now;
    io.stderr.write(`${text}\n`);
  };
}
