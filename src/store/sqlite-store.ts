import { randomBytes } from "node:crypto";
import type { Audit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { ReplyJournal } from "../session/reply-journal.ts";
import type { Store } from "../session/store.ts";
import { IndexHashes } from "./index-hashes.ts";
import { hasIndexKey, loadIndexKey } from "./index-key.ts";
import type { SealingKey } from "./key-ring.ts";
import { LocalReplyJournal } from "./local-reply-journal.ts";
import { Quarantine } from "./quarantine.ts";
import { SealedLoginSessions } from "./sealed-login-sessions.ts";
import { Sealer } from "./sealer.ts";
import { keyRingFor } from "./sealing-keys.ts";
import { SqliteBrowserSessions } from "./sqlite-browser-sessions.ts";
import { ChangeFeed } from "./sqlite-changes.ts";
import { SqliteConnectionKeys } from "./sqlite-connection-keys.ts";
import { SqliteDatabase } from "./sqlite-database.ts";
import { SqliteImportIntents } from "./sqlite-import-intents.ts";
import { SqliteLoginSessions } from "./sqlite-login-sessions.ts";
import { SqliteLoginTransactions } from "./sqlite-login-transactions.ts";
import { openSqliteFile } from "./sqlite-open.ts";

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
  readonly journal: ReplyJournal;
}

/**
 * Opens a store in a SQLite file, which several processes may share. Throws LatchkeyError `configuration_invalid` when the
 * file or the sealing keys cannot be used, and `store_unavailable`; nothing is lost then.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<OpenedSqliteStore> {
  const { file, keys, clock, logger, audit } = options;
  const db = new SqliteDatabase(openSqliteFile(file, clock), clock);
  try {
    // The key is made before the first record that needs it, so that another process finds both or neither.
    const ring = keyRingFor(file, keys, await hasIndexKey(db));
    const hashes = new IndexHashes(await loadIndexKey(db, ring, file));
    const sealer = new Sealer(ring);
    const quarantine = new Quarantine(logger, audit);
    const changes = new ChangeFeed(db, { clock, logger, writer: randomBytes(9).toString("base64url") });
    const journal = await LocalReplyJournal.open({ directory: `${file}.replies`, keeps: "when_refused", sealer, logger, audit });
    const now = (): number => clock.now();
    const sealed = new SealedLoginSessions(sealer, hashes, quarantine);
    return {
      store: {
        loginSessions: new SqliteLoginSessions({ db, sealed, hashes, quarantine, changes, now }),
        connectionKeys: new SqliteConnectionKeys(db, hashes, quarantine),
        browserSessions: new SqliteBrowserSessions(db, hashes, quarantine, now),
        loginTransactions: new SqliteLoginTransactions(db, sealer, quarantine, now),
        importIntents: new SqliteImportIntents(db, now),
        close: async () => {
          changes.close();
          await journal.close();
          await db.close();
        },
      },
      refreshTokenKey: hashes.refreshTokenKey,
      journal,
    };
  } catch (error) {
    await db.close();
    throw error;
  }
}
