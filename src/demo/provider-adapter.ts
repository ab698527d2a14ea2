import type { Adapter, ClientMetadata } from "oidc-provider";
import type { ProviderRecords } from "./provider-records.ts";

export interface AdapterOptions {
  readonly records: ProviderRecords;
  readonly findClient: (id: string) => ClientMetadata | undefined;
  /** The error for the second use of a code or refresh token; it must be one that oidc-provider answers as `invalid_grant`. */
  readonly usedBefore: () => Error;
}

/** oidc-provider's view of the records. Its models come here by name. */
export function createProviderAdapter({ records, findClient, usedBefore }: AdapterOptions): (model: string) => Adapter {
  return (model): Adapter => ({
    async upsert(id, payload, lifetimeSeconds) {
      records.upsert(model, id, payload, lifetimeSeconds ?? 3600);
    },
    async find(id) {
      return model === "Client" ? findClient(id) : records.find(model, id);
    },
    async findByUid(uid) {
      return records.findWhere(model, (payload) => payload.uid === uid);
    },
    async findByUserCode(userCode) {
      return records.findWhere(model, (payload) => payload.userCode === userCode);
    },
    async consume(id) {
      // oidc-provider looks first and consumes later; of two requests in between both would win. It has to be refused
      // here, and the family has to end as it does when the look finds a used token (RFC 9700, section 4.14.2).
      const outcome = records.consume(model, id);
      if (outcome === "consumed") return;
      const grantId = records.find(model, id)?.grantId;
      if (grantId !== undefined) records.endGrant(grantId);
      throw usedBefore();
    },
    async destroy(id) {
      if (model === "Grant") records.endGrant(id);
      else records.destroy(model, id);
    },
    async revokeByGrantId(grantId) {
      records.revokeByGrant(model, grantId);
    },
  });
}
