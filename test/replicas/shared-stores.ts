import type { AtEnd } from "../support/e2e-world.ts";

/** A store that processes can share, as a configuration names it; what a test leaves in it is removed afterwards. */
export interface SharedStore {
  readonly name: "sqlite" | "postgres" | "redis";
  /** The sections `store` and `sealing`. */
  readonly config: Readonly<Record<string, unknown>>;
}

export interface SharedStoreKind {
  readonly name: SharedStore["name"];
  /** Why it cannot be had here; undefined: it can. With CI=true that is an error. */
  missing(): Promise<string | undefined>;
  prepare(atEnd: AtEnd): Promise<SharedStore>;
}

/** A file in the folder of the fleet. */
const sqliteKind: SharedStoreKind = {
  name: "sqlite",
  missing: async () => undefined,
  prepare: async () => ({ name: "sqlite", config: { store: { type: "sqlite", file: "latchkey.db" } } }),
};

/** All kinds that several processes can share. */
export const sharedStoreKinds: readonly SharedStoreKind[] = [sqliteKind];
