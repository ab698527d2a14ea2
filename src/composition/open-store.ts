import { randomBytes } from "node:crypto";
import { loggingAudit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { type RefreshTokenHasher, refreshTokenHasher } from "../session/random.ts";
import type { ReplyJournal } from "../session/reply-journal.ts";
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
  readonly journal?: ReplyJournal | undefined;
}

/** A store in memory: for one process, nothing survives its end. */
export function openMemoryStore(clock: Clock): OpenedStore {
  return { store: new MemoryStore(() => clock.now()), hashRefreshToken: refreshTokenHasher(randomBytes(32)) };
}

/** Opens the store of the configuration. Throws LatchkeyError `configuration_invalid` when it cannot be used as it is. */
export async function openStore(config: Config, services: { readonly clock: Clock; readonly logger: Logger }): Promise<OpenedStore> {
  switch (config.store.type) {
    case "memory":
      return openMemoryStore(services.clock);
    case "sqlite": {
      // Loaded when it is needed: the demo starts sooner without.
      const { openSqliteStore } = await import("../store/sqlite/sqlite-store.ts");
      const options = { ...sqliteSettings(config), ...services, audit: loggingAudit(services.logger) };
      const { store, refreshTokenKey, journal } = await openSqliteStore(options);
      return { store, hashRefreshToken: refreshTokenHasher(refreshTokenKey), journal };
    }
  }
}

/** What is wrong with the files of the configured store, as far as it can be seen before it is opened. Nothing is written. */
export function storeProblems({ store, sealing }: Pick<Config, "store" | "sealing">): readonly string[] {
  if (store.type === "memory" || store.file === undefined) return [];
  const problems = [storeFileProblem(store.file), sealing.keys.length === 0 ? keyFileProblem(store.file) : undefined];
  return problems.filter((problem) => problem !== undefined);
}

function sqliteSettings({ store, sealing }: Config): { readonly file: string; readonly keys: readonly SealingKey[] } {
  if (store.file === undefined) throw new LatchkeyError("configuration_invalid", "store.file is missing: name the store's file.");
  return { file: store.file, keys: sealing.keys.map(({ id, key }) => ({ id, secret: key })) };
}
