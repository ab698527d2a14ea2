import { createLocalJWKSet, type JWTPayload, jwtVerify } from "jose";
import type { JWK } from "oidc-provider";
import type { Clock } from "../clock.ts";
import { claimsOf, type UserClaims } from "./users.ts";

export interface JwtUserinfoOptions {
  readonly issuer: string;
  readonly keys: readonly JWK[];
  readonly clock: Clock;
}

/**
 * Userinfo (OIDC Core, section 5.3) for the JWT access tokens of the sample API: oidc-provider itself takes opaque ones
 * only. Undefined: no JWT was presented, or not one of ours that is valid; oidc-provider then answers.
 */
export function createJwtUserinfo({ issuer, keys, clock }: JwtUserinfoOptions) {
  const publicKeys = createLocalJWKSet({ keys: keys.map(({ kty = "EC", crv, x, y, kid, alg }) => ({ kty, crv, x, y, kid, alg })) });
  return async function userinfo(authorization: string | undefined): Promise<Partial<UserClaims> | undefined> {
    const [, token] = /^Bearer ([^ ]+\.[^ ]+\.[^ ]+)$/i.exec(authorization ?? "") ?? [];
    if (token === undefined) return undefined;
    const payload = await jwtVerify(token, publicKeys, { issuer, typ: "at+jwt", currentDate: new Date(clock.now()) }).then(
      (verified): JWTPayload => verified.payload,
      () => undefined,
    );
    if (payload?.sub === undefined) return undefined;
    const scopes = new Set(typeof payload.scope === "string" ? payload.scope.split(" ") : []);
    if (!scopes.has("openid")) return undefined;
    const { sub, name, email } = claimsOf(payload.sub);
    return { sub, ...(scopes.has("profile") ? { name } : {}), ...(scopes.has("email") ? { email } : {}) };
  };
}
