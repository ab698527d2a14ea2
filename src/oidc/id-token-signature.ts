import { type CompactJWSHeaderParameters, compactVerify, decodeJwt, decodeProtectedHeader, errors } from "jose";
import { parseJsonObject } from "./json.ts";
import type { KeySet, VerificationKey } from "./key-set.ts";
import { safeText } from "./safe-text.ts";
import type { Failure } from "./unavailable.ts";

/** The payload of a JWT. Nothing in it is checked but that it is an object. */
export type Claims = Readonly<Record<string, unknown>>;

/** The algorithms of ID tokens that discovery announces; none where it says nothing. */
export type AnnouncedAlgorithms =
  | { readonly kind: "known"; readonly algorithms: readonly string[] }
  | { readonly kind: "unavailable"; readonly failure: Failure };

/** By what the signature of a JWT of this authorization server is verified. */
export interface Trust {
  readonly keys: Pick<KeySet, "find">;
  readonly clientSecret: string | undefined;
  /** `id_token_signing_alg_values_supported` of discovery. */
  readonly announcedAlgorithms: () => Promise<AnnouncedAlgorithms>;
}

/** What a signature is worth. */
export type SignatureCheck =
  | { readonly kind: "good"; readonly claims: Claims }
  /** It will never verify. `problem` is a clause about "it". */
  | { readonly kind: "bad"; readonly problem: string }
  /** The key is not among those that the authorization server published at `asOf` (ms since the epoch). */
  | { readonly kind: "unknown_key"; readonly asOf: number; readonly problem: string }
  | { readonly kind: "unavailable"; readonly failure: Failure };

const publicKeyAlgorithms: ReadonlySet<string> = new Set("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" "));
/** Longer ones are not read at all. */
export const longestJwt = 65_536;

/**
 * Verifies the signature of a JWT (RFC 7515) and gives its claims. Every current public-key algorithm is accepted; `none`
 * never; HS256 to HS512 with the client secret only where the authorization server announces it (OIDC Core, section 10.1),
 * and a published key is never used as a secret. Never rejects.
 */
export async function verifySignature(jwt: string, trust: Trust): Promise<SignatureCheck> {
  const header = readHeader(jwt);
  if (header === undefined) return bad(jwt.split(".").length === 5 ? "it is encrypted, which is not supported" : "it is not a signed JWT");
  const { alg } = header;
  if (/^HS(256|384|512)$/.test(alg)) return await verifyBySecret(jwt, alg, trust);
  if (!publicKeyAlgorithms.has(alg)) return bad(`it is signed with ${safeText(alg) ?? "no algorithm"}, which is not accepted`);
  const first = await verifyByKeySet(jwt, header, trust, false);
  // The right name and the wrong key: some servers make a new key under the old name.
  return first.kind === "bad" ? await verifyByKeySet(jwt, header, trust, true) : first;
}

async function verifyBySecret(jwt: string, alg: string, trust: Trust): Promise<SignatureCheck> {
  const announced = await trust.announcedAlgorithms();
  if (announced.kind === "unavailable") return announced;
  if (trust.clientSecret === undefined || !announced.algorithms.includes(alg))
    return bad(
      `it is signed with ${alg}, which is accepted only with a client secret and where discovery announces it; let the authorization server sign with RS256 or ES256`,
    );
  return await verifyWith(jwt, alg, new TextEncoder().encode(trust.clientSecret));
}

async function verifyByKeySet(jwt: string, header: CompactJWSHeaderParameters, trust: Trust, renew: boolean): Promise<SignatureCheck> {
  const search = await trust.keys.find(header, renew);
  switch (search.kind) {
    case "unavailable":
      return search;
    case "unknown_key":
      return { kind: "unknown_key", asOf: search.asOf, problem: "it is signed by a key that the authorization server does not publish" };
    case "found": {
      let last: SignatureCheck = bad("its signature is wrong");
      for (const key of search.keys) {
        last = await verifyWith(jwt, header.alg, key);
        if (last.kind === "good") break;
      }
      return last;
    }
  }
}

async function verifyWith(jwt: string, alg: string, key: VerificationKey | Uint8Array): Promise<SignatureCheck> {
  try {
    const { payload } = await compactVerify(jwt, key, { algorithms: [alg] });
    const claims = parseJsonObject(new TextDecoder().decode(payload));
    return claims === undefined ? bad("it holds no claims") : { kind: "good", claims };
  } catch (thrown) {
    // jose's messages may quote parts of the token; its codes do not.
    return bad(thrown instanceof errors.JWSSignatureVerificationFailed ? "its signature is wrong" : "its signature cannot be verified");
  }
}

/** What a JWT claims, nothing of it checked: to find out whose keys to ask. Undefined: it is none. */
export function unverifiedClaims(jwt: string): Claims | undefined {
  if (jwt.length > longestJwt) return undefined;
  try {
    return decodeJwt(jwt);
  } catch {
    return undefined;
  }
}

function readHeader(jwt: string): CompactJWSHeaderParameters | undefined {
  if (jwt.length > longestJwt || jwt.split(".").length !== 3) return undefined;
  try {
    const { alg, kid } = decodeProtectedHeader(jwt);
    return typeof alg === "string" ? { alg, ...(typeof kid === "string" ? { kid } : {}) } : undefined;
  } catch {
    return undefined;
  }
}

function bad(problem: string): SignatureCheck {
  return { kind: "bad", problem };
}
