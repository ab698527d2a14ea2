import { randomBytes } from "node:crypto";
import type { ClientConfig } from "pg";
import type { Audit } from "../../audit/audit.ts";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import { ChangeFeed } from "../change-feed.ts";
import { ensureIncarnation } from "../incarnation.ts";
import { KeyRing, type SealingKeys } from "../key-ring.ts";
import { LocalReplyJournal } from "../local-reply-journal.ts";
import type { OpenedSharedStore } from "../opened-shared-store.ts";
import { openSealedRecords, type SealedRecords } from "../sealed-records.ts";
import { StoreClock } from "../store-clock.ts";
import { connectionSettings, placeOf } from "./postgres-address.ts";
import { PostgresAdministration } from "./postgres-administration.ts";
import { PostgresAuthorizationServerRecords } from "./postgres-authorization-server-records.ts";
import { PostgresBrowserSessions } from "./postgres-browser-sessions.ts";
import { PostgresChanges } from "./postgres-changes.ts";
import { PostgresConnectionKeys } from "./postgres-connection-keys.ts";
import { PostgresDatabase } from "./postgres-database.ts";
import { openingError } from "./postgres-errors.ts";
import { PostgresIdentity } from "./postgres-identity.ts";
import { PostgresImportIntents } from "./postgres-import-intents.ts";
import { channelOf, PostgresListener } from "./postgres-listener.ts";
import { PostgresLoginSessions } from "./postgres-login-sessions.ts";
import { PostgresLoginTransactions } from "./postgres-login-transactions.ts";
import { PostgresMeta } from "./postgres-meta.ts";
import { PostgresPace } from "./postgres-pace.ts";
import { PostgresReplicas } from "./postgres-replicas.ts";
import { prepareSchema } from "./postgres-schema.ts";
import { PostgresSweep } from "./postgres-sweep.ts";
import { PostgresUsedIds } from "./postgres-used-ids.ts";

/** How often it looks for what other processes have written, and at the server's clock. */
const pollMs = 500;
/** So often at most a process wakes the others, or is woken. */
const wakeMs = 50;
/** So often the server's clock is read before anything depends on it. */
const firstReadings = 4;

export interface PostgresStoreOptions {
  /** `postgres://…`. Secret: it may hold a password. */
  readonly url: string;
  /** Made if it is missing. */
  readonly schema: string;
  readonly maxConnections: number;
  /** The sealing keys, the active one first: the same in each process that opens the store. */
  readonly keys: SealingKeys;
  /** Absolute path of the journal's folder on this machine. It is made if it is missing. */
  readonly journalDirectory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
  /** False: others are not woken, and nothing is listened to; changes are found by looking. Default: true. */
  readonly notify?: boolean | undefined;
}

interface OpenedDatabase {
  readonly db: PostgresDatabase;
  readonly connection: ClientConfig;
  readonly records: SealedRecords;
  readonly journal: LocalReplyJournal;
  readonly clock: StoreClock;
  readonly changes: PostgresChanges;
}

/**
 * Opens a store in a PostgreSQL database, which many machines may share. Throws LatchkeyError `configuration_invalid` when the address, the
 * schema, a permission or the sealing keys are not right, and `store_unavailable` when the server cannot be reached; nothing is lost then.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<OpenedSharedStore> {
  const connection = connectionSettings(options.url);
  const db = new PostgresDatabase({ ...options, connection });
  try {
    return startStore(await openDatabase(db, connection, options), options);
  } catch (error) {
    await db.close();
    throw openingError(error, placeOf(connection, options.schema));
  }
}

async function openDatabase(db: PostgresDatabase, connection: ClientConfig, options: PostgresStoreOptions): Promise<OpenedDatabase> {
  const { schema, keys, journalDirectory, logger, audit } = options;
  await prepareSchema(db, schema);
  const meta = new PostgresMeta(db);
  const records = await openSealedRecords(meta, new KeyRing(keys), `The schema ${schema} of store.url`, options);
  await ensureIncarnation(meta);
  const clock = new StoreClock(options.clock);
  const identity = new PostgresIdentity(db, clock);
  db.onConnected = () => identity.stale();
  const changes = new PostgresChanges(db, clock, identity, randomBytes(9).toString("base64url"));
  for (let reading = 0; reading < firstReadings; reading += 1) await changes.news();
  const journal = await LocalReplyJournal.open({ directory: journalDirectory, keeps: "always", sealer: records.sealer, logger, audit });
  return { db, connection, records, journal, clock, changes };
}

/** Nothing in here waits: what it starts is stopped by closing the store. */
function startStore(opened: OpenedDatabase, { schema, logger, notify = true }: PostgresStoreOptions): OpenedSharedStore {
  const { db, connection, records, journal, clock, changes } = opened;
  const feed = new ChangeFeed({ news: () => changes.news(), pollMs, clock, logger });
  // It looks whether anybody listens or not: the time and the incarnation come with it.
  feed.subscribe(() => {});
  const channel = channelOf(schema);
  const wakeOthers = new PostgresPace(clock, wakeMs, () => {
    db.run("SELECT pg_notify($1, $2)", channel, changes.writer).catch((error: unknown) =>
      logger.debug("Other processes could not be woken; they look by themselves.", { error }),
    );
  });
  const beWoken = new PostgresPace(clock, wakeMs, () => feed.wake());
  const listener = notify
    ? new PostgresListener({ connection, channel, onNews: () => beWoken.ask(), writer: changes.writer, clock, logger })
    : undefined;
  const sweep = new PostgresSweep(db, clock, logger);
  return {
    store: {
      loginSessions: new PostgresLoginSessions({
        db,
        records,
        changes,
        feed,
        notify: () => void (notify && wakeOthers.ask()),
        now: () => clock.now(),
      }),
      connectionKeys: new PostgresConnectionKeys(db, records.connectionKeys),
      browserSessions: new PostgresBrowserSessions(db, records.browserSessions),
      loginTransactions: new PostgresLoginTransactions(db, records.loginTransactions),
      importIntents: new PostgresImportIntents(db),
      usedIds: new PostgresUsedIds(db, records.hashes),
      replicas: new PostgresReplicas(db),
      authorizationServerRecords: new PostgresAuthorizationServerRecords(db, records.authorizationServerRecords, records.sealer),
      administration: new PostgresAdministration(db, records),
      incarnation: () => changes.incarnation,
      close: async () => {
        feed.close();
        sweep.stop();
        wakeOthers.stop();
        beWoken.stop();
        listener?.close();
        await journal.close();
        await db.close();
      },
    },
    refreshTokenKey: records.hashes.refreshTokenKey,
    journal,
    clock,
  };
}
