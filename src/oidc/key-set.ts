import type { CompactJWSHeaderParameters, LocalJWKSet } from "jose";
import { createLocalJWKSet, errors } from "jose";
import type { Clock } from "../clock.ts";
import type { FetchedDocument } from "./fetch-document.ts";
import { isObject } from "./json.ts";
import type { Failure } from "./unavailable.ts";

/** A public key, ready to verify with. */
export type VerificationKey = Awaited<ReturnType<LocalJWKSet>>;

/** The keys for a signature, or why there are none. */
export type KeySearch =
  | { readonly kind: "found"; readonly keys: readonly VerificationKey[] }
  /** No such key in the set, as it was fetched at `asOf` (milliseconds since the epoch). */
  | { readonly kind: "unknown_key"; readonly asOf: number }
  | { readonly kind: "unavailable"; readonly failure: Failure };

const freshForMs = 600_000;
/** A key that is not in the set brings no more than one fetch in this time. */
const unknownKeyCooldownMs = 5_000;
/** After a failed fetch everybody gets its failure for this time. */
const failureCooldownMs = 1_000;
/** And a set that is known is used for this time before the next try: nobody has to wait for one that fails. */
const staleCooldownMs = 30_000;

interface CachedKeys {
  readonly find: LocalJWKSet;
  readonly fetchedAt: number;
  readonly fetchedAtMonotonic: number;
}

/**
 * The signing keys of one authorization server (RFC 7517): fetched at first use, again after ten minutes, and again when
 * a key is asked for that is not there, since keys are rotated. A set that is known stays in use while it cannot be fetched.
 */
export class KeySet {
  readonly #clock: Clock;
  readonly #fetch: () => Promise<FetchedDocument>;
  #cached: CachedKeys | undefined;
  #failure: { readonly failure: Failure; readonly at: number } | undefined;
  #flight: Promise<Failure | undefined> | undefined;

  constructor(clock: Clock, fetch: () => Promise<FetchedDocument>) {
    this.#clock = clock;
    this.#fetch = fetch;
  }

  /**
   * The keys that may have signed a JWS with this header: several where it names none. `renew`: the ones at hand do not fit,
   * though their names do, so fetch the set again first. Never rejects.
   */
  async find(header: CompactJWSHeaderParameters, renew = false): Promise<KeySearch> {
    if (this.#cached === undefined || this.#isDue(this.#cached)) {
      const failure = await this.#refetch();
      if (this.#cached === undefined) return { kind: "unavailable", failure: failure ?? { problem: "its keys could not be fetched" } };
    }
    const keys = await candidates(this.#cached, header);
    if (keys.length > 0 && !renew) return { kind: "found", keys };
    if (this.#age(this.#cached) < unknownKeyCooldownMs) return this.#result(this.#cached, keys);
    const failure = await this.#refetch();
    if (failure !== undefined) return { kind: "unavailable", failure };
    return this.#result(this.#cached, await candidates(this.#cached, header));
  }

  #result(cached: CachedKeys, keys: readonly VerificationKey[]): KeySearch {
    return keys.length > 0 ? { kind: "found", keys } : { kind: "unknown_key", asOf: cached.fetchedAt };
  }

  #isDue(cached: CachedKeys): boolean {
    const failedAt = this.#failure?.at ?? Number.NEGATIVE_INFINITY;
    return this.#age(cached) >= freshForMs && this.#clock.monotonic() - failedAt >= staleCooldownMs;
  }

  #age(cached: CachedKeys): number {
    return this.#clock.monotonic() - cached.fetchedAtMonotonic;
  }

  async #refetch(): Promise<Failure | undefined> {
    const last = this.#failure;
    if (last !== undefined && this.#clock.monotonic() - last.at < failureCooldownMs) return last.failure;
    this.#flight ??= this.#fetchOnce().finally(() => {
      this.#flight = undefined;
    });
    return await this.#flight;
  }

  async #fetchOnce(): Promise<Failure | undefined> {
    const fetched = await this.#fetch();
    const keys = fetched.kind === "fetched" ? readKeys(fetched.document) : undefined;
    if (fetched.kind === "fetched" && keys !== undefined) {
      this.#cached = { find: keys, fetchedAt: fetched.receivedAt, fetchedAtMonotonic: this.#clock.monotonic() };
      this.#failure = undefined;
      return undefined;
    }
    const failure = fetched.kind === "failed" ? fetched.failure : { problem: "what it gives as its keys is no JSON Web Key Set" };
    this.#failure = { failure, at: this.#clock.monotonic() };
    return failure;
  }
}

function readKeys(document: Readonly<Record<string, unknown>>): LocalJWKSet | undefined {
  const keys = document.keys;
  if (!Array.isArray(keys)) return undefined;
  // Keys of kinds that nobody knows yet are skipped, not held against the rest.
  const known = keys.filter((key) => isObject(key) && typeof key.kty === "string");
  try {
    return createLocalJWKSet({ keys: known });
  } catch {
    return undefined;
  }
}

async function candidates(cached: CachedKeys, header: CompactJWSHeaderParameters): Promise<readonly VerificationKey[]> {
  try {
    return [await cached.find(header)];
  } catch (thrown) {
    if (!(thrown instanceof errors.JWKSMultipleMatchingKeys)) return [];
    const keys: VerificationKey[] = [];
    for await (const key of thrown) keys.push(key);
    return keys;
  }
}
