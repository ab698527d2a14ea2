import { hkdfSync } from "node:crypto";

/** A secret that records are sealed with, under the name that each sealed text carries. */
export interface SealingKey {
  readonly id: string;
  /** At least 32 characters, as random as a key. */
  readonly secret: string;
}

/** The active one first. */
export type SealingKeys = readonly [SealingKey, ...SealingKey[]];

/** How many derived keys are kept at most: each is a hash of some microseconds, on the path of every seal. */
const derivedLimit = 10_000;

/** The first key seals; all of them unseal. */
export class KeyRing {
  #keys: SealingKeys;
  /** Gives the keys of now when they have changed; undefined: they have not. It is asked often. */
  readonly #changed: () => SealingKeys | undefined;
  /** By secret and purpose. */
  readonly #derived = new Map<string, Uint8Array>();

  constructor(keys: SealingKeys, changed: () => SealingKeys | undefined = () => undefined) {
    this.#keys = keys;
    this.#changed = changed;
  }

  /** The id of the key that seals now. */
  get activeId(): string {
    this.#keys = this.#changed() ?? this.#keys;
    return this.#keys[0].id;
  }

  /**
   * The 256-bit key of one purpose (HKDF, RFC 5869); undefined: no key of this id is here. Each record has a key of its
   * own, so that the number of records that one key may seal with random nonces is never reached.
   */
  derive(id: string, purpose: string): Uint8Array | undefined {
    const secret = this.#find(id) ?? this.#findAnew(id);
    return secret === undefined ? undefined : this.#derive(secret, purpose);
  }

  #derive(secret: string, purpose: string): Uint8Array {
    const name = JSON.stringify([secret, purpose]);
    const known = this.#derived.get(name);
    if (known !== undefined) return known;
    const key = new Uint8Array(hkdfSync("sha256", secret, "latchkey sealing 1", purpose, 32));
    // All at once is seldom, and as good as the oldest first: whatever is in use is soon here again.
    if (this.#derived.size >= derivedLimit) this.#derived.clear();
    this.#derived.set(name, key);
    return key;
  }

  #find(id: string): string | undefined {
    return this.#keys.find((key) => key.id === id)?.secret;
  }

  /** Another process may have sealed with a key that was added a moment ago. */
  #findAnew(id: string): string | undefined {
    this.#keys = this.#changed() ?? this.#keys;
    return this.#find(id);
  }
}
