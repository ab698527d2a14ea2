import { randomBytes } from "node:crypto";
import type { KeyRing } from "./key-ring.ts";
import type { MetaValues } from "./meta-values.ts";
import { type SealContext, Sealer } from "./sealer.ts";
import { unusable } from "./unusable.ts";

const name = "index_key";
const context: SealContext = { kind: "index_key", id: name, generation: 0, version: 0 };

/** Whether a store holds anything that was sealed. */
export async function hasIndexKey(meta: MetaValues): Promise<boolean> {
  return (await meta.get(name)) !== undefined;
}

/**
 * The key of the index hashes: made once for a store, kept in it, sealed, and sealed anew when another sealing key is
 * active. `where`: how the configuration names the store. Throws LatchkeyError `configuration_invalid` when no key of the ring
 * unseals it: then no record would open either.
 */
export async function loadIndexKey(meta: MetaValues, ring: KeyRing, where: string): Promise<Buffer> {
  const sealer = new Sealer(ring);
  const fresh = await sealer.seal(context, randomBytes(32).toString("base64url"));
  await meta.add(name, fresh);
  // Of several processes that begin at one time, one has written it.
  const sealed = (await meta.get(name)) ?? fresh;
  const unsealed = await sealer.unseal(context, sealed);
  if (unsealed.kind === "unreadable")
    throw unusable(`${where} cannot be read: it ${unsealed.problem}. Put that key back into the key file or sealing.keys.`);
  if (!sealer.isActive(sealed)) await meta.replace(name, sealed, await sealer.seal(context, unsealed.text));
  return Buffer.from(unsealed.text, "base64url");
}
