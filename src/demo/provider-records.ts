import type { AdapterPayload } from "oidc-provider";
import type { Clock } from "../clock.ts";
import type { StoredRecord } from "./state-file.ts";
import type { TokenOwner } from "./token-events.ts";

export interface KnownRefreshToken extends TokenOwner {
  /** It was exchanged for a newer one. */
  readonly consumed: boolean;
}

export type Consumption = "consumed" | "consumed_before" | "unknown";

interface LiveRecord {
  readonly model: string;
  readonly id: string;
  readonly payload: AdapterPayload;
  expiresAt: number;
}

const sweepEveryMs = 30_000;
/** Grants and sessions live as long as the newest token of their login, and this long at the least. */
const shortestGrantLifeMs = 3_600_000;

/**
 * The records behind oidc-provider: grants, tokens, codes, sessions, by model and id, with the time after which each is
 * dropped. It knows refresh tokens again that are gone, until they would have expired, so that reuse is always told.
 * Values that come in and go out are copies. Everything is synchronous: nothing can come between a look and a change.
 */
export class ProviderRecords {
  readonly #clock: Clock;
  readonly #changed: () => void;
  readonly #records = new Map<string, LiveRecord>();
  /** Keys of the records of each grant, the grant's own among them. */
  readonly #byGrant = new Map<string, Set<string>>();
  /** The newest generation of each live grant that tokens were issued for. */
  readonly #newest = new Map<string, TokenOwner>();
  readonly #gone = new Map<string, KnownRefreshToken & { readonly expiresAt: number }>();
  #ended: TokenOwner[] = [];
  #sweepAt = 0;

  constructor(clock: Clock, changed: () => void, saved: readonly StoredRecord[] = []) {
    this.#clock = clock;
    this.#changed = changed;
    for (const record of saved) this.#put({ ...record, payload: structuredClone(record.payload) });
    this.#sweep();
  }

  upsert(model: string, id: string, payload: AdapterPayload, lifetimeSeconds: number): void {
    const now = this.#clock.now();
    if (now >= this.#sweepAt) this.#sweep();
    const followsTokens = model === "Grant" || model === "Session";
    const expiresAt = now + (followsTokens ? shortestGrantLifeMs : lifetimeSeconds * 1000);
    this.#put({ model, id, payload: structuredClone(payload), expiresAt });
    this.#changed();
  }

  find(model: string, id: string): AdapterPayload | undefined {
    const record = this.#live(keyOf(model, id));
    return record && structuredClone(record.payload);
  }

  /** The first live record of the model that `matches`. Looks at all of them: for rare questions. */
  findWhere(model: string, matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined {
    for (const [key, record] of this.#records) {
      if (record.model === model && matches(record.payload) && this.#live(key)) return structuredClone(record.payload);
    }
    return undefined;
  }

  /** Marks a record as used: a compare-and-set, of which exactly one caller gets "consumed". */
  consume(model: string, id: string): Consumption {
    const record = this.#live(keyOf(model, id));
    if (record === undefined) return "unknown";
    if (record.payload.consumed) return "consumed_before";
    record.payload.consumed = Math.floor(this.#clock.now() / 1000);
    this.#changed();
    return "consumed";
  }

  destroy(model: string, id: string): void {
    this.#remove(keyOf(model, id));
    this.#changed();
  }

  revokeByGrant(model: string, grantId: string): void {
    for (const key of [...(this.#byGrant.get(grantId) ?? [])]) {
      if (this.#records.get(key)?.model === model) this.#remove(key);
    }
    this.#changed();
  }

  /** Ends a grant with all that hangs on it. The first end of a grant that tokens were issued for is told by `takeEnded`. */
  endGrant(grantId: string): void {
    const owner = this.#newest.get(grantId);
    if (owner !== undefined && this.#live(keyOf("Grant", grantId)) !== undefined) this.#ended.push(owner);
    for (const key of [...(this.#byGrant.get(grantId) ?? [])]) this.#remove(key);
    this.#newest.delete(grantId);
    this.#changed();
  }

  /** The grants that ended since the last call. */
  takeEnded(): readonly TokenOwner[] {
    const ended = this.#ended;
    this.#ended = [];
    return ended;
  }

  /** Whose refresh token this is or was, until it would have expired. */
  refreshToken(value: string): KnownRefreshToken | undefined {
    const live = this.#live(keyOf("RefreshToken", value));
    return live === undefined ? this.#gone.get(value) : describe(live.payload);
  }

  snapshot(): readonly StoredRecord[] {
    this.#sweep();
    return [...this.#records.values()];
  }

  #put(record: LiveRecord): void {
    const key = keyOf(record.model, record.id);
    this.#records.set(key, record);
    const grantIds = grantsOf(record);
    for (const grantId of grantIds) {
      const keys = this.#byGrant.get(grantId) ?? new Set();
      this.#byGrant.set(grantId, keys.add(key));
      this.#alignExpiry(keys);
    }
    if (record.model !== "RefreshToken") return;
    const owner = describe(record.payload);
    const newest = owner && this.#newest.get(owner.grantId);
    if (owner !== undefined && (newest === undefined || newest.generation < owner.generation)) this.#newest.set(owner.grantId, owner);
  }

  /** A grant and its session outlive each token of the login, and are dropped with the last one. */
  #alignExpiry(keys: ReadonlySet<string>): void {
    const members = [...keys].flatMap((key) => this.#records.get(key) ?? []);
    const last = Math.max(...members.map((member) => member.expiresAt));
    for (const member of members) if (member.model === "Grant" || member.model === "Session") member.expiresAt = last;
  }

  #live(key: string): LiveRecord | undefined {
    const record = this.#records.get(key);
    if (record === undefined || record.expiresAt > this.#clock.now()) return record;
    this.#remove(key);
    return undefined;
  }

  #remove(key: string): void {
    const record = this.#records.get(key);
    if (record === undefined) return;
    this.#records.delete(key);
    for (const grantId of grantsOf(record)) {
      const keys = this.#byGrant.get(grantId);
      keys?.delete(key);
      if (keys?.size === 0) this.#byGrant.delete(grantId);
    }
    const known = record.model === "RefreshToken" ? describe(record.payload) : undefined;
    if (known !== undefined && record.expiresAt > this.#clock.now()) this.#gone.set(record.id, { ...known, expiresAt: record.expiresAt });
  }

  #sweep(): void {
    const now = this.#clock.now();
    this.#sweepAt = now + sweepEveryMs;
    for (const key of [...this.#records.keys()]) this.#live(key);
    for (const [token, { expiresAt }] of this.#gone) if (expiresAt <= now) this.#gone.delete(token);
    for (const grantId of this.#newest.keys()) if (!this.#records.has(keyOf("Grant", grantId))) this.#newest.delete(grantId);
  }
}

function keyOf(model: string, id: string): string {
  return `${model}:${id}`;
}

/** The grants that a record hangs on. Interactions name one before anybody signed in; they do not count. */
function grantsOf(record: LiveRecord): readonly string[] {
  if (record.model === "Grant") return [record.id];
  if (record.model === "Session") return Object.values(record.payload.authorizations ?? {}).flatMap(({ grantId }) => grantId ?? []);
  if (record.model === "Interaction" || record.payload.grantId === undefined) return [];
  return [record.payload.grantId];
}

function describe(payload: AdapterPayload): KnownRefreshToken | undefined {
  const { grantId, accountId, rotations = 0 } = payload;
  if (grantId === undefined || accountId === undefined) return undefined;
  return { grantId, user: accountId, generation: rotations + 1, consumed: Boolean(payload.consumed) };
}
