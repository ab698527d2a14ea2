import type { LocalProfile } from "../session/local-profile.ts";
import type { IndexHashes } from "./index-hashes.ts";
import type { Quarantine } from "./quarantine.ts";

const table = "profiles";

/** Guards rows of profiles, which name people but hold no secret and are not sealed: one that was changed from outside is not used (B14). */
export class ProfileRows {
  readonly #hashes: IndexHashes;
  readonly #quarantine: Quarantine;

  constructor(hashes: IndexHashes, quarantine: Quarantine) {
    this.#hashes = hashes;
    this.#quarantine = quarantine;
  }

  /** What stands beside the row. */
  mac(profile: LocalProfile): string {
    return this.#hashes.rowMac(table, valuesOf(profile));
  }

  /** The profile as it was written; undefined: it was changed, which is reported. */
  check(profile: LocalProfile, mac: string): LocalProfile | undefined {
    if (this.#hashes.isRow(table, valuesOf(profile), mac)) return profile;
    this.#quarantine.reportRow(table);
    return undefined;
  }
}

function valuesOf({ name, loginSessionId, principal }: LocalProfile): readonly unknown[] {
  return [name, loginSessionId, principal.issuer, principal.subject, principal.clientId];
}
