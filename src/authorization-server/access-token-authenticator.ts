import { createLocalJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import type { Clock } from "../clock.ts";
import type { AccessTokenCredential, Authentication, Authenticator } from "../session/authenticator.ts";
import { bearerOf } from "../session/authenticator.ts";
import type { LoginSession, LoginSessionHandle } from "../session/login-session.ts";
import { sha256 } from "../session/random.ts";
import { mcpScope, type Resources } from "./resources.ts";
import { type SigningKeys, signingAlgorithm } from "./signing-keys.ts";

export interface AccessTokenServices {
  readonly keys: SigningKeys;
  readonly resources: Resources;
  readonly sessions: { getByHandle(handle: LoginSessionHandle): Promise<LoginSession | undefined> };
  readonly clock: Clock;
}

/** As many verified access tokens are remembered; the one used longest ago makes room. */
const mostRemembered = 10_000;
/** An unknown key makes us ask the store again, this often at most: anybody can make up key ids. */
const askAgainMs = 10_000;

type Verified =
  | { readonly kind: "valid"; readonly payload: JWTPayload }
  | { readonly kind: "invalid"; readonly problem: string }
  | { readonly kind: "unknown_key" };

/**
 * Accepts the access tokens of Latchkey's own authorization server (RFC 9068): signature, type, issuer, audience
 * (RFC 8707) and expiry. What it verified it remembers until it expires, so that a request costs a hash.
 */
export class AccessTokenAuthenticator implements Authenticator {
  readonly #services: AccessTokenServices;
  /** By hash. In the order of use. */
  readonly #remembered = new Map<string, AccessTokenCredential>();
  #keySet: ReturnType<typeof createLocalJWKSet> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(services: AccessTokenServices) {
    this.#services = services;
  }

  /** How many access tokens are remembered (I16). */
  get size(): number {
    return this.#remembered.size;
  }

  async authenticate(authorization: string | undefined): Promise<Authentication> {
    const token = bearerOf(authorization);
    if (typeof token !== "string") return token;
    const hash = sha256(token);
    const known = this.#remembered.get(hash);
    if (known !== undefined) {
      this.#remembered.delete(hash);
      if (known.expiresAt <= this.#services.clock.now()) return expired;
      this.#remembered.set(hash, known);
      return { kind: "authenticated", credential: known };
    }
    const verified = await this.#verify(token);
    if (verified.kind !== "valid")
      return verified.kind === "invalid" ? verified : invalid("This access token was not signed by this server.");
    const credential = await this.#credential(verified.payload);
    if (credential === undefined) return invalid("The login session of this access token has ended. Sign in again.");
    this.#remember(hash, credential);
    return { kind: "authenticated", credential };
  }

  async #credential({ sub, exp, client_id: clientId }: JWTPayload): Promise<AccessTokenCredential | undefined> {
    const record = await this.#services.sessions.getByHandle(sub as LoginSessionHandle);
    if (record === undefined || record.state === "ended" || exp === undefined) return undefined;
    return { kind: "access_token", clientId: String(clientId), loginSessionId: record.id, expiresAt: exp * 1000 };
  }

  async #verify(token: string): Promise<Verified> {
    const first = await this.#check(token);
    if (first.kind !== "unknown_key" || !this.#mayAskAgain()) return first;
    this.#keySet = undefined;
    return this.#check(token);
  }

  async #check(token: string): Promise<Verified> {
    const { clock, resources } = this.#services;
    const keySet = await this.#keys();
    try {
      const { payload } = await jwtVerify(token, keySet, {
        algorithms: [signingAlgorithm],
        typ: "at+jwt",
        issuer: resources.issuer,
        audience: [...resources.all],
        currentDate: new Date(clock.now()),
        requiredClaims: ["exp", "sub", "client_id", "jti"],
      });
      const scopes = typeof payload["scope"] === "string" ? payload["scope"].split(" ") : [];
      return scopes.includes(mcpScope)
        ? { kind: "valid", payload }
        : { kind: "invalid", problem: `This access token lacks the scope ${mcpScope}.` };
    } catch (error) {
      return explain(error);
    }
  }

  async #keys(): Promise<ReturnType<typeof createLocalJWKSet>> {
    if (this.#keySet === undefined) {
      this.#askedAt = this.#services.clock.monotonic();
      this.#keySet = createLocalJWKSet({ keys: [...(await this.#services.keys.publicKeys())] });
    }
    return this.#keySet;
  }

  #mayAskAgain(): boolean {
    return this.#services.clock.monotonic() - this.#askedAt >= askAgainMs;
  }

  #remember(hash: string, credential: AccessTokenCredential): void {
    this.#remembered.set(hash, credential);
    if (this.#remembered.size <= mostRemembered) return;
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined) this.#remembered.delete(oldest);
  }
}

const expired = invalid("This access token has expired.");

function invalid(problem: string): { readonly kind: "invalid"; readonly problem: string } {
  return { kind: "invalid", problem };
}

/** What is wrong with it, in words that help an honest client and tell a forger nothing. */
function explain(error: unknown): Verified {
  if (!(error instanceof errors.JOSEError)) throw error;
  if (error instanceof errors.JWTExpired) return expired;
  if (error instanceof errors.JWKSNoMatchingKey) return { kind: "unknown_key" };
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === "aud")
    return invalid("This access token is for another resource than this server.");
  return invalid("This access token is not valid here.");
}
