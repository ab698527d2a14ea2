import { randomBytes } from "node:crypto";
import type { Audit } from "../../audit/audit.ts";
import type { Clock } from "../../clock.ts";
import { LatchkeyError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { ChangeFeed } from "../change-feed.ts";
import { KeyRing, type SealingKey } from "../key-ring.ts";
import { LocalReplyJournal } from "../local-reply-journal.ts";
import type { OpenedSharedStore } from "../opened-shared-store.ts";
import { openSealedRecords } from "../sealed-records.ts";
import { StoreClock } from "../store-clock.ts";
import { placeOf, redisAddress } from "./redis-address.ts";
import { RedisAdministration } from "./redis-administration.ts";
import { RedisAuthorizationServerRecords } from "./redis-authorization-server-records.ts";
import { RedisBrowserSessions } from "./redis-browser-sessions.ts";
import { RedisChanges } from "./redis-changes.ts";
import { RedisConnectionKeys } from "./redis-connection-keys.ts";
import { RedisDatabase } from "./redis-database.ts";
import { RedisExpiringRows } from "./redis-expiring-rows.ts";
import { RedisImportIntents } from "./redis-import-intents.ts";
import { KnownIds } from "./redis-known-ids.ts";
import { changesChannel, RedisLoginSessions } from "./redis-login-sessions.ts";
import { RedisLoginTransactions } from "./redis-login-transactions.ts";
import { markStore } from "./redis-mark.ts";
import { RedisMeta } from "./redis-meta.ts";
import { connectRedis } from "./redis-open.ts";
import { warnOfPersistence } from "./redis-persistence.ts";
import { openingProblem } from "./redis-problems.ts";
import { RedisReplicas } from "./redis-replicas.ts";
import { RedisUsedIds } from "./redis-used-ids.ts";
import { RedisWakeups } from "./redis-wakeups.ts";

/** How often it looks for what other processes have written, should nobody have told. */
const pollMs = 500;

export interface RedisStoreOptions {
  /** redis:// or rediss://, with user, password and database. A secret. */
  readonly url: string;
  /** The URL names one node of a cluster. */
  readonly cluster: boolean;
  /** All keys are `{keyPrefix}:…`. */
  readonly keyPrefix: string;
  /** The active one first. */
  readonly keys: readonly [SealingKey, ...SealingKey[]];
  /** Absolute path of the folder for replies that the store does not have yet. */
  readonly journalDirectory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
}

/**
 * Opens a store in Redis or Valkey, which processes on many machines may share. Throws LatchkeyError `configuration_invalid` when the
 * server, the keys or the folder cannot be used as they are, and `store_unavailable` when the server cannot be reached; nothing is lost then.
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<OpenedSharedStore> {
  const { url, cluster, keyPrefix, keys, clock: local, logger, audit } = options;
  const address = redisAddress(url, cluster);
  const connection = await connectRedis({ address, cluster, clock: local, logger });
  const db = new RedisDatabase({ connection, keyPrefix, clock: local });
  const closing: (() => void | Promise<void>)[] = [() => db.close()];
  const close = async (): Promise<void> => {
    for (const each of [...closing].reverse()) await each();
  };
  try {
    const meta = new RedisMeta(db);
    const ring = new KeyRing(keys);
    const where = `the store in Redis at ${placeOf(address)}`;
    const records = await openSealedRecords(meta, ring, where, options);
    await markStore({ db, meta, ring, where, records, logger });
    await warnOfPersistence(connection, logger);
    const clock = new StoreClock(local);
    const now = (): number => clock.now();
    const writer = randomBytes(9).toString("base64url");
    const known = new KnownIds();
    const changes = await RedisChanges.open({ db, known, clock, writer, logger, audit });
    const feed = new ChangeFeed({ news: () => changes.news(), pollMs, clock: local, logger });
    closing.push(() => feed.close());
    const journal = await LocalReplyJournal.open({
      directory: options.journalDirectory,
      keeps: "always",
      sealer: records.sealer,
      logger,
      audit,
    });
    closing.push(() => journal.close());
    const channel = db.key(changesChannel);
    const wakeups = new RedisWakeups({ address, cluster, channel, writer, wake: () => feed.wake(), clock: local, logger });
    closing.push(() => wakeups.close());
    const browserSessions = new RedisExpiringRows(db, "browser-sessions");
    const loginTransactions = new RedisExpiringRows(db, "login-transactions");
    const importIntents = new RedisExpiringRows(db, "import-intents");
    const usedIds = new RedisExpiringRows(db, "used-ids");
    const expiring = [browserSessions, loginTransactions, importIntents, usedIds] as const;
    return {
      store: {
        loginSessions: new RedisLoginSessions({ db, records, feed, known, writer, now }),
        connectionKeys: new RedisConnectionKeys(db, records.connectionKeys),
        browserSessions: new RedisBrowserSessions(browserSessions, records.browserSessions),
        loginTransactions: new RedisLoginTransactions(loginTransactions, records.loginTransactions),
        importIntents: new RedisImportIntents(importIntents),
        usedIds: new RedisUsedIds(usedIds, records.hashes),
        replicas: new RedisReplicas(db),
        authorizationServerRecords: new RedisAuthorizationServerRecords(db, records, now),
        administration: new RedisAdministration({ db, meta, records, expiring }),
        incarnation: () => changes.incarnation,
        close,
      },
      refreshTokenKey: records.hashes.refreshTokenKey,
      journal,
      clock,
    };
  } catch (error) {
    await close();
    // Only what the server said needs other words than at runtime.
    const answer = error instanceof LatchkeyError && error.code !== "configuration_invalid" ? error.cause : undefined;
    throw answer === undefined ? error : openingProblem(answer, address);
  }
}
