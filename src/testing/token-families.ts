import type { Clock } from "../clock.ts";
import type { FamilyState } from "./ledger.ts";
import type { SecretSource } from "./secrets.ts";

/** One login. */
export interface Family {
  readonly name: string;
  readonly subject: string;
  readonly clientId: string;
  readonly scope: string;
  readonly nonce: string | undefined;
  readonly sid: string;
  readonly startedAt: number;
  generation: number;
  ended: FamilyState["ended"];
  /** When the newest access token was made, and how long it lives. */
  newest: { readonly issuedAt: number; readonly lifeMs: number };
}

export interface RefreshTokenRecord {
  readonly token: string;
  readonly family: Family;
  readonly generation: number;
  readonly issuedAt: number;
  expiresAt: number;
  consumedAt: number | undefined;
  successor: RefreshTokenRecord | undefined;
}

interface AccessTokenRecord {
  readonly family: Family;
  readonly expiresAt: number;
}

export type NewFamily = Pick<Family, "subject" | "clientId" | "scope" | "nonce"> & { readonly sid: string | undefined };

/** Families of refresh tokens, their access tokens, and what is alive of them. */
export class TokenFamilies {
  readonly #clock: Clock;
  readonly #secret: SecretSource;
  readonly #families: Family[] = [];
  readonly #refreshTokens = new Map<string, RefreshTokenRecord>();
  readonly #accessTokens = new Map<string, AccessTokenRecord>();

  constructor(clock: Clock, secret: SecretSource) {
    this.#clock = clock;
    this.#secret = secret;
  }

  begin(login: NewFamily): Family {
    const number = this.#families.length + 1;
    const now = this.#clock.now();
    const family: Family = {
      ...login,
      name: `family-${number}`,
      sid: login.sid ?? `sid-${number}`,
      startedAt: now,
      generation: -1,
      ended: undefined,
      newest: { issuedAt: now, lifeMs: 0 },
    };
    this.#families.push(family);
    return family;
  }

  /** A refresh token of the next generation. */
  addRefreshToken(family: Family, expiresAt: number): RefreshTokenRecord {
    family.generation += 1;
    const record: RefreshTokenRecord = {
      token: this.#secret("rt"),
      family,
      generation: family.generation,
      issuedAt: this.#clock.now(),
      expiresAt,
      consumedAt: undefined,
      successor: undefined,
    };
    this.#refreshTokens.set(record.token, record);
    return record;
  }

  addAccessToken(family: Family, lifeSeconds: number): string {
    const token = this.#secret("at");
    const issuedAt = this.#clock.now();
    family.newest = { issuedAt, lifeMs: lifeSeconds * 1000 };
    this.#accessTokens.set(token, { family, expiresAt: issuedAt + lifeSeconds * 1000 });
    return token;
  }

  findRefreshToken(token: string): RefreshTokenRecord | undefined {
    return this.#refreshTokens.get(token);
  }

  findAccessToken(token: string): AccessTokenRecord | undefined {
    return this.#accessTokens.get(token);
  }

  /** Whether it would be accepted now, with no grace period. */
  isRefreshTokenActive(token: string): boolean {
    const record = this.#refreshTokens.get(token);
    if (record === undefined) return false;
    return record.family.ended === undefined && record.consumedAt === undefined && this.#clock.now() < record.expiresAt;
  }

  isAccessTokenActive(token: string): boolean {
    const record = this.#accessTokens.get(token);
    return record !== undefined && record.family.ended === undefined && this.#clock.now() < record.expiresAt;
  }

  dropAccessToken(token: string): void {
    this.#accessTokens.delete(token);
  }

  dropAccessTokensOf(family: Family): void {
    for (const [token, record] of this.#accessTokens) if (record.family === family) this.#accessTokens.delete(token);
  }

  /** Ends the family of this name. */
  endFamily(name: string, why: NonNullable<FamilyState["ended"]>): void {
    for (const family of this.#families) if (family.name === name) this.end(family, why);
  }

  end(family: Family, why: NonNullable<FamilyState["ended"]>): void {
    family.ended ??= why;
  }

  /** Ends every family of a session at the authorization server. */
  endSession(sid: string, why: NonNullable<FamilyState["ended"]>): void {
    for (const family of this.#families) if (family.sid === sid) this.end(family, why);
  }

  states(): readonly FamilyState[] {
    const last = new Map<Family, number>();
    for (const { family, consumedAt, expiresAt } of this.#refreshTokens.values())
      if (consumedAt === undefined) last.set(family, Math.max(expiresAt, last.get(family) ?? 0));
    return this.#families.map((family) => ({
      family: family.name,
      subject: family.subject,
      clientId: family.clientId,
      sid: family.sid,
      generation: family.generation,
      ended: family.ended ?? ((last.get(family) ?? 0) <= this.#clock.now() ? "expired" : undefined),
    }));
  }
}
