import type { AccessToken, IdToken, Principal, RefreshToken } from "../../src/session/login-session.ts";
import type {
  AuthorizationServerPort,
  ImportCheck,
  ImportPort,
  IntrospectionOutcome,
  RawReply,
  RefreshOutcome,
  RefreshRequest,
  RevocableToken,
  RevocationOutcome,
  Verification,
  VerifiedLogin,
} from "../../src/token/ports.ts";

/** One presentation of a refresh token as the authorization server saw it. */
export interface Presentation {
  readonly refreshToken: RefreshToken;
  readonly subject: string;
  readonly startedAt: number;
  endedAt: number | undefined;
  /** Places in the order of all that happened at this server: times alone cannot tell two things of one millisecond apart. */
  readonly startedAs: number;
  endedAs: number | undefined;
  outcome: RefreshOutcome["kind"] | "open";
}

interface Family {
  readonly id: number;
  readonly subject: string;
  current: RefreshToken;
  readonly consumed: Set<string>;
  dead: boolean;
  generation: number;
}

export interface ModelOptions {
  readonly now: () => number;
  readonly issuer?: string;
  readonly accessTokenSeconds?: number;
  readonly refreshExpiresInSeconds?: number;
  /** Called before the server looks at a refresh, and before its reply leaves: hold the promise to hold the request. */
  readonly pause?: (point: "request" | "reply", request: RefreshRequest) => Promise<void>;
  /** The same for everything that is no refresh; introspection is answered by what is true after the pause. */
  readonly pauseOther?: (point: "verify" | "introspect" | "revoke") => Promise<void>;
  /** How long a refresh token is accepted after it was issued; by default for ever. */
  readonly refreshTokenSeconds?: number;
  readonly introspection?: "works" | "denies" | "none";
  /** The same refresh token is answered again within this time after its first use. */
  readonly graceMs?: number;
  readonly rotates?: boolean;
}

/** What to do to the next refreshes instead of answering them. */
export type ModelFault =
  | { readonly kind: "answer"; readonly outcome: RefreshOutcome }
  /** The token is rotated, the reply never arrives. */
  | { readonly kind: "lose_reply" }
  /** The request never arrives, and the client cannot know it. */
  | { readonly kind: "lose_request" }
  /** As `lose_reply`, but the server only comes to look at the request when the test calls `deliverDelayed`. */
  | { readonly kind: "delay_request" }
  /** A reply with these fields instead of the usual ones; the token is rotated unless `refresh_token` says otherwise. */
  | { readonly kind: "reply"; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: "subject"; readonly subject: string };

/**
 * A strict authorization server in memory, on the port of the token service: it rotates always, and a second use of a
 * refresh token kills its family, as RFC 9700 asks. It keeps the history of what reached it.
 */
export class ModelAuthorizationServer implements AuthorizationServerPort {
  readonly issuer: string;
  readonly clientId = "latchkey-test";
  readonly presentations: Presentation[] = [];
  readonly revoked: RevocableToken[] = [];
  readonly faults: ModelFault[] = [];
  /** Which refresh token was issued together with an access token. */
  readonly issuedWith = new Map<string, string>();
  /** While set, every refresh gets this answer and the token stays as it was. */
  outage: RefreshOutcome | undefined;
  reuseEvents = 0;
  introspections = 0;
  introspectionAnswer: IntrospectionOutcome | undefined;
  verifications = 0;
  /** Every try, answered or not. */
  revocationTries = 0;
  revocationAnswer: RevocationOutcome = { kind: "revoked" };
  /** These come before `revocationAnswer`. */
  readonly revocationAnswers: RevocationOutcome[] = [];
  verificationAnswer: Verification | undefined;
  readonly #delayed: (() => void)[] = [];
  #order = 0;
  #open = 0;
  /** The most refreshes that were under way at one time. */
  mostOpen = 0;
  readonly #options: ModelOptions;
  readonly #families = new Map<string, Family>();
  readonly #byToken = new Map<string, { family: Family; consumedAt?: number; expiresAt: number }>();
  #serial = 0;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.issuer = options.issuer ?? "https://as.example";
  }

  /** A finished login of this user: a family of its own. */
  signIn(subject: string, authorizationServer = "main", sid?: string): VerifiedLogin {
    const family: Family = {
      id: ++this.#serial,
      subject,
      current: this.#newRefreshToken(),
      consumed: new Set(),
      dead: false,
      generation: 1,
    };
    this.#families.set(String(family.id), family);
    this.#issue(family);
    const principal: Principal = { issuer: this.issuer, subject, clientId: this.clientId, sid };
    return {
      authorizationServer,
      principal,
      profile: { name: subject },
      obtainedAt: this.#options.now(),
      tokens: {
        accessToken: this.#accessToken(family, family.current),
        expiresInSeconds: this.#options.accessTokenSeconds ?? 30,
        refreshToken: family.current,
        refreshExpiresInSeconds: this.#options.refreshExpiresInSeconds,
        idToken: `id-${subject}-${this.#serial}` as IdToken,
      },
    };
  }

  /** Whether this refresh token would be accepted now. */
  isActive(token: string | undefined): boolean {
    const known = token === undefined ? undefined : this.#byToken.get(token);
    return known !== undefined && !known.family.dead && known.family.current === token && this.#options.now() < known.expiresAt;
  }

  /** Whether the family that this token belongs to still has a token that would be accepted. */
  isFamilyAlive(token: string | undefined): boolean {
    const known = token === undefined ? undefined : this.#byToken.get(token);
    return known !== undefined && this.isActive(known.family.current);
  }

  /** Lets the requests arrive that were delayed on their way. */
  deliverDelayed(): void {
    for (const deliver of this.#delayed.splice(0)) deliver();
  }

  async refresh(request: RefreshRequest): Promise<RefreshOutcome> {
    const known = this.#byToken.get(request.refreshToken);
    const presentation: Presentation = {
      refreshToken: request.refreshToken,
      subject: known?.family.subject ?? "?",
      startedAt: this.#options.now(),
      endedAt: undefined,
      startedAs: ++this.#order,
      endedAs: undefined,
      outcome: "open",
    };
    this.presentations.push(presentation);
    this.#open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.#open);
    const outcome = await this.#answer(request);
    this.#open -= 1;
    presentation.endedAs = ++this.#order;
    presentation.endedAt = this.#options.now();
    presentation.outcome = outcome.kind;
    return outcome;
  }

  async #answer(request: RefreshRequest): Promise<RefreshOutcome> {
    const sentAt = this.#options.now();
    await this.#options.pause?.("request", request);
    const fault = this.faults.shift();
    if (fault?.kind === "answer") return fault.outcome;
    if (fault === undefined && this.outage !== undefined) return this.outage;
    if (fault?.kind === "lose_request") return { kind: "ambiguous", cause: new Error("lost request") };
    if (fault?.kind === "delay_request") {
      this.#delayed.push(() => void this.#rotate(request.refreshToken));
      return { kind: "ambiguous", cause: new Error("no answer") };
    }
    const rotated = this.#rotate(request.refreshToken);
    await this.#options.pause?.("reply", request);
    if (fault?.kind === "lose_reply") return { kind: "ambiguous", cause: new Error("lost reply") };
    if (rotated === undefined) return { kind: "grant_dead", cause: new Error("invalid_grant") };
    const { family, refreshToken } = rotated;
    const subject = fault?.kind === "subject" ? fault.subject : family.subject;
    const body = JSON.stringify({
      access_token: this.#accessToken(family, refreshToken),
      refresh_token: refreshToken,
      expires_in: this.#options.accessTokenSeconds ?? 30,
      refresh_expires_in: this.#options.refreshExpiresInSeconds,
      token_type: "Bearer",
      subject,
      ...(fault?.kind === "reply" ? fault.fields : {}),
    });
    return { kind: "rotated", reply: { sentAt, receivedAt: this.#options.now(), body } };
  }

  #rotate(token: RefreshToken): { family: Family; refreshToken: RefreshToken } | undefined {
    const known = this.#byToken.get(token);
    if (known === undefined || known.family.dead || this.#options.now() >= known.expiresAt) return undefined;
    const { family } = known;
    if (family.current !== token) {
      const inGrace = known.consumedAt !== undefined && this.#options.now() <= known.consumedAt + (this.#options.graceMs ?? -1);
      if (inGrace) return { family, refreshToken: family.current };
      this.reuseEvents += 1;
      family.dead = true;
      return undefined;
    }
    if (this.#options.rotates === false) return { family, refreshToken: token };
    known.consumedAt = this.#options.now();
    family.consumed.add(token);
    family.current = this.#newRefreshToken();
    family.generation += 1;
    this.#issue(family);
    return { family, refreshToken: family.current };
  }

  async verify(_name: string, principal: Principal, reply: RawReply): Promise<Verification> {
    this.verifications += 1;
    await this.#options.pauseOther?.("verify");
    if (this.verificationAnswer !== undefined) return this.verificationAnswer;
    const parsed: Record<string, unknown> = JSON.parse(reply.body);
    const accessToken = String(parsed.access_token) as AccessToken;
    const refreshToken = typeof parsed.refresh_token === "string" ? (parsed.refresh_token as RefreshToken) : undefined;
    if (parsed.subject !== principal.subject)
      return {
        kind: "identity_mismatch",
        problem: "another subject",
        revocable: [
          ...(refreshToken === undefined ? [] : [{ kind: "refresh_token" as const, token: refreshToken }]),
          { kind: "access_token", token: accessToken },
        ],
      };
    return {
      kind: "verified",
      tokens: {
        accessToken,
        refreshToken,
        expiresInSeconds: Number(parsed.expires_in),
        grantedScopes: typeof parsed.scope === "string" ? parsed.scope.split(" ") : undefined,
        refreshExpiresInSeconds: typeof parsed.refresh_expires_in === "number" ? parsed.refresh_expires_in : undefined,
      },
    };
  }

  async introspect(_name: string, token: RefreshToken): Promise<IntrospectionOutcome> {
    this.introspections += 1;
    await this.#options.pauseOther?.("introspect");
    if (this.introspectionAnswer !== undefined) return this.introspectionAnswer;
    if (this.#options.introspection === "none" || this.#options.introspection === undefined) return { kind: "unsupported" };
    if (this.#options.introspection === "denies") return { kind: "inactive" };
    return this.isActive(token) ? { kind: "active" } : { kind: "inactive" };
  }

  async revoke(_name: string, token: RevocableToken): Promise<RevocationOutcome> {
    this.revocationTries += 1;
    await this.#options.pauseOther?.("revoke");
    const answer = this.revocationAnswers.shift() ?? this.revocationAnswer;
    if (answer.kind !== "revoked") return answer;
    this.revoked.push(token);
    const known = this.#byToken.get(token.token);
    if (known !== undefined && token.kind === "refresh_token") known.family.dead = true;
    return answer;
  }

  /**
   * The import side. An ID token is `id-SUBJECT-anything`; with `-expired` at its end it is an expired one, with `-bad` one
   * of a wrong signature; while `unreachable` it cannot be checked.
   */
  importPort(): ImportPort {
    return {
      checkImport: async ({ idToken }): Promise<ImportCheck> => {
        const subject = /^id-([a-z]+)-/.exec(idToken)?.[1];
        if (subject === undefined) return { kind: "rejected", problems: ["id_token is not a JWT"] };
        if (idToken.endsWith("-bad")) return { kind: "rejected", problems: ["id_token has a wrong signature"] };
        if (idToken.endsWith("-unreachable")) return { kind: "unavailable", cause: new Error("down") };
        const principal: Principal = { issuer: this.issuer, subject, clientId: this.clientId };
        return { kind: "ok", authorizationServer: "main", principal, profile: { name: subject }, expired: idToken.endsWith("-expired") };
      },
      identify: (name, principal, reply) => this.verify(name, principal, reply),
    };
  }

  #issue(family: Family): void {
    const { now, refreshTokenSeconds } = this.#options;
    const expiresAt = refreshTokenSeconds === undefined ? Number.POSITIVE_INFINITY : now() + refreshTokenSeconds * 1000;
    this.#byToken.set(family.current, { family, expiresAt });
  }

  #newRefreshToken(): RefreshToken {
    return `rt-${++this.#serial}` as RefreshToken;
  }

  #accessToken(family: Family, refreshToken: RefreshToken): AccessToken {
    const accessToken = `at-${family.subject}-${++this.#serial}` as AccessToken;
    this.issuedWith.set(accessToken, refreshToken);
    return accessToken;
  }
}
