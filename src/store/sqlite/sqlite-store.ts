import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Audit } from "../../audit/audit.ts";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import type { ReplyJournal, ReplyJournalAdministration } from "../../session/reply-journal.ts";
import type { Store } from "../../session/store.ts";
import { ChangeFeed } from "../change-feed.ts";
import { ensureIncarnation, renewIncarnation } from "../incarnation.ts";
import { hasIndexKey } from "../index-key.ts";
import type { SealingKey } from "../key-ring.ts";
import { LocalReplyJournal } from "../local-reply-journal.ts";
import { openSealedRecords } from "../sealed-records.ts";
import { keyRingFor } from "../sealing-keys.ts";
import { SqliteAdministration } from "./sqlite-administration.ts";
import { SqliteAuthorizationServerRecords } from "./sqlite-authorization-server-records.ts";
import { SqliteBrowserSessions } from "./sqlite-browser-sessions.ts";
import { SqliteChanges } from "./sqlite-changes.ts";
import { SqliteConnectionKeys } from "./sqlite-connection-keys.ts";
import { SqliteDatabase } from "./sqlite-database.ts";
import { SqliteHighWater } from "./sqlite-high-water.ts";
import { SqliteImportIntents } from "./sqlite-import-intents.ts";
import { SqliteLoginSessions } from "./sqlite-login-sessions.ts";
import { SqliteLoginTransactions } from "./sqlite-login-transactions.ts";
import { SqliteMeta } from "./sqlite-meta.ts";
import { openSqliteFile } from "./sqlite-open.ts";
import { SqliteProfiles } from "./sqlite-profiles.ts";
import { SqliteReplicas } from "./sqlite-replicas.ts";
import { SqliteUsedIds } from "./sqlite-used-ids.ts";

/** How often it looks for what other processes have written. */
const pollMs = 250;

export interface SqliteStoreOptions {
  /** Absolute path. The file and its folder are made if they are missing. */
  readonly file: string;
  /** The sealing keys, the active one first; none: those of the key file beside the store's file, which is made with the store. */
  readonly keys: readonly SealingKey[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
}

/** A store that survives the process. */
export interface OpenedSqliteStore {
  readonly store: Store;
  /** The key for the hashes of refresh tokens: the same in each process that opens this store. */
  readonly refreshTokenKey: Buffer;
  /** For replies that the file does not take at once. It is closed with the store. */
  readonly journal: ReplyJournal & ReplyJournalAdministration;
}

/**
 * Opens a store in a SQLite file, which several processes may share. Throws LatchkeyError `configuration_invalid` when the
 * file or the sealing keys cannot be used, and `store_unavailable`; nothing is lost then.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<OpenedSqliteStore> {
  const { file, keys, clock, logger, audit } = options;
  const db = new SqliteDatabase(openSqliteFile(file, clock), clock);
  try {
    const meta = new SqliteMeta(db);
    // The key is made before the first record that needs it, so that another process finds both or neither.
    const ring = keyRingFor(file, keys, await hasIndexKey(meta));
    const records = await openSealedRecords(meta, ring, `store.file ${file}`, options);
    await ensureIncarnation(meta);
    const changes = new SqliteChanges(db, randomBytes(9).toString("base64url"));
    const highWater = new SqliteHighWater(join(`${file}.replies`, "newest-change"));
    if (highWater.isAhead(changes.newest)) {
      logger.warn("The store was put back from a backup: each login session is looked at before its refresh token is presented again.", {
        file,
      });
      await renewIncarnation(meta);
      await changes.lookAgain();
    }
    const news = async () => {
      const found = await changes.news();
      noteHighWater(highWater, changes.newest, logger);
      return found;
    };
    const feed = new ChangeFeed({ news, pollMs, clock, logger });
    const journal = await LocalReplyJournal.open({
      directory: `${file}.replies`,
      keeps: "when_refused",
      sealer: records.sealer,
      logger,
      audit,
    });
    const now = (): number => clock.now();
    return {
      store: {
        loginSessions: new SqliteLoginSessions({ db, records, changes, feed, now }),
        connectionKeys: new SqliteConnectionKeys(db, records.connectionKeys),
        browserSessions: new SqliteBrowserSessions(db, records.browserSessions, now),
        loginTransactions: new SqliteLoginTransactions(db, records.loginTransactions, now),
        importIntents: new SqliteImportIntents(db, now),
        usedIds: new SqliteUsedIds(db, records.hashes),
        replicas: new SqliteReplicas(db, now),
        authorizationServerRecords: new SqliteAuthorizationServerRecords(db, records.authorizationServerRecords, records.sealer, now),
        profiles: new SqliteProfiles(db, records.profiles),
        administration: new SqliteAdministration(db, records),
        incarnation: () => changes.incarnation,
        close: async () => {
          feed.close();
          await journal.close();
          await db.close();
        },
      },
      refreshTokenKey: records.hashes.refreshTokenKey,
      journal,
    };
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** It only helps to notice a backup: the store works without. */
function noteHighWater(highWater: SqliteHighWater, change: number, logger: Logger): void {
  try {
    highWater.note(change);
  } catch (error) {
    logger.debug("How far the store has come could not be noted.", { error });
  }
}
