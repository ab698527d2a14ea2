import type { AccessToken, Principal, RefreshToken } from "../../src/session/login-session.ts";
import type { VerifiedLogin } from "../../src/token/ports.ts";
import type { ServerTraits } from "./server-traits.ts";
import { worldBegin } from "./simulated-process.ts";

/** Why a grant is dead, if it is. */
export type GrantEnd = "reuse" | "revoked_by_us" | "revoked_by_server";

interface Grant {
  readonly serial: number;
  readonly subject: string;
  readonly signedInAt: number;
  end: GrantEnd | undefined;
}

interface IssuedToken {
  readonly grant: Grant;
  readonly issuedAt: number;
  /** Its first use; undefined: not used yet. */
  spentAt: number | undefined;
  successor: RefreshToken | undefined;
}

/** What the authorization server did with a refresh. */
export type Presented =
  | { readonly kind: "granted"; readonly body: string; readonly spent: boolean }
  | { readonly kind: "dead"; readonly why: "reuse" | "ended" | "expired" | "unknown" };

/** What is true of a refresh token. */
export type TokenTruth = "accepted" | "spent" | "expired" | "unknown" | GrantEnd;

/**
 * An authorization server without a network in front: what reaches it is done at once. It knows the truth that everything
 * else is judged by. A second use of a spent refresh token ends the whole grant, as RFC 9700 asks, but for its grace.
 */
export class SimulatedAuthorizationServer {
  readonly traits: ServerTraits;
  readonly issuer: string;
  readonly clientId = "latchkey-simulation";
  readonly #now: () => number;
  readonly #tokens = new Map<string, IssuedToken>();
  #serial = 0;

  /** `now`: the true time, in milliseconds since the world began. */
  constructor(traits: ServerTraits, now: () => number) {
    this.traits = traits;
    this.issuer = `https://${traits.name}.example`;
    this.#now = now;
  }

  /** A finished login: a grant of its own. `clockNow`: of the process that asked. */
  signIn(subject: string, clockNow: number): VerifiedLogin & { readonly tokens: { readonly refreshToken: RefreshToken } } {
    const grant: Grant = { serial: ++this.#serial, subject, signedInAt: this.#now(), end: undefined };
    const refreshToken = this.#issue(grant);
    const principal: Principal = { issuer: this.issuer, subject, clientId: this.clientId };
    const { refreshToken: life } = this.traits;
    return {
      authorizationServer: this.traits.name,
      principal,
      profile: { name: subject },
      obtainedAt: clockNow,
      tokens: {
        accessToken: this.#accessToken(refreshToken, subject),
        expiresInSeconds: this.traits.accessTokenSeconds,
        refreshToken,
        refreshExpiresInSeconds: life?.announced === true ? life.seconds : undefined,
      },
    };
  }

  /** The token endpoint. `subject`: a broken server, which answers with somebody else's tokens. */
  present(token: RefreshToken, subject?: string): Presented {
    const known = this.#tokens.get(token);
    if (known === undefined) return { kind: "dead", why: "unknown" };
    if (known.grant.end !== undefined) return { kind: "dead", why: "ended" };
    if (this.#isExpired(known)) return { kind: "dead", why: "expired" };
    const { returns, graceMs, withinGrace } = this.traits;
    const now = this.#now();
    if (returns !== "new") return this.#answer(known, token, false, subject);
    if (known.spentAt === undefined) {
      known.spentAt = now;
      known.successor = this.#issue(known.grant);
      return this.#answer(known, known.successor, true, subject);
    }
    const replayed = known.successor === undefined ? undefined : this.#tokens.get(known.successor);
    if (graceMs !== undefined && now < known.spentAt + graceMs && replayed?.spentAt === undefined) {
      if (withinGrace === "second_child") known.successor = this.#issue(known.grant);
      return this.#answer(known, known.successor ?? token, true, subject);
    }
    known.grant.end = "reuse";
    return { kind: "dead", why: "reuse" };
  }

  /** Revokes the grant that the token belongs to. */
  revoke(token: string, by: "revoked_by_us" | "revoked_by_server"): void {
    const grant = this.#tokens.get(token)?.grant;
    if (grant !== undefined) grant.end ??= by;
  }

  /** The answer of introspection (RFC 7662), if there is any. */
  introspect(token: RefreshToken): { readonly active: boolean; readonly exp?: number } {
    if (this.traits.introspection !== "works" || this.truthOf(token) !== "accepted") return { active: false };
    const end = this.#endOf(this.#tokens.get(token));
    return end === undefined ? { active: true } : { active: true, exp: Math.floor((worldBegin + end) / 1000) };
  }

  truthOf(token: string | undefined): TokenTruth {
    const known = token === undefined ? undefined : this.#tokens.get(token);
    if (known === undefined) return "unknown";
    if (known.grant.end !== undefined) return known.grant.end;
    if (this.#isExpired(known)) return "expired";
    return known.spentAt === undefined ? "accepted" : "spent";
  }

  /** Which sign-in a refresh token comes from. */
  grantOf(token: string): number | undefined {
    return this.#tokens.get(token)?.grant.serial;
  }

  /** When it was first used, in milliseconds since the world began. */
  spentAt(token: string): number | undefined {
    return this.#tokens.get(token)?.spentAt;
  }

  /** Whether a token of this grant would still be accepted by the API or here. */
  isGrantAlive(token: string): boolean {
    const known = this.#tokens.get(token);
    return known !== undefined && known.grant.end === undefined && !this.#isExpired(known);
  }

  #answer(known: IssuedToken, refreshToken: RefreshToken, spent: boolean, subject = known.grant.subject): Presented {
    const { accessTokenSeconds, returns, refreshToken: life } = this.traits;
    const end = this.#endOf(this.#tokens.get(refreshToken));
    const body = JSON.stringify({
      access_token: this.#accessToken(refreshToken, subject),
      token_type: "Bearer",
      expires_in: accessTokenSeconds,
      ...(returns === "none" ? {} : { refresh_token: refreshToken }),
      ...(life?.announced === true && end !== undefined ? { refresh_expires_in: Math.max(1, Math.floor((end - this.#now()) / 1000)) } : {}),
    });
    return { kind: "granted", body, spent };
  }

  #issue(grant: Grant): RefreshToken {
    const token = `rt-${this.traits.name}-${++this.#serial}` as RefreshToken;
    this.#tokens.set(token, { grant, issuedAt: this.#now(), spentAt: undefined, successor: undefined });
    return token;
  }

  /** It says what it was issued for, with and when: whoever sees one can tell whether it is in the right hands. */
  #accessToken(refreshToken: RefreshToken, subject: string): AccessToken {
    return `at|${subject}|${refreshToken}|${++this.#serial}|${Math.floor(this.#now())}` as AccessToken;
  }

  #isExpired(known: IssuedToken): boolean {
    const end = this.#endOf(known);
    return end !== undefined && this.#now() >= end;
  }

  #endOf(known: IssuedToken | undefined): number | undefined {
    const { refreshToken: life } = this.traits;
    if (life === undefined || known === undefined) return undefined;
    return (life.counts === "absolute" ? known.grant.signedInAt : known.issuedAt) + life.seconds * 1000;
  }
}

/** What stands in an access token of a simulated authorization server. `issuedAt`: milliseconds since the world began. */
export interface AccessTokenFacts {
  readonly subject: string;
  readonly refreshToken: string;
  readonly issuedAt: number;
}

export function readAccessToken(token: string): AccessTokenFacts | undefined {
  const [, subject, refreshToken, , issuedAt] = token.split("|");
  return subject === undefined || refreshToken === undefined ? undefined : { subject, refreshToken, issuedAt: Number(issuedAt) };
}
