import { existsSync } from "node:fs";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { ReplyJournalAdministration } from "../session/reply-journal.ts";
import type { StoreAdministration } from "../session/store-administration.ts";
import { openStore } from "./open-store.ts";

/** What an operator does to a store that is in use. */
export interface StoreAccess {
  readonly administration: StoreAdministration;
  /** The journals of this machine. */
  readonly journal: ReplyJournalAdministration;
  /** By the store's own clock, milliseconds since the epoch. */
  readonly now: () => number;
}

export interface StoreServices {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How many records are sealed anew in one step. */
const resealStep = 200;

/** What sealing anew came to. */
export interface Resealed {
  readonly resealed: number;
  readonly unreadable: number;
}

/**
 * Opens the store of the configuration for a task, and closes it afterwards. `create`: it may be made; else one that is not there is refused.
 * Throws LatchkeyError `configuration_invalid` for one that cannot be used, or is kept in memory, and `store_unavailable`.
 */
export async function withStore<T>(
  config: Config,
  services: StoreServices,
  create: boolean,
  task: (access: StoreAccess) => Promise<T>,
): Promise<T> {
  const { type, file } = config.store;
  if (type === "memory")
    throw refused('store.type is "memory": such a store ends with the process that has it, and there is nothing to do.');
  if (!create && type === "sqlite" && file !== undefined && !existsSync(file))
    throw refused(`There is no store at ${file} yet: "latchkey serve" or "latchkey store migrate" makes it.`);
  const { store, journal, clock = services.clock } = await openStore(config, services);
  try {
    if (store.administration === undefined || journal === undefined)
      throw refused(`store.type is "${type}": such a store has nothing to administer.`);
    return await task({ administration: store.administration, journal, now: () => clock.now() });
  } finally {
    await store.close();
  }
}

/** Seals everything anew that another key than the active one sealed. `progress` is told how much was looked at. */
export async function resealAll(administration: StoreAdministration, progress: (resealed: number) => void): Promise<Resealed> {
  let resealed = 0;
  let unreadable = 0;
  for (let after: string | undefined; ; ) {
    const step = await administration.reseal(after, resealStep);
    resealed += step.resealed;
    unreadable += step.unreadable;
    progress(resealed);
    if (step.next === undefined) return { resealed, unreadable };
    after = step.next;
  }
}

function refused(problem: string): LatchkeyError {
  return new LatchkeyError("configuration_invalid", problem, { details: { problems: [problem] } });
}
