import type { ConnectionKeyRecord } from "../session/connection-key.ts";
import type { IndexHashes } from "./index-hashes.ts";
import type { Quarantine } from "./quarantine.ts";

const table = "connection_keys";

/** Guards rows of connection keys, which hold only hashes and are not sealed: one that was exchanged from outside is not used (B14). */
export class ConnectionKeyRows {
  readonly #hashes: IndexHashes;
  readonly #quarantine: Quarantine;

  constructor(hashes: IndexHashes, quarantine: Quarantine) {
    this.#hashes = hashes;
    this.#quarantine = quarantine;
  }

  /** What stands beside the row. */
  mac(key: ConnectionKeyRecord): string {
    return this.#hashes.rowMac(table, valuesOf(key));
  }

  /** The key as it was written; undefined: it was changed, which is reported. */
  check(key: ConnectionKeyRecord, mac: string): ConnectionKeyRecord | undefined {
    if (this.#hashes.isRow(table, valuesOf(key), mac)) return key;
    this.#quarantine.reportRow(table);
    return undefined;
  }
}

function valuesOf({ hash, id, loginSessionId, name, createdAt, expiresAt }: ConnectionKeyRecord): readonly unknown[] {
  return [hash, id, loginSessionId, name, createdAt, expiresAt ?? null];
}
