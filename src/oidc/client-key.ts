import { createPrivateKey, type KeyObject, type webcrypto } from "node:crypto";
import { nonEmptyString, parseJsonObject } from "./json.ts";

/** The private key of a client, ready to sign with, or why it cannot be used: a clause about "it", without the key. */
export type ClientKey =
  | { readonly kind: "usable"; readonly key: webcrypto.CryptoKey; readonly keyId: string | undefined }
  | { readonly kind: "unusable"; readonly problem: string };

type Algorithm = Parameters<KeyObject["toCryptoKey"]>[0];

const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

/**
 * Reads the private key that a client authenticates with (RFC 7523): PEM (PKCS #8 and its like), or a JWK, whose `alg` and
 * `kid` count. Without an `alg` an RSA key signs with RS256, an elliptic one with the algorithm of its curve.
 */
export function readClientKey(text: string, keyId: string | undefined): ClientKey {
  const jwk = parseJsonObject(text);
  const key = privateKey(text, jwk);
  if (key === undefined) return { kind: "unusable", problem: "is no private key: give PEM (PKCS #8, without a passphrase) or a JWK" };
  const algorithm = algorithmOf(key, nonEmptyString(jwk?.alg));
  if (algorithm === undefined)
    return { kind: "unusable", problem: "is of a kind that cannot sign here: use RSA, P-256, P-384, P-521 or Ed25519" };
  return { kind: "usable", key: key.toCryptoKey(algorithm, false, ["sign"]), keyId: keyId ?? nonEmptyString(jwk?.kid) };
}

function privateKey(text: string, jwk: Readonly<Record<string, unknown>> | undefined): KeyObject | undefined {
  try {
    return jwk === undefined ? createPrivateKey(text) : createPrivateKey({ key: { ...jwk }, format: "jwk" });
  } catch {
    // The error may quote the key.
    return undefined;
  }
}

function algorithmOf(key: KeyObject, alg: string | undefined): Algorithm | undefined {
  switch (key.asymmetricKeyType) {
    case "rsa": {
      const [, name, bits] = /^(RS|PS)(256|384|512)$/.exec(alg ?? "RS256") ?? [];
      if (name === undefined) return undefined;
      return { name: name === "PS" ? "RSA-PSS" : "RSASSA-PKCS1-v1_5", hash: `SHA-${bits}` };
    }
    case "ec": {
      const namedCurve = curves[key.asymmetricKeyDetails?.namedCurve ?? ""];
      return namedCurve === undefined ? undefined : { name: "ECDSA", namedCurve };
    }
    case "ed25519":
      return { name: "Ed25519" };
    default:
      return undefined;
  }
}
