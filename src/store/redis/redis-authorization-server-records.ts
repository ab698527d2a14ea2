import type { AuthorizationServerRecord } from "../../session/authorization-server-record.ts";
import type { AuthorizationServerRecordStore } from "../../session/store.ts";
import type { SealedAuthorizationServerRecords, StoredAuthorizationServerRecord } from "../sealed-authorization-server-records.ts";
import type { SealedRecords } from "../sealed-records.ts";
import {
  authorizationServerKeys,
  consumeRecord,
  getRecord,
  getRecordByName,
  putRecord,
  removeRecord,
  removeRecordsOfGrant,
} from "./redis-authorization-server-scripts.ts";
import type { RedisDatabase } from "./redis-database.ts";
import type { RedisScript } from "./redis-script.ts";
import { mustInteger, orUndefined, textOf, textsOf } from "./redis-values.ts";

/** The state of Latchkey's authorization server, in Redis. */
export class RedisAuthorizationServerRecords implements AuthorizationServerRecordStore {
  readonly #db: RedisDatabase;
  readonly #records: SealedRecords;
  readonly #sealed: SealedAuthorizationServerRecords;
  readonly #now: () => number;

  /** `now` gives milliseconds since the epoch: what has expired is dropped while the store is used. */
  constructor(db: RedisDatabase, records: SealedRecords, now: () => number) {
    this.#db = db;
    this.#records = records;
    this.#sealed = records.authorizationServerRecords;
    this.#now = now;
  }

  async put(record: AuthorizationServerRecord): Promise<void> {
    const stored = await this.#sealed.seal(record);
    await this.#run(putRecord, stored.idHash, rowOf(stored, this.#records.sealer.keyId(stored.sealed)), this.#now());
  }

  async get(kind: string, id: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    const idHash = this.#sealed.idHash(kind, id);
    const row = textOf(await this.#run(getRecord, idHash));
    return row === undefined ? undefined : this.#sealed.unseal(toStoredRecord(idHash, row), now);
  }

  async getByUid(kind: string, uid: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    const record = await this.#find(this.#sealed.uidHash(kind, uid), now);
    return record === undefined || (record.kind === kind && record.uid === uid) ? record : this.#misled();
  }

  async getByUserCode(kind: string, userCode: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    const record = await this.#find(this.#sealed.userCodeHash(kind, userCode), now);
    return record === undefined || (record.kind === kind && record.userCode === userCode) ? record : this.#misled();
  }

  async consume(kind: string, id: string, now: number): Promise<boolean> {
    return mustInteger(await this.#run(consumeRecord, this.#sealed.idHash(kind, id), now)) === 1;
  }

  async remove(kind: string, id: string): Promise<void> {
    await this.#run(removeRecord, this.#sealed.idHash(kind, id));
  }

  async removeByGrant(grantId: string): Promise<void> {
    await this.#run(removeRecordsOfGrant, this.#sealed.grantHash(grantId));
  }

  async #find(nameHash: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    const [idHash, row] = textsOf(await this.#run(getRecordByName, nameHash));
    return idHash === undefined || row === undefined ? undefined : this.#sealed.unseal(toStoredRecord(idHash, row), now);
  }

  /** The index was changed from outside (B14). */
  #misled(): undefined {
    this.#records.quarantine.reportRow("authorization-server-names");
    return undefined;
  }

  #run(script: RedisScript, ...args: readonly (string | number)[]): Promise<unknown> {
    return this.#db.run(script, authorizationServerKeys, args);
  }
}

function rowOf(stored: StoredAuthorizationServerRecord, keyId: string | undefined): string {
  const { expiresAt = "", consumedAt = "", grantHash = "", uidHash = "", userCodeHash = "", sealed } = stored;
  return [expiresAt, consumedAt, grantHash, uidHash, userCodeHash, keyId ?? "", sealed].join(" ");
}

/** A row as it stands in Redis. What somebody else has written there does not unseal. */
export function toStoredRecord(idHash: string, row: string): StoredAuthorizationServerRecord {
  const [expiresAt, consumedAt, grantHash, uidHash, userCodeHash, , sealed = ""] = row.split(" ").map(orUndefined);
  return {
    ...{ idHash, grantHash, uidHash, userCodeHash, sealed },
    expiresAt: expiresAt === undefined ? undefined : Number(expiresAt),
    consumedAt: consumedAt === undefined ? undefined : Number(consumedAt),
  };
}
