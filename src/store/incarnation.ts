import { randomBytes } from "node:crypto";
import type { MetaValues } from "./meta-values.ts";

const name = "incarnation";

/** Makes sure that the store has an incarnation of its own. */
export async function ensureIncarnation(meta: MetaValues): Promise<void> {
  await meta.add(name, newIncarnation());
}

/** Gives the store another one. */
export async function renewIncarnation(meta: MetaValues): Promise<void> {
  const old = await meta.get(name);
  if (old === undefined) await ensureIncarnation(meta);
  else await meta.replace(name, old, newIncarnation());
}

function newIncarnation(): string {
  return randomBytes(9).toString("base64url");
}
