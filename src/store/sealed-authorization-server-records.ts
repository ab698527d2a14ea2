import type { AuthorizationServerRecord } from "../session/authorization-server-record.ts";
import type { IndexHashes } from "./index-hashes.ts";
import type { Quarantine } from "./quarantine.ts";
import type { SealContext, Sealer } from "./sealer.ts";

/** A record of Latchkey's authorization server as it is stored: hashes to find it by, everything else sealed. */
export interface StoredAuthorizationServerRecord {
  /** Of kind and id. */
  readonly idHash: string;
  readonly grantHash: string | undefined;
  /** Of kind and uid. */
  readonly uidHash: string | undefined;
  /** Of kind and user code. */
  readonly userCodeHash: string | undefined;
  readonly expiresAt: number | undefined;
  /** It is set without unsealing: what was sealed says nothing of it. */
  readonly consumedAt: number | undefined;
  readonly sealed: string;
}

/** Turns records of Latchkey's authorization server into stored ones and back. */
export class SealedAuthorizationServerRecords {
  readonly #sealer: Sealer;
  readonly #hashes: IndexHashes;
  readonly #quarantine: Quarantine;

  constructor(sealer: Sealer, hashes: IndexHashes, quarantine: Quarantine) {
    this.#sealer = sealer;
    this.#hashes = hashes;
    this.#quarantine = quarantine;
  }

  async seal(record: AuthorizationServerRecord): Promise<StoredAuthorizationServerRecord> {
    const { kind, id, grantId, uid, userCode, expiresAt, consumedAt } = record;
    const idHash = this.idHash(kind, id);
    const sealed = await this.#sealer.seal(contextOf(idHash), JSON.stringify({ ...record, consumedAt: undefined }));
    return {
      idHash,
      grantHash: grantId === undefined ? undefined : this.grantHash(grantId),
      uidHash: uid === undefined ? undefined : this.uidHash(kind, uid),
      userCodeHash: userCode === undefined ? undefined : this.userCodeHash(kind, userCode),
      expiresAt,
      consumedAt,
      sealed,
    };
  }

  /** Undefined: it has expired at `now`, or cannot be read, which is reported. */
  async unseal(stored: StoredAuthorizationServerRecord, now: number): Promise<AuthorizationServerRecord | undefined> {
    if (stored.expiresAt !== undefined && stored.expiresAt <= now) return undefined;
    const unsealed = await this.#sealer.unseal(contextOf(stored.idHash), stored.sealed);
    const record = unsealed.kind === "text" ? parse(unsealed.text) : undefined;
    if (record === undefined || this.idHash(record.kind, record.id) !== stored.idHash) {
      this.#quarantine.reportRow("authorization_server_records");
      return undefined;
    }
    // The column decides when it is dropped, what was sealed whether it is honoured.
    if (record.expiresAt !== undefined && record.expiresAt <= now) return undefined;
    return { ...record, ...(stored.consumedAt === undefined ? {} : { consumedAt: stored.consumedAt }) };
  }

  /** Sealed with the active key; undefined: it cannot be read. */
  async reseal(idHash: string, sealed: string): Promise<string | undefined> {
    const unsealed = await this.#sealer.unseal(contextOf(idHash), sealed);
    return unsealed.kind === "text" ? this.#sealer.seal(contextOf(idHash), unsealed.text) : undefined;
  }

  idHash(kind: string, id: string): string {
    return this.#hashes.authorizationServerRecord("id", kind, id);
  }

  uidHash(kind: string, uid: string): string {
    return this.#hashes.authorizationServerRecord("uid", kind, uid);
  }

  userCodeHash(kind: string, userCode: string): string {
    return this.#hashes.authorizationServerRecord("user code", kind, userCode);
  }

  grantHash(grantId: string): string {
    return this.#hashes.authorizationServerRecord("grant", "", grantId);
  }
}

function contextOf(idHash: string): SealContext {
  return { kind: "authorization_server_record", id: idHash, generation: 0, version: 0 };
}

function parse(text: string): AuthorizationServerRecord | undefined {
  const value: unknown = JSON.parse(text);
  return typeof value === "object" && value !== null && "kind" in value && "content" in value
    ? (value as AuthorizationServerRecord)
    : undefined;
}
