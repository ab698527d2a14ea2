import { withStore } from "../composition/store-tasks.ts";
import type { Config } from "../config/schema.ts";
import type { StoreStats } from "../session/store-administration.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { commandLogger } from "./command-logger.ts";
import type { StorePart } from "./run-options.ts";

/** Runs one part of `latchkey store`. Throws LatchkeyError `configuration_invalid` and `store_unavailable`. */
export async function runStore(part: StorePart, config: Config, json: boolean, io: CommandIo): Promise<ExitCode> {
  const services = { clock: io.clock, logger: commandLogger(io, config.log) };
  const say = (text: string): void => void io.stdout.write(`${text}\n`);
  await withStore(config, services, part === "migrate", async ({ administration, now }) => {
    switch (part) {
      case "migrate":
        say("The store is there, and its schema is that of this version.");
        break;
      case "stats": {
        const stats = await administration.stats(now());
        say(json ? JSON.stringify(stats, undefined, 2) : statsText(stats));
        break;
      }
      case "purge":
        say(`${await administration.purge(now())} expired entries were removed.`);
        break;
      case "restored":
        await administration.renewIncarnation();
        say(
          "Noted. Each login session is looked at before its refresh token is presented again; those whose token is spent need a sign-in.",
        );
        break;
    }
  });
  return 0;
}

function statsText({ loginSessions, sealedWith, ...others }: StoreStats): string {
  const rows: readonly (readonly [string, number])[] = [
    ...Object.entries(loginSessions).map(([state, count]) => [`login sessions, ${state}`, count] as const),
    ["login sessions that are due", others.due],
    ["connection keys", others.connectionKeys],
    ["browser sessions", others.browserSessions],
    ["sign-ins under way", others.loginTransactions],
    ["imports under way", others.importIntents],
    ["ids used once", others.usedIds],
    ["records of the authorization server", others.authorizationServerRecords],
    ["processes that have it open", others.replicas],
    ...Object.entries(sealedWith).map(([key, count]) => [`sealed with the key ${key}`, count] as const),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, count]) => `${name.padEnd(width)}  ${count}`).join("\n");
}
