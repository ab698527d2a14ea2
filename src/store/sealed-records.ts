import type { Audit } from "../audit/audit.ts";
import type { Logger } from "../logger.ts";
import { BrowserSessionRows } from "./browser-session-rows.ts";
import { ConnectionKeyRows } from "./connection-key-rows.ts";
import { IndexHashes } from "./index-hashes.ts";
import { loadIndexKey } from "./index-key.ts";
import type { KeyRing } from "./key-ring.ts";
import type { MetaValues } from "./meta-values.ts";
import { ProfileRows } from "./profile-rows.ts";
import { Quarantine } from "./quarantine.ts";
import { SealedAuthorizationServerRecords } from "./sealed-authorization-server-records.ts";
import { SealedLoginSessions } from "./sealed-login-sessions.ts";
import { SealedLoginTransactions } from "./sealed-login-transactions.ts";
import { Sealer } from "./sealer.ts";

/** What every store that outlives its processes does with records before it writes them and after it has read them. */
export interface SealedRecords {
  readonly sealer: Sealer;
  readonly hashes: IndexHashes;
  readonly quarantine: Quarantine;
  readonly loginSessions: SealedLoginSessions;
  readonly loginTransactions: SealedLoginTransactions;
  readonly connectionKeys: ConnectionKeyRows;
  readonly browserSessions: BrowserSessionRows;
  readonly profiles: ProfileRows;
  readonly authorizationServerRecords: SealedAuthorizationServerRecords;
}

/**
 * `where`: how the configuration names the store. Throws LatchkeyError `configuration_invalid` when the key ring does not have
 * the key that the store was sealed with.
 */
export async function openSealedRecords(
  meta: MetaValues,
  ring: KeyRing,
  where: string,
  { logger, audit }: { readonly logger: Logger; readonly audit: Audit },
): Promise<SealedRecords> {
  const hashes = new IndexHashes(await loadIndexKey(meta, ring, where));
  const sealer = new Sealer(ring);
  const quarantine = new Quarantine(logger, audit);
  return {
    sealer,
    hashes,
    quarantine,
    loginSessions: new SealedLoginSessions(sealer, hashes, quarantine),
    loginTransactions: new SealedLoginTransactions(sealer, quarantine),
    connectionKeys: new ConnectionKeyRows(hashes, quarantine),
    browserSessions: new BrowserSessionRows(hashes, quarantine),
    profiles: new ProfileRows(hashes, quarantine),
    authorizationServerRecords: new SealedAuthorizationServerRecords(sealer, hashes, quarantine),
  };
}
