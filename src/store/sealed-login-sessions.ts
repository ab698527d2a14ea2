import type { LoginSession, LoginSessionId } from "../session/login-session.ts";
import type { IndexHashes } from "./index-hashes.ts";
import type { Quarantine } from "./quarantine.ts";
import type { SealContext, Sealer } from "./sealer.ts";

/** A login session as it is stored: what is searched by, and all of it, sealed. */
export interface StoredLoginSession {
  readonly id: string;
  readonly handle: string;
  readonly userHash: string;
  readonly refreshHash: string | undefined;
  readonly consumedHash: string | undefined;
  readonly importedHash: string | undefined;
  /** Undefined: it has no `sid`, or a version that kept none here wrote it. */
  readonly sidHash: string | undefined;
  readonly version: number;
  readonly generation: number;
  readonly state: string;
  readonly createdAt: number;
  readonly sealed: string;
}

/** So many records that were read or written last are kept in the clear, so that reading one again needs no unsealing. */
const mostKept = 2_000;

interface Kept {
  readonly stored: StoredLoginSession;
  readonly record: LoginSession;
}

/** Turns login sessions into stored ones and back. One that cannot be read goes into quarantine and counts as absent. */
export class SealedLoginSessions {
  readonly #sealer: Sealer;
  readonly #hashes: IndexHashes;
  readonly #quarantine: Quarantine;
  readonly #kept = new Map<string, Kept>();

  constructor(sealer: Sealer, hashes: IndexHashes, quarantine: Quarantine) {
    this.#sealer = sealer;
    this.#hashes = hashes;
    this.#quarantine = quarantine;
  }

  async seal(record: LoginSession): Promise<StoredLoginSession> {
    const sealed = await this.#sealer.seal(contextOf(record), JSON.stringify(record));
    return { ...this.#columns(record), sealed };
  }

  /** Undefined: it cannot be read, and that was reported. */
  async unseal(stored: StoredLoginSession): Promise<LoginSession | undefined> {
    const kept = this.#kept.get(stored.id);
    if (kept !== undefined && isSame(kept.stored, stored)) return kept.record;
    if (this.#quarantine.knows(stored.id, fingerprint(stored))) return undefined;
    const unsealed = await this.#sealer.unseal(contextOf(stored), stored.sealed);
    if (unsealed.kind === "unreadable") return this.#refuse(stored, unsealed.problem);
    const record = parse(unsealed.text);
    if (record === undefined) return this.#refuse(stored, "is no login session");
    const columns = this.#columns(record);
    // A row that an older version wrote has no sid yet; its next commit brings it.
    const sidHash = stored.sidHash === undefined ? undefined : columns.sidHash;
    if (!isSame({ ...columns, sidHash, sealed: stored.sealed }, stored)) return this.#refuse(stored, "does not agree with its columns");
    this.#quarantine.clear(stored.id);
    this.keep(stored, record);
    return Object.freeze(record);
  }

  /** Sealed with the active key; undefined: it cannot be read. */
  async reseal(stored: StoredLoginSession): Promise<string | undefined> {
    const unsealed = await this.#sealer.unseal(contextOf(stored), stored.sealed);
    return unsealed.kind === "text" ? this.#sealer.seal(contextOf(stored), unsealed.text) : undefined;
  }

  /** Remembers what was written. */
  keep(stored: StoredLoginSession, record: LoginSession): void {
    this.#kept.delete(stored.id);
    this.#kept.set(stored.id, { stored, record: Object.freeze(record) });
    if (this.#kept.size <= mostKept) return;
    // The one that was touched longest ago stands first.
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#kept.delete(oldest);
  }

  forget(id: LoginSessionId): void {
    this.#kept.delete(id);
    this.#quarantine.clear(id);
  }

  /** How many records are kept in the clear. */
  get size(): number {
    return this.#kept.size;
  }

  #refuse(stored: StoredLoginSession, problem: string): undefined {
    this.#kept.delete(stored.id);
    this.#quarantine.add(stored.id, stored.handle, fingerprint(stored), problem);
    return undefined;
  }

  #columns(record: LoginSession): Omit<StoredLoginSession, "sealed"> {
    return {
      id: record.id,
      handle: record.handle,
      userHash: this.#hashes.user(record.principal.issuer, record.principal.subject),
      refreshHash: record.refreshTokenHash,
      consumedHash: record.consumedRefreshTokenHash,
      importedHash: record.importedRefreshTokenHash,
      sidHash: record.principal.sid === undefined ? undefined : this.#hashes.sid(record.principal.issuer, record.principal.sid),
      version: record.version,
      generation: record.generation,
      state: record.state,
      createdAt: record.createdAt,
    };
  }
}

function contextOf({ id, generation, version }: Pick<StoredLoginSession, "id" | "generation" | "version">): SealContext {
  return { kind: "login_session", id, generation, version };
}

function isSame(one: StoredLoginSession, other: StoredLoginSession): boolean {
  return (
    one.sealed === other.sealed &&
    one.version === other.version &&
    one.id === other.id &&
    one.handle === other.handle &&
    one.userHash === other.userHash &&
    one.refreshHash === other.refreshHash &&
    one.consumedHash === other.consumedHash &&
    one.importedHash === other.importedHash &&
    one.sidHash === other.sidHash &&
    one.generation === other.generation &&
    one.state === other.state &&
    one.createdAt === other.createdAt
  );
}

function fingerprint(stored: StoredLoginSession): string {
  return JSON.stringify(Object.values(stored));
}

/** What was sealed by us is what we wrote: only its outline is looked at. */
function parse(text: string): LoginSession | undefined {
  const value: unknown = JSON.parse(text);
  const isRecord = typeof value === "object" && value !== null && "id" in value && "principal" in value && "version" in value;
  return isRecord ? (value as LoginSession) : undefined;
}
