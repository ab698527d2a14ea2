import { sleep } from "../clock.ts";
import { type Resealed, resealAll, withStore } from "../composition/store-tasks.ts";
import type { Config } from "../config/schema.ts";
import { forgetOldKeys, rotateKeyFile } from "../store/sealing-keys.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { commandLogger } from "./command-logger.ts";
import { progressOn } from "./progress.ts";

/** A record that was sealed before a server knew the new key is written within this time. */
const lateWritesMs = 6_000;

/** Runs `latchkey keys rotate`. Throws LatchkeyError `configuration_invalid` and `store_unavailable`; what was sealed before can still be read then. */
export async function rotateKeys(config: Config, forget: boolean, io: CommandIo): Promise<ExitCode> {
  const services = { clock: io.clock, logger: commandLogger(io, config.log) };
  const say = (text: string): void => void io.stdout.write(`${text}\n`);
  const file = config.sealing.keys.length === 0 ? config.store.file : undefined;
  const progress = progressOn(io);
  // Opened first: a store that cannot be read with the keys that are there must not get another one.
  const active = await withStore(config, services, false, async () => {
    if (file === undefined) return config.sealing.keys[0]?.id ?? "";
    const added = rotateKeyFile(file);
    say(`The key file has a new key, ${added}, which seals from now on.`);
    return added;
  });
  const { resealed, others, replies } = await withStore(config, services, false, async ({ administration, journal, now }) => {
    // A server may have sealed a record with the old key a moment ago that it has not written yet.
    if (file !== undefined && (await administration.stats(now())).replicas > 0) await sleep(io.clock, lateWritesMs);
    const done = await resealAll(administration, (count) => progress(`${count} sealed anew so far`));
    const { sealedWith } = await administration.stats(now());
    // The reply of a refresh may be all that is left of a login (I4): it must not wait for a key that is forgotten.
    const replies = await journal.reseal();
    return { resealed: done, others: Object.entries(sealedWith).filter(([key]) => key !== active), replies };
  });
  say(resealedText(resealed, active));
  for (const [key, count] of others) say(`Still sealed with ${key === "unknown" ? "another key" : `the key ${key}`}: ${count}.`);
  if (replies.resealed > 0) say(`${replies.resealed} kept replies were sealed anew; a server takes them up.`);
  if (replies.elsewhere > 0) say(`${replies.elsewhere} replies are kept by servers that are at work, perhaps with an old key.`);
  const isNeeded = others.length > 0 || replies.elsewhere > 0;
  if (config.store.type !== "sqlite") say("Replies that are kept on other machines were not looked at: run this there, too.");
  if (isNeeded) say("Keep the old keys. Run this again when all servers use the new one.");
  else if (file === undefined) say("No other key is needed by what is stored. Backups need the key that they were made with.");
  else if (forget) forgetOldKeys(file);
  if (!isNeeded && file !== undefined)
    say(
      forget
        ? "The old keys were removed from the key file. Older backups need them: keep the key file that was saved with each."
        : "The old keys are not needed by what is stored. They stay in the key file; --forget removes them.",
    );
  return 0;
}

function resealedText({ resealed, unreadable }: Resealed, active: string): string {
  const done = `${resealed} records were sealed anew with the key ${active}.`;
  return unreadable === 0 ? done : `${done} ${unreadable} cannot be read with the keys that are there, and stay as they are.`;
}
