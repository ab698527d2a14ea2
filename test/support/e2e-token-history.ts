import type { TokenEvent } from "../../src/demo/token-events.ts";

/**
 * What is wrong with the token events of a healthy run: any reuse; a refreshed generation that is skipped, repeated or out
 * of order (one refresh per generation, each on the one before); a refresh after the revocation. Empty: nothing.
 */
export function findHistoryFaults(events: readonly TokenEvent[]): readonly string[] {
  const faults: string[] = [];
  const newest = new Map<string, number>();
  const revoked = new Set<string>();
  for (const { kind, login = "unknown", generation = 0, user = "unknown", index } of events) {
    const where = `event ${index}, ${user}'s login ${login}`;
    switch (kind) {
      case "issued":
        newest.set(login, generation);
        break;
      case "refreshed":
        if (generation !== (newest.get(login) ?? 0) + 1)
          faults.push(`${where}: generation ${generation} was refreshed after ${newest.get(login)}`);
        if (revoked.has(login)) faults.push(`${where}: generation ${generation} was refreshed after the revocation`);
        newest.set(login, generation);
        break;
      case "reuse":
        faults.push(`${where}: generation ${generation} was presented a second time`);
        break;
      case "revoked":
        revoked.add(login);
        break;
      case "introspected":
        break;
    }
  }
  return faults;
}

/** How often each login was refreshed. */
export function refreshesByLogin(events: readonly TokenEvent[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { kind, login } of events) if (kind === "refreshed" && login !== undefined) counts.set(login, (counts.get(login) ?? 0) + 1);
  return counts;
}
