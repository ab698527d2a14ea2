import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from "jose";
import type { JWK } from "oidc-provider";

/** A fresh signing key as a private JWK. ES256: RSA keys take seconds to make on a small machine. */
export async function generateSigningKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: "ES256", use: "sig" };
}

/** Whether all of these are private keys that can sign. */
export async function canSign(keys: readonly JWK[]): Promise<boolean> {
  const checks = keys.map(async ({ kty, crv, x, y, d, alg }) => {
    if (kty !== "EC" || crv !== "P-256" || alg !== "ES256" || d === undefined || x === undefined || y === undefined) return false;
    return importJWK({ kty, crv, x, y, d }, alg).then(
      () => true,
      () => false,
    );
  });
  return (await Promise.all(checks)).every(Boolean);
}
