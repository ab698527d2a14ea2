import type { AuthorizationServerRecord } from "../../session/authorization-server-record.ts";
import type { AuthorizationServerRecordStore } from "../../session/store.ts";

/** So many records are looked at for expired ones when one is written: all of them, a part at a time. */
const sweptPerPut = 8;

/** The state of Latchkey's authorization server in this process's memory. */
export class MemoryAuthorizationServerRecords implements AuthorizationServerRecordStore {
  readonly #byId = new Map<string, AuthorizationServerRecord>();
  readonly #byName = new Map<string, string>();
  readonly #byGrant = new Map<string, Set<string>>();
  readonly #now: () => number;
  #sweep: Iterator<[string, AuthorizationServerRecord]> | undefined;

  /** `now` gives milliseconds since the epoch: what has expired is dropped while the store is used. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#byId.size + this.#byName.size + this.#byGrant.size;
  }

  async put(record: AuthorizationServerRecord): Promise<void> {
    this.#dropSomeExpired();
    const key = keyOf("id", record.kind, record.id);
    this.#remove(key);
    this.#byId.set(key, record);
    for (const name of namesOf(record)) this.#byName.set(name, key);
    if (record.grantId === undefined) return;
    const keys = this.#byGrant.get(record.grantId) ?? new Set();
    this.#byGrant.set(record.grantId, keys.add(key));
  }

  async get(kind: string, id: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    return this.#unexpired(keyOf("id", kind, id), now);
  }

  async getByUid(kind: string, uid: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    return this.#unexpired(this.#byName.get(keyOf("uid", kind, uid)), now);
  }

  async getByUserCode(kind: string, userCode: string, now: number): Promise<AuthorizationServerRecord | undefined> {
    return this.#unexpired(this.#byName.get(keyOf("user code", kind, userCode)), now);
  }

  async consume(kind: string, id: string, now: number): Promise<boolean> {
    const key = keyOf("id", kind, id);
    const record = this.#unexpired(key, now);
    if (record === undefined || record.consumedAt !== undefined) return false;
    this.#byId.set(key, { ...record, consumedAt: now });
    return true;
  }

  async remove(kind: string, id: string): Promise<void> {
    this.#remove(keyOf("id", kind, id));
  }

  async removeByGrant(grantId: string): Promise<void> {
    for (const key of [...(this.#byGrant.get(grantId) ?? [])]) this.#remove(key);
  }

  #unexpired(key: string | undefined, now: number): AuthorizationServerRecord | undefined {
    const record = key === undefined ? undefined : this.#byId.get(key);
    return record?.expiresAt !== undefined && record.expiresAt <= now ? undefined : record;
  }

  #remove(key: string): void {
    const record = this.#byId.get(key);
    if (record === undefined) return;
    this.#byId.delete(key);
    for (const name of namesOf(record)) if (this.#byName.get(name) === key) this.#byName.delete(name);
    if (record.grantId === undefined) return;
    const keys = this.#byGrant.get(record.grantId);
    keys?.delete(key);
    if (keys?.size === 0) this.#byGrant.delete(record.grantId);
  }

  #dropSomeExpired(): void {
    const now = this.#now();
    for (let looked = 0; looked < sweptPerPut; looked += 1) {
      this.#sweep ??= this.#byId.entries();
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        return;
      }
      const [key, { expiresAt }] = next.value;
      if (expiresAt !== undefined && expiresAt <= now) this.#remove(key);
    }
  }
}

function namesOf({ kind, uid, userCode }: AuthorizationServerRecord): readonly string[] {
  return [...(uid === undefined ? [] : [keyOf("uid", kind, uid)]), ...(userCode === undefined ? [] : [keyOf("user code", kind, userCode)])];
}

function keyOf(name: "id" | "uid" | "user code", kind: string, value: string): string {
  return JSON.stringify([name, kind, value]);
}
