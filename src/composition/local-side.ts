import { existsSync } from "node:fs";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { LatchkeyError } from "../errors.ts";
import type { BehindProfile } from "../local/profile-connection.ts";
import { Profiles } from "../local/profiles.ts";
import type { Logger } from "../logger.ts";
import type { ServerFactory } from "../mcp/server-factory.ts";
import type { Store } from "../session/store.ts";
import { type Core, composeCore } from "./core.ts";
import { openStore } from "./open-store.ts";

export interface LocalSideOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  /** See `CoreOptions.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** See `CoreOptions.servers`. */
  readonly servers?: ServerFactory | undefined;
  /** See `CoreOptions.background`. */
  readonly background: boolean;
}

/** Latchkey for one user on this machine: the core with the profiles of its store. */
export interface LocalSide {
  readonly core: Core;
  readonly profiles: Profiles;
  /** What a profile's connection finds behind the store. */
  readonly behindProfile: BehindProfile;
  /** The clock that all who share the store go by. */
  readonly clock: Clock;
}

/** Opens the store of the configuration for the local side. Throws LatchkeyError `configuration_invalid` or `store_unavailable`. */
export async function openLocalSide(options: LocalSideOptions): Promise<LocalSide> {
  const { config } = options;
  const opened = await openStore(config, options);
  try {
    const store = mustKeepProfiles(opened.store, config);
    const clock = opened.clock ?? options.clock;
    // The links of this side are made where the connection is: it listens while one is open, and not before.
    const core = composeCore({ ...options, clock, opened, loginLink: () => undefined });
    const profiles = new Profiles({ store, sessions: core.sessions, logins: core.logins, logout: core.logout });
    const behindProfile = { profiles, sessions: core.sessions, registry: core.registry, servers: core.authorizationServers };
    return { core, profiles, behindProfile, clock };
  } catch (error) {
    await opened.store.close();
    throw error;
  }
}

/** Whether anybody can be signed in: a store that is not there yet need not be made to say that nobody is. */
export function isLocalStoreThere({ store }: Config): boolean {
  return store.type !== "sqlite" || store.file === undefined || existsSync(store.file);
}

function mustKeepProfiles(store: Store, { store: { type } }: Config): NonNullable<Store["profiles"]> {
  const problem =
    type === "memory"
      ? 'store.type is "memory", which ends with each process. Profiles need a store that all of them share: remove the setting, or say "sqlite".'
      : `The store of the type "${type}" keeps no profiles in this version. Say "sqlite" for the local side.`;
  if (type !== "memory" && store.profiles !== undefined) return store.profiles;
  throw new LatchkeyError("configuration_invalid", problem, { details: { problems: [problem] } });
}
