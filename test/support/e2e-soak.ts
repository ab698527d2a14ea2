import type { McpClient } from "./e2e-clients.ts";
import { untilTime } from "./e2e-wait.ts";

/** One connection of one user, for as long as the soak lasts. */
export interface SoakConnection {
  readonly user: string;
  readonly transport: string;
  readonly client: McpClient;
}

export interface SoakReport {
  readonly calls: number;
  /** Calls that failed, as sentences. */
  readonly failures: readonly string[];
  /** Answers of somebody else, as sentences. */
  readonly foreign: readonly string[];
  /** How long the calls took, in milliseconds: the slowest, and the one that 99 of 100 do not exceed. */
  readonly slowestMs: number;
  readonly p99Ms: number;
}

/** The one note that a user has, by which its answers are known. */
export function noteOf(user: string): string {
  return `this is ${user}'s`;
}

/** One call a second on each connection, `whoami` now and then and `list_notes` else, until `seconds` are over. */
export async function soak(connections: readonly SoakConnection[], seconds: number): Promise<SoakReport> {
  const begin = Date.now();
  const failures: string[] = [];
  const foreign: string[] = [];
  const durations: number[] = [];
  const work = async ({ user, transport, client }: SoakConnection, index: number): Promise<void> => {
    // Spread over the second, as users are.
    const offsetMs = (1000 * index) / connections.length;
    for (let second = 0; second < seconds; second += 1) {
      await untilTime(begin + second * 1000 + offsetMs);
      const where = `${user} over ${transport}, second ${second}`;
      const asked = second % 5 === 0 ? "whoami" : "list_notes";
      const startedAt = performance.now();
      try {
        const answers = asked === "whoami" ? [await client.whoami()] : await client.notes();
        const own = asked === "whoami" ? user : noteOf(user);
        if (answers.length !== 1 || answers[0] !== own) foreign.push(`${where}: ${asked} said ${JSON.stringify(answers)}`);
      } catch (error) {
        failures.push(`${where}: ${asked}: ${error instanceof Error ? error.message : String(error)}`);
      }
      durations.push(performance.now() - startedAt);
    }
  };
  await Promise.all(connections.map(work));
  durations.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(durations[Math.min(durations.length - 1, Math.floor(durations.length * share))] ?? 0);
  return { calls: durations.length, failures, foreign, slowestMs: at(1), p99Ms: at(0.99) };
}
