import { randomBytes } from "node:crypto";
import type { KeyRing } from "./key-ring.ts";
import { type SealContext, Sealer } from "./sealer.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { mustText } from "./sqlite-values.ts";
import { unusable } from "./store-file.ts";

const name = "index_key";
const context: SealContext = { kind: "index_key", id: name, generation: 0, version: 0 };

/** Whether a store holds anything that was sealed. */
export async function hasIndexKey(db: SqliteDatabase): Promise<boolean> {
  return (await read(db)) !== undefined;
}

/**
 * The key of the index hashes: made once for a store, kept in it, sealed, and sealed anew when another sealing key is
 * active. Throws LatchkeyError `configuration_invalid` when no key of the ring unseals it: then no record would open either.
 */
export async function loadIndexKey(db: SqliteDatabase, ring: KeyRing, storeFile: string): Promise<Buffer> {
  const sealer = new Sealer(ring);
  const fresh = await sealer.seal(context, randomBytes(32).toString("base64url"));
  await db.write(() => db.run("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, fresh));
  // Of several processes that begin at one time, one has written it.
  const sealed = (await read(db)) ?? fresh;
  const unsealed = await sealer.unseal(context, sealed);
  if (unsealed.kind === "unreadable")
    throw unusable(`store.file ${storeFile} cannot be read: it ${unsealed.problem}. Put that key back into the key file or sealing.keys.`);
  if (!sealer.isActive(sealed)) {
    const again = await sealer.seal(context, unsealed.text);
    await db.write(() => db.run("UPDATE meta SET value = ? WHERE name = ? AND value = ?", again, name, sealed));
  }
  return Buffer.from(unsealed.text, "base64url");
}

async function read(db: SqliteDatabase): Promise<string | undefined> {
  const row = await db.read(() => db.get("SELECT value FROM meta WHERE name = ?", name));
  return row === undefined ? undefined : mustText(row, "value");
}
