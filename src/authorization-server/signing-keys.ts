import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from "jose";
import { type Clock, sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { AuthorizationServerRecordStore, UsedIdStore } from "../session/store.ts";

export interface SigningKeyServices {
  readonly records: Pick<AuthorizationServerRecordStore, "get" | "put">;
  readonly usedIds: UsedIdStore;
  readonly clock: Clock;
}

/** The algorithm of access tokens. */
export const signingAlgorithm = "ES256";

const kind = "SigningKey";
const id = "current";
/** Whoever was to make the key and died is given up after this time. */
const makingMs = 10_000;
const lookAgainMs = 50;
const longestWaitMs = 30_000;

/**
 * The key that signs access tokens: one, in the store, sealed there, made by whichever process needs it first. All who
 * share the store sign and verify with it, and a restart changes nothing.
 */
export class SigningKeys {
  readonly #services: SigningKeyServices;
  #known: JWK | undefined;

  constructor(services: SigningKeyServices) {
    this.#services = services;
  }

  /** The private key. Throws LatchkeyError `store_unavailable`. */
  async mustGet(): Promise<JWK> {
    this.#known ??= await this.#find();
    return this.#known;
  }

  /** The public one, as the store has it now. */
  async publicKeys(): Promise<readonly JWK[]> {
    this.#known = (await this.#read()) ?? (await this.#find());
    const { kty, crv, x, y, kid, alg } = this.#known;
    return [{ kty, crv, x, y, kid, alg, use: "sig" }];
  }

  async #find(): Promise<JWK> {
    const { clock, usedIds } = this.#services;
    const givenUpAt = clock.monotonic() + longestWaitMs;
    while (clock.monotonic() < givenUpAt) {
      const stored = await this.#read();
      if (stored !== undefined) return stored;
      const now = clock.now();
      if (await usedIds.use({ kind: "signing_key_maker", id, expiresAt: now + makingMs }, now)) return this.#make();
      await sleep(clock, lookAgainMs);
    }
    throw new LatchkeyError("store_unavailable", "The key of access tokens cannot be had from the store. Try again.", { retryable: true });
  }

  async #make(): Promise<JWK> {
    const { privateKey } = await generateKeyPair(signingAlgorithm, { extractable: true });
    const jwk = await exportJWK(privateKey);
    const key = { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: signingAlgorithm, use: "sig" };
    await this.#services.records.put({ kind, id, content: JSON.stringify(key) });
    return key;
  }

  async #read(): Promise<JWK | undefined> {
    const { records, clock } = this.#services;
    const record = await records.get(kind, id, clock.now());
    return record === undefined ? undefined : (JSON.parse(record.content) as JWK);
  }
}
