import type { BrowserSession } from "../session/browser-session.ts";
import type { IndexHashes } from "./index-hashes.ts";
import type { Quarantine } from "./quarantine.ts";

const table = "browser_sessions";

/** Guards rows of browser sessions, which hold only hashes and are not sealed: one that was changed from outside is not used (B14). */
export class BrowserSessionRows {
  readonly #hashes: IndexHashes;
  readonly #quarantine: Quarantine;

  constructor(hashes: IndexHashes, quarantine: Quarantine) {
    this.#hashes = hashes;
    this.#quarantine = quarantine;
  }

  /** What stands beside the row. */
  mac(session: BrowserSession): string {
    return this.#hashes.rowMac(table, valuesOf(session));
  }

  /** The browser session as it was written; undefined: it was changed, which is reported. */
  check(session: BrowserSession, mac: string): BrowserSession | undefined {
    if (this.#hashes.isRow(table, valuesOf(session), mac)) return session;
    this.#quarantine.reportRow(table);
    return undefined;
  }
}

/** Ids are base64url: none has a space. */
function valuesOf({ key, loginSessionIds, createdAt, expiresAt, madeBy, signedInAt }: BrowserSession): readonly unknown[] {
  return [key, loginSessionIds.join(" "), createdAt, expiresAt, madeBy, signedInAt];
}
