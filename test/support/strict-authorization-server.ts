import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { ScriptedAuthorizationServer, type ScriptedRequest, sendJson } from "./scripted-authorization-server.ts";

export interface StrictOptions {
  /** Its own clock, milliseconds since the epoch. */
  readonly now: () => number;
  /** Default 30. */
  readonly accessTokenSeconds?: number;
  /** A refresh token that was used is accepted again for this time, and answered with its successor. Default: never. */
  readonly graceSeconds?: number;
  /** Default true. */
  readonly rotates?: boolean;
  /** How long a grant lives from its login on, however it is used. Default: for ever. */
  readonly grantSeconds?: number;
  /** `denies`: "inactive" to everything. Default none. */
  readonly introspection?: "works" | "denies" | "none";
  /** `forgets`: 400 to a token that it does not know (any more). Default works. */
  readonly revocation?: "works" | "forgets" | "none";
  /** An access token dies when the next one is issued, and not only by age. Default false. */
  readonly oneAccessToken?: boolean;
  /** All logins of a user are one grant: they have one `sid`, and what ends one of them ends them all. Default false. */
  readonly sharedGrant?: boolean;
}

/** One thing that happened at the authorization server. */
export interface LedgerEntry {
  readonly kind: "issued" | "presented" | "rotated" | "replayed" | "reuse" | "refused" | "introspected" | "revoked";
  /** Which login, counted from 1. */
  readonly login: number;
  readonly subject: string;
  /** Of the refresh token that it is about; a login's first one is 1. */
  readonly generation: number;
  readonly at: number;
}

/** What the token endpoint says. */
export interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** One presentation of a refresh token, with its answer still open. */
export interface Presented {
  readonly request: ScriptedRequest;
  readonly response: ServerResponse;
  readonly login: number;
  /** Lets the server do what it would have done: from here on the token is spent. */
  decide(): Promise<TokenAnswer>;
}

/** What happens to a presentation instead of being answered. */
export type PresentationFault = (presented: Presented) => unknown;

interface Grant {
  readonly login: number;
  readonly subject: string;
  readonly bornAt: number;
  current: string;
  generation: number;
  accessToken: string;
  dead: boolean;
}

interface KnownRefreshToken {
  readonly grant: Grant;
  readonly generation: number;
  usedAt?: number;
}

/**
 * An authorization server over real HTTP that rotates and does not forgive: a second use of a refresh token ends its
 * grant, unless it has a grace period. It keeps a ledger, and each presentation can be made to fail in any way. `GET /me`
 * beside it is an API that takes its access tokens.
 */
export class StrictAuthorizationServer {
  readonly http: ScriptedAuthorizationServer;
  readonly ledger: LedgerEntry[] = [];
  /** For the next presentations, one each. */
  readonly faults: PresentationFault[] = [];
  /** For every presentation that none of `faults` is for. */
  always: PresentationFault | undefined;
  /** Instead of the answers of introspection and revocation. */
  other: ((request: ScriptedRequest, response: ServerResponse) => unknown) | undefined;
  /** The API waits for this before it looks at the access token. */
  beforeApi: () => Promise<void> = () => Promise.resolve();
  /** How many access tokens the API has refused. */
  apiRefusals = 0;
  readonly options: StrictOptions;
  readonly clientId = "client-1";
  readonly #codes = new Map<string, { readonly subject: string; readonly nonce: string | null }>();
  readonly #refreshTokens = new Map<string, KnownRefreshToken>();
  readonly #accessTokens = new Map<string, { readonly grant: Grant; readonly expiresAt: number }>();
  #logins = 0;
  #open = 0;
  /** The most presentations that were open at one time. */
  mostOpen = 0;

  private constructor(http: ScriptedAuthorizationServer, options: StrictOptions) {
    this.http = http;
    this.options = options;
    http.document = {
      ...(options.introspection === "none" || options.introspection === undefined ? { introspection_endpoint: undefined } : {}),
      ...(options.revocation === "none" ? { revocation_endpoint: undefined } : {}),
      end_session_endpoint: undefined,
    };
    http.on("/token", (request, response) => this.#token(request, response));
    http.on("/introspect", (request, response) => (this.other ?? this.#introspect.bind(this))(request, response));
    http.on("/revoke", (request, response) => (this.other ?? this.#revoke.bind(this))(request, response));
    http.on("/me", (request, response) => this.#me(request, response));
  }

  static async start(options: StrictOptions): Promise<StrictAuthorizationServer> {
    return new StrictAuthorizationServer(await ScriptedAuthorizationServer.start(), options);
  }

  get issuer(): string {
    return this.http.issuer;
  }

  /** What a browser would be sent back with once this user has signed in. */
  signIn(authorizationUrl: string, subject: string): URL {
    const asked = new URL(authorizationUrl).searchParams;
    const code = randomUUID();
    this.#codes.set(code, { subject, nonce: asked.get("nonce") });
    const back = new URL(asked.get("redirect_uri") ?? "");
    back.searchParams.set("code", code);
    back.searchParams.set("state", asked.get("state") ?? "");
    return back;
  }

  /** A login that did not come through Latchkey: what a backend imports. */
  async tokensOf(subject: string): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#issue(this.#newGrant(subject), undefined)).body;
  }

  count(kind: LedgerEntry["kind"], subject?: string): number {
    return this.ledger.filter((entry) => entry.kind === kind && (subject === undefined || entry.subject === subject)).length;
  }

  /** Whether this refresh token would be accepted as the newest of its grant. */
  isCurrent(refreshToken: string | undefined): boolean {
    const known = refreshToken === undefined ? undefined : this.#refreshTokens.get(refreshToken);
    return known !== undefined && this.#isAlive(known.grant) && known.grant.current === refreshToken;
  }

  /** Ends the grant of this refresh token behind Latchkey's back. */
  revokeBehind(refreshToken: string | undefined): void {
    const known = this.#refreshTokens.get(refreshToken ?? "");
    if (known !== undefined) this.#end(known.grant);
  }

  close(): Promise<void> {
    return this.http.close();
  }

  async #token(request: ScriptedRequest, response: ServerResponse): Promise<void> {
    const code = this.#codes.get(request.form.get("code") ?? "");
    if (code !== undefined) {
      const { status, body } = await this.#issue(this.#newGrant(code.subject), code.nonce ?? undefined);
      sendJson(response, status, body);
      return;
    }
    const refreshToken = request.form.get("refresh_token") ?? "";
    const known = this.#refreshTokens.get(refreshToken);
    this.#note("presented", known);
    this.#open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.#open);
    response.once("close", () => {
      this.#open -= 1;
    });
    const decide = (): Promise<TokenAnswer> => this.#decide(refreshToken);
    const fault = this.faults.shift() ?? this.always;
    if (fault !== undefined) {
      await fault({ request, response, login: known?.grant.login ?? 0, decide });
      return;
    }
    const { status, body } = await decide();
    sendJson(response, status, body);
  }

  async #decide(refreshToken: string): Promise<TokenAnswer> {
    const known = this.#refreshTokens.get(refreshToken);
    if (known === undefined || !this.#isAlive(known.grant)) {
      this.#note("refused", known);
      return { status: 400, body: { error: "invalid_grant" } };
    }
    const { grant } = known;
    if (grant.current !== refreshToken) {
      if (this.#isForgiven(known)) {
        this.#note("replayed", known);
        return this.#issue(grant, undefined);
      }
      this.#note("reuse", known);
      this.#end(grant);
      return { status: 400, body: { error: "invalid_grant" } };
    }
    this.#note("rotated", known);
    if (this.options.rotates === false) return this.#issue(grant, undefined);
    known.usedAt = this.options.now();
    this.#rotate(grant);
    return this.#issue(grant, undefined);
  }

  #isForgiven({ usedAt }: KnownRefreshToken): boolean {
    const { graceSeconds, now } = this.options;
    return graceSeconds !== undefined && usedAt !== undefined && now() < usedAt + graceSeconds * 1000;
  }

  #isAlive(grant: Grant): boolean {
    const { grantSeconds, now } = this.options;
    return !grant.dead && (grantSeconds === undefined || now() < grant.bornAt + grantSeconds * 1000);
  }

  #newGrant(subject: string): Grant {
    this.#logins += 1;
    const grant: Grant = {
      login: this.#logins,
      subject,
      bornAt: this.options.now(),
      current: "",
      generation: 0,
      accessToken: "",
      dead: false,
    };
    this.#rotate(grant);
    this.#note("issued", this.#refreshTokens.get(grant.current));
    return grant;
  }

  /** A grant ends whole, its access token included. */
  #end(ended: Grant): void {
    for (const { grant } of this.#refreshTokens.values()) {
      if (grant !== ended && !(this.options.sharedGrant && grant.subject === ended.subject)) continue;
      grant.dead = true;
      this.#accessTokens.delete(grant.accessToken);
    }
  }

  #rotate(grant: Grant): void {
    grant.generation += 1;
    grant.current = `rt-${grant.login}-${grant.generation}-${randomUUID()}`;
    this.#refreshTokens.set(grant.current, { grant, generation: grant.generation });
  }

  async #issue(grant: Grant, nonce: string | undefined): Promise<TokenAnswer> {
    const { now, accessTokenSeconds = 30, oneAccessToken = false, sharedGrant = false } = this.options;
    if (oneAccessToken) this.#accessTokens.delete(grant.accessToken);
    grant.accessToken = `at-${grant.login}-${randomUUID()}`;
    this.#accessTokens.set(grant.accessToken, { grant, expiresAt: now() + accessTokenSeconds * 1000 });
    const body = {
      access_token: grant.accessToken,
      token_type: "Bearer",
      expires_in: accessTokenSeconds,
      refresh_token: grant.current,
      id_token: await this.idToken({ sub: grant.subject, nonce, sid: sharedGrant ? `sid-of-${grant.subject}` : undefined }),
    };
    return { status: 200, body };
  }

  /** A good ID token by this server's clock, but for these claims. */
  idToken(claims: Readonly<Record<string, unknown>>, options?: Parameters<ScriptedAuthorizationServer["idToken"]>[1]): Promise<string> {
    const now = Math.floor(this.options.now() / 1000);
    return this.http.idToken({ aud: this.clientId, iat: now, exp: now + 300, ...claims }, options);
  }

  #introspect(request: ScriptedRequest, response: ServerResponse): void {
    const token = request.form.get("token") ?? "";
    this.#note("introspected", this.#refreshTokens.get(token));
    sendJson(response, 200, { active: this.options.introspection === "works" && this.isCurrent(token) });
  }

  #revoke(request: ScriptedRequest, response: ServerResponse): void {
    const token = request.form.get("token") ?? "";
    const known = this.#refreshTokens.get(token);
    const isKnown = (known !== undefined && this.#isAlive(known.grant)) || this.#accessTokens.has(token);
    if (this.options.revocation === "forgets" && !isKnown) {
      sendJson(response, 400, { error: "invalid_token" });
      return;
    }
    if (known !== undefined) {
      this.#end(known.grant);
      this.#note("revoked", known);
    }
    this.#accessTokens.delete(token);
    response.writeHead(200).end();
  }

  async #me(request: ScriptedRequest, response: ServerResponse): Promise<void> {
    await this.beforeApi();
    const accessToken = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
    const known = this.#accessTokens.get(accessToken);
    if (known === undefined || this.options.now() >= known.expiresAt) {
      this.apiRefusals += 1;
      sendJson(response, 401, { error: "invalid_token" });
      return;
    }
    sendJson(response, 200, { subject: known.grant.subject, login: known.grant.login });
  }

  #note(kind: LedgerEntry["kind"], known: KnownRefreshToken | undefined): void {
    const { login = 0, subject = "?" } = known?.grant ?? {};
    this.ledger.push({ kind, login, subject, generation: known?.generation ?? 0, at: this.options.now() });
  }
}
