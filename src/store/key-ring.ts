import { hkdfSync } from "node:crypto";

/** A secret that records are sealed with, under the name that each sealed text carries. */
export interface SealingKey {
  readonly id: string;
  /** At least 32 characters, as random as a key. */
  readonly secret: string;
}

/** The first key seals; all of them unseal. */
export class KeyRing {
  readonly activeId: string;
  readonly #secrets: ReadonlyMap<string, string>;

  constructor(active: SealingKey, ...others: readonly SealingKey[]) {
    this.activeId = active.id;
    this.#secrets = new Map([...others, active].map(({ id, secret }) => [id, secret]));
  }

  /**
   * The 256-bit key of one purpose (HKDF, RFC 5869); undefined: no key of this id is here. Each record has a key of its
   * own, so that the number of records that one key may seal with random nonces is never reached.
   */
  derive(id: string, purpose: string): Uint8Array | undefined {
    const secret = this.#secrets.get(id);
    return secret === undefined ? undefined : new Uint8Array(hkdfSync("sha256", secret, "latchkey sealing 1", purpose, 32));
  }
}
