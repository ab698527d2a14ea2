import { createRemoteJWKSet, decodeJwt, errors, jwtVerify } from "jose";
import type { Clock } from "../clock.ts";

export interface VerifierOptions {
  readonly issuer: string;
  readonly jwksUri: string;
  /** The API's own address: a token for somebody else is none. */
  readonly audience: string;
  readonly clock: Clock;
}

export type BearerCheck =
  | { readonly kind: "accepted"; readonly subject: string; readonly expiresAt: number }
  | { readonly kind: "missing" }
  /** `foreign`: no token of our authorization server at all, such as a connection key. `why` holds nothing of the token. */
  | { readonly kind: "rejected"; readonly why: string; readonly foreign: boolean }
  /** The authorization server's keys could not be fetched, so nothing can be said. */
  | { readonly kind: "unavailable" };

/**
 * Checks bearer tokens (RFC 6750) as JWT access tokens (RFC 9068): signature, issuer, audience, expiry, type. The keys
 * are fetched once and again only for an unknown one, so that it works on while the authorization server is away.
 */
export class AccessTokenVerifier {
  readonly #options: VerifierOptions;
  readonly #keys: ReturnType<typeof createRemoteJWKSet>;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.#keys = createRemoteJWKSet(new URL(options.jwksUri), { cacheMaxAge: Number.POSITIVE_INFINITY, cooldownDuration: 1000 });
  }

  /** Fetches the keys before the first token needs them. Never throws: the first check tries again. */
  async prepare(): Promise<void> {
    try {
      await this.#keys.reload();
    } catch {
      // Nothing is lost: without keys, each check begins with fetching them.
    }
  }

  async check(authorization: string | undefined): Promise<BearerCheck> {
    if (authorization === undefined) return { kind: "missing" };
    const [, token] = /^Bearer +([A-Za-z0-9\-._~+/]+=*) *$/i.exec(authorization) ?? [];
    if (token === undefined) return { kind: "rejected", why: "Only bearer tokens are taken", foreign: true };
    const { issuer, audience, clock } = this.#options;
    if (issuerOf(token) !== issuer) return { kind: "rejected", why: "The token is not of this API's authorization server", foreign: true };
    const options = {
      issuer,
      audience,
      typ: "at+jwt",
      algorithms: ["ES256"],
      requiredClaims: ["exp", "sub"],
      currentDate: new Date(clock.now()),
    };
    try {
      const { payload } = await jwtVerify(token, this.#keys, options);
      return { kind: "accepted", subject: payload.sub ?? "", expiresAt: (payload.exp ?? 0) * 1000 };
    } catch (error) {
      return rejection(error);
    }
  }
}

function rejection(error: unknown): BearerCheck {
  if (error instanceof errors.JWTExpired) return { kind: "rejected", why: "The token has expired", foreign: false };
  if (error instanceof errors.JWTClaimValidationFailed)
    return { kind: "rejected", why: `The token's ${claimName(error.claim)} does not fit`, foreign: error.claim === "aud" };
  const aboutToken = [
    errors.JWSInvalid,
    errors.JWTInvalid,
    errors.JWSSignatureVerificationFailed,
    errors.JWKSNoMatchingKey,
    errors.JOSEAlgNotAllowed,
  ];
  if (aboutToken.some((kind) => error instanceof kind))
    return { kind: "rejected", why: "The token's signature is not valid", foreign: true };
  return { kind: "unavailable" };
}

/** jose names claims that it misses as well; anything else could come out of the token. */
function claimName(claim: string): string {
  const names: Readonly<Record<string, string>> = {
    aud: "audience",
    iss: "issuer",
    typ: "type",
    exp: "expiry",
    sub: "subject",
    nbf: "start",
  };
  return names[claim] ?? "content";
}

function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}
