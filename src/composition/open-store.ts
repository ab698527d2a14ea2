import { randomBytes } from "node:crypto";
import { type Audit, loggingAudit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { CachedConnectionKeys } from "../session/cached-connection-keys.ts";
import { type RefreshTokenHasher, refreshTokenHasher } from "../session/random.ts";
import type { ReplyJournal, ReplyJournalAdministration } from "../session/reply-journal.ts";
import type { Store } from "../session/store.ts";
import type { SealingKey } from "../store/key-ring.ts";
import { MemoryStore } from "../store/memory/memory-store.ts";
import { keyFileProblem } from "../store/sealing-keys.ts";
import { storeFileProblem } from "../store/sqlite/store-file.ts";

/** A store, and how refresh tokens are known again in it. */
export interface OpenedStore {
  readonly store: Store;
  readonly hashRefreshToken: RefreshTokenHasher;
  /** Undefined: nothing survives the process anyway. */
  readonly journal?: (ReplyJournal & ReplyJournalAdministration) | undefined;
  /** The clock that all who share the store go by; undefined: this machine's. */
  readonly clock?: Clock | undefined;
}

interface Services {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
}

/** A store in memory: for one process, nothing survives its end. */
export function openMemoryStore(clock: Clock): OpenedStore {
  return { store: new MemoryStore(() => clock.now()), hashRefreshToken: refreshTokenHasher(randomBytes(32)) };
}

/** Opens the store of the configuration. Throws LatchkeyError `configuration_invalid` when it cannot be used as it is. */
export async function openStore(config: Config, { clock, logger }: Omit<Services, "audit">): Promise<OpenedStore> {
  const services = { clock, logger, audit: loggingAudit(logger) };
  // Loaded when it is needed: the demo starts sooner without.
  switch (config.store.type) {
    case "memory":
      return openMemoryStore(clock);
    case "sqlite": {
      const { openSqliteStore } = await import("../store/sqlite/sqlite-store.ts");
      return opened(clock, await openSqliteStore({ file: mustHave(config.store.file, "file"), keys: sealingKeys(config), ...services }));
    }
    case "postgres": {
      const { openPostgresStore } = await import("../store/postgres/postgres-store.ts");
      const { schema = "latchkey", maxConnections = 10 } = config.store;
      return opened(clock, await openPostgresStore({ ...sharedSettings(config), schema, maxConnections, ...services }));
    }
    case "redis": {
      const { openRedisStore } = await import("../store/redis/redis-store.ts");
      const { keyPrefix = "latchkey", cluster = false } = config.store;
      return opened(clock, await openRedisStore({ ...sharedSettings(config), keyPrefix, cluster, ...services }));
    }
  }
}

/** What is wrong with the files of the configured store, as far as it can be seen before it is opened. Nothing is written. */
export function storeProblems({ store, sealing }: Pick<Config, "store" | "sealing">): readonly string[] {
  if (store.type !== "sqlite" || store.file === undefined) return [];
  const problems = [storeFileProblem(store.file), sealing.keys.length === 0 ? keyFileProblem(store.file) : undefined];
  return problems.filter((problem) => problem !== undefined);
}

/** What each store that outlives its processes gives. */
interface DurableStore {
  readonly store: Store;
  readonly refreshTokenKey: Buffer;
  readonly journal: ReplyJournal & ReplyJournalAdministration;
  readonly clock?: Clock | undefined;
}

/** A request must not cost a round trip to the store for its key. */
function opened(localClock: Clock, { store, refreshTokenKey, journal, clock }: DurableStore): OpenedStore {
  const connectionKeys = new CachedConnectionKeys(store.connectionKeys, localClock);
  return { store: { ...store, connectionKeys }, hashRefreshToken: refreshTokenHasher(refreshTokenKey), journal, clock };
}

/** What every store on a server needs. */
function sharedSettings(config: Config) {
  const { url, journalDirectory } = config.store;
  const [active, ...others] = sealingKeys(config);
  if (active === undefined) throw new LatchkeyError("configuration_invalid", "sealing.keys is missing.");
  return {
    url: mustHave(url, "url"),
    journalDirectory: mustHave(journalDirectory, "journalDirectory"),
    keys: [active, ...others] as const,
  };
}

function sealingKeys({ sealing }: Config): readonly SealingKey[] {
  return sealing.keys.map(({ id, key }) => ({ id, secret: key }));
}

/** Loading a configuration has made sure of it. */
function mustHave(value: string | undefined, name: string): string {
  if (value !== undefined) return value;
  throw new LatchkeyError("configuration_invalid", `store.${name} is missing.`);
}
