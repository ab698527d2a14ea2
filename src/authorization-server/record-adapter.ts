import type { Adapter, AdapterPayload } from "oidc-provider";
import type { Clock } from "../clock.ts";
import type { AuthorizationServerRecord } from "../session/authorization-server-record.ts";
import type { AuthorizationServerRecordStore } from "../session/store.ts";

export interface RecordAdapterOptions {
  readonly records: AuthorizationServerRecordStore;
  readonly clock: Clock;
  /** A client that registered itself and that nobody consented to is forgotten after this time. */
  readonly unusedClientSeconds: number;
  /** How long the second presentation of a refresh token counts as the client's own, which lost the answer. */
  readonly graceMs: number;
  /** oidc-provider's error for a code that was used before. */
  readonly usedBefore: () => Error;
  /** A code or a refresh token was used a second time, or the client gave its grant back: ends the login session behind it. */
  readonly endLogin: (grantId: string) => Promise<void>;
}

/** Says of a grant that no token of it was fetched yet. */
export const unclaimedKind = "Unclaimed";

/** A refresh token was presented while, or shortly after, it was used: the answer to the first presentation is due. */
export class PresentedAgain extends Error {}

/**
 * oidc-provider's view of the store. A code and a refresh token are used once, whichever replica looks: its own way is
 * to look first and consume later, and of two requests in between both would win.
 */
export function createRecordAdapter(options: RecordAdapterOptions): (model: string) => Adapter {
  const { records, clock } = options;

  const endGrant = async (grantId: string): Promise<void> => {
    await options.endLogin(grantId);
    await records.removeByGrant(grantId);
  };

  /** A grant lives as long as its newest refresh token. */
  const extendGrant = async (grantId: string, expiresAt: number): Promise<void> => {
    const grant = await records.get("Grant", grantId, clock.now());
    if (grant !== undefined && (grant.expiresAt ?? 0) < expiresAt) await records.put({ ...grant, expiresAt });
  };

  return (model) => ({
    async upsert(id, payload, lifetimeSeconds) {
      // Each authorization is one of its own: there is no session at this authorization server to come back to.
      if (model === "Session") return;
      const seconds = lifetimeSeconds ?? options.unusedClientSeconds;
      const record = toRecord(model, id, payload, clock.now() + seconds * 1000);
      await records.put(record);
      if (model !== "RefreshToken" || record.grantId === undefined) return;
      await extendGrant(record.grantId, record.expiresAt ?? 0);
      // The first of its grant: the client has fetched it.
      if (payload.rotations === 0) await records.remove(unclaimedKind, record.grantId);
    },
    async find(id) {
      if (model === "Session") return undefined;
      const record = await records.get(model, id, clock.now());
      return record === undefined ? undefined : toPayload(record, clock.now() - options.graceMs);
    },
    async findByUid() {
      return undefined;
    },
    async findByUserCode() {
      return undefined;
    },
    async consume(id) {
      if (await records.consume(model, id, clock.now())) return;
      const record = await records.get(model, id, clock.now());
      if (model === "RefreshToken" && record !== undefined) throw new PresentedAgain();
      // RFC 6749, section 4.1.2: what came of the code ends too.
      if (record?.grantId !== undefined) await endGrant(record.grantId);
      throw options.usedBefore();
    },
    async destroy(id) {
      if (model === "Grant") await endGrant(id);
      else await records.remove(model, id);
    },
    // oidc-provider asks each kind by itself, and the grant beside them: the grant takes all of them along.
    async revokeByGrantId() {},
  });
}

function toRecord(model: string, id: string, payload: AdapterPayload, expiresAt: number): AuthorizationServerRecord {
  const grantId = model === "Grant" ? id : payload.grantId;
  return { kind: model, id, content: JSON.stringify(payload), expiresAt, ...(grantId === undefined ? {} : { grantId }) };
}

/** `graceSince`: what was consumed after that is shown as fresh; `consume` then tells the presentations apart. */
function toPayload({ kind, content, consumedAt }: AuthorizationServerRecord, graceSince: number): AdapterPayload {
  const payload = JSON.parse(content) as AdapterPayload;
  // How long a grant lasts is for its record to say: it is put off with each refresh.
  if (kind === "Grant") delete payload.exp;
  const isConsumed = consumedAt !== undefined && (kind !== "RefreshToken" || consumedAt <= graceSince);
  return isConsumed ? { ...payload, consumed: Math.floor(consumedAt / 1000) } : payload;
}
