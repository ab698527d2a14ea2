import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import type { IdTokenFlaw, SigningAlgorithm } from "./behaviour.ts";
import type { Family } from "./token-families.ts";

type SigningKey = Awaited<ReturnType<typeof generateKeyPair>>;

/** All algorithms that ID tokens can be signed with. */
export const signingAlgorithms: readonly SigningAlgorithm[] = ["ES256", "RS256", "PS256", "EdDSA"];

/** What an ID token depends on. */
export interface IdTokenOrder {
  readonly issuer: string;
  readonly family: Family;
  /** The clock that it is dated by, ms since the epoch. */
  readonly now: number;
  readonly lifeSeconds: number;
  readonly algorithm: SigningAlgorithm;
  readonly flaw: Exclude<IdTokenFlaw, "missing"> | undefined;
  /** Only the first ID token of a login has its nonce. */
  readonly nonce: string | undefined;
}

/** A key for each algorithm, made when it is first needed. */
export class Signing {
  readonly #keys = new Map<string, Promise<SigningKey>>();
  #rotations = 0;

  async keySet(): Promise<{ readonly keys: readonly JWK[] }> {
    // ES256 is there from the start, so that the key set is never empty.
    await this.#key(this.#keyId("ES256"), "ES256");
    const known = [...this.#keys].filter(([keyId]) => keyId !== unknownKeyId);
    const keys = known.map(async ([keyId, key]) => ({
      ...(await exportJWK((await key).publicKey)),
      kid: keyId,
      alg: keyId.split("-")[0],
      use: "sig",
    }));
    return { keys: await Promise.all(keys) };
  }

  async idToken(order: IdTokenOrder): Promise<string> {
    const { algorithm, flaw } = order;
    const claims = claimsOf(order);
    if (flaw === "unsigned") return new UnsecuredJWT(claims).encode();
    const keyId = flaw === "unknown_key" ? unknownKeyId : this.#keyId(algorithm);
    const { privateKey } = await this.#key(keyId, algorithm);
    const signed = await new SignJWT(claims).setProtectedHeader({ alg: algorithm, kid: keyId }).sign(privateKey);
    return flaw === "bad_signature" ? withBadSignature(signed) : signed;
  }

  /** A logout token with these claims and no others (OIDC Back-Channel Logout 1.0, section 2.4). */
  async logoutToken(claims: JWTPayload): Promise<string> {
    const keyId = this.#keyId("ES256");
    const { privateKey } = await this.#key(keyId, "ES256");
    return await new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: keyId, typ: "logout+jwt" }).sign(privateKey);
  }

  /** New keys, under new ids. */
  rotate(): void {
    this.#keys.clear();
    this.#rotations += 1;
  }

  #keyId(algorithm: SigningAlgorithm): string {
    return this.#rotations === 0 ? algorithm : `${algorithm}-${this.#rotations}`;
  }

  #key(keyId: string, algorithm: SigningAlgorithm): Promise<SigningKey> {
    const known = this.#keys.get(keyId);
    if (known !== undefined) return known;
    const made = generateKeyPair(algorithm, { extractable: true });
    this.#keys.set(keyId, made);
    return made;
  }
}

const unknownKeyId = "unknown";

function claimsOf({ issuer, family, now, lifeSeconds, flaw, nonce }: IdTokenOrder): JWTPayload {
  const seconds = Math.floor(now / 1000) - (flaw === "expired" ? lifeSeconds + 3600 : 0);
  const audience = flaw === "wrong_audience" ? "somebody-else" : family.clientId;
  return {
    iss: flaw === "wrong_issuer" ? "https://other.example" : issuer,
    sub: flaw === "wrong_subject" ? `not-${family.subject}` : family.subject,
    aud: flaw === "array_audience" ? [audience] : audience,
    iat: seconds,
    exp: seconds + lifeSeconds,
    auth_time: Math.floor(family.startedAt / 1000),
    sid: family.sid,
    ...(flaw === "wrong_nonce" ? { nonce: "not-the-nonce" } : nonce === undefined ? {} : { nonce }),
  };
}

function withBadSignature(token: string): string {
  const [header = "", payload = "", signature = ""] = token.split(".");
  const bytes = Buffer.from(signature, "base64url");
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  return [header, payload, bytes.toString("base64url")].join(".");
}
