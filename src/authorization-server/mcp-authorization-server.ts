import type { IncomingMessage, ServerResponse } from "node:http";
import type Provider from "oidc-provider";
import type { Interaction } from "oidc-provider";
import type { Authenticator } from "../session/authenticator.ts";
import type { LoginSession, LoginSessionHandle } from "../session/login-session.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import type { UsedIdStore } from "../session/store.ts";
import type { Logins } from "../token/logins.ts";
import type { Logout } from "../token/logout.ts";
import type { VerifiedLogin } from "../token/ports.ts";
import { AccessTokenAuthenticator } from "./access-token-authenticator.ts";
import { simplifyAuthorizationRequest } from "./authorization-request.ts";
import { type ConsentClient, type ConsentRequest, Consents } from "./consents.ts";
import { createProvider, type ProviderOptions } from "./provider.ts";
import { endpoints } from "./provider-configuration.ts";
import { unclaimedKind } from "./record-adapter.ts";
import { mcpScope, type ResourceMetadata, Resources } from "./resources.ts";
import { SigningKeys } from "./signing-keys.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface McpAuthorizationServerOptions
  extends Pick<ProviderOptions, "records" | "lifetimes" | "clock" | "logger" | "audit" | "errorPage" | "fetch"> {
  /** The origin that clients and browsers know. */
  readonly publicUrl: string;
  readonly usedIds: UsedIdStore;
  readonly sessions: LoginSessions;
  readonly logins: Pick<Logins, "start" | "repair">;
  readonly logout: Pick<Logout, "end">;
}

/** A client that somebody consented to is known for this time, counted from the newest consent. */
const usedClientMs = 365 * 24 * 3600_000;
/** Longer than any code lives: a grant of which nobody has fetched a token by then is given up. */
const claimMs = 5 * 60_000;
/** Clients that register themselves: so many at once, then one a second. */
const registrationsAtOnce = 60;
const registrationEveryMs = 1_000;

/**
 * Latchkey as the authorization server of MCP clients. A client that is given nothing but an address registers itself, the
 * user consents and signs in at the company's authorization server, and the client gets tokens of Latchkey's own for one
 * login session. What the company's authorization server gave never leaves (B11).
 */
export class McpAuthorizationServer {
  readonly authenticator: Authenticator;
  readonly #options: McpAuthorizationServerOptions;
  readonly #resources: Resources;
  readonly #keys: SigningKeys;
  readonly #consents: Consents;
  readonly #registrations: TokenBucket;
  readonly #stop: () => void;
  #provider: Promise<Provider> | undefined;

  constructor(options: McpAuthorizationServerOptions) {
    const { publicUrl, records, usedIds, clock, sessions } = options;
    this.#options = options;
    this.#resources = new Resources(publicUrl);
    this.#keys = new SigningKeys({ records, usedIds, clock });
    this.#consents = new Consents(records, clock);
    this.#registrations = new TokenBucket(clock, registrationsAtOnce, registrationEveryMs);
    this.authenticator = new AccessTokenAuthenticator({ keys: this.#keys, resources: this.#resources, sessions, clock });
    this.#stop = sessions.onChange((next) => this.#follow(next));
  }

  /** The metadata of the protected resource, by path (RFC 9728). */
  get resourceDocuments(): ReadonlyMap<string, ResourceMetadata> {
    return this.#resources.documents();
  }

  /** Where a client that was refused at this path finds out how to sign in, and what it has to ask for. */
  challenge(path: string): { readonly resourceMetadata: string; readonly scope: string } {
    return { resourceMetadata: this.#resources.metadataUrl(path), scope: mcpScope };
  }

  /** Whether this path is one of its endpoints. The consent page is not. */
  handles(pathname: string): boolean {
    return Object.values<string>(endpoints).includes(pathname) || /^\/oauth\/authorize\/[\w-]{1,100}$/.test(pathname);
  }

  /** Answers a request to one of its endpoints. Throws LatchkeyError `store_unavailable`, and `rate_limited` has been answered. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = "/", search = ""] = (request.url ?? "/").split("?");
    if (path === endpoints.registration && request.method === "POST" && !this.#registrations.take()) {
      response.writeHead(429, { "retry-after": "5", "content-type": "application/json", "cache-control": "no-store" });
      response.end(JSON.stringify({ error: "temporarily_unavailable", error_description: "Too many clients register now. Try again." }));
      return;
    }
    if (path === endpoints.authorization) request.url = `${path}?${simplifyAuthorizationRequest(new URLSearchParams(search))}`;
    this.#showPublicAddress(request);
    const provider = await this.#load();
    await provider.callback()(request, response);
  }

  /** The question that the user of this browser is to answer; undefined: there is none, or it was answered. */
  async findConsent(uid: string, request: IncomingMessage, response: ServerResponse): Promise<ConsentRequest | undefined> {
    this.#showPublicAddress(request);
    return this.#consents.find(await this.#load(), uid, request, response);
  }

  /** Takes the answer to a question that `findConsent` gave, once; false: it was answered, or the form is another's. */
  async takeConsent({ uid, clientId, clientName }: ConsentRequest, csrfToken: string, isGiven: boolean): Promise<boolean> {
    const isTaken = await this.#consents.take(uid, csrfToken);
    const event = isTaken && isGiven ? "consent_given" : "consent_refused";
    this.#options.audit.record({ event, client: clientId, name: clientName, isTaken });
    return isTaken;
  }

  /** The user said no. Gives the address to send the browser to; undefined: the request is over. */
  async refuse(uid: string): Promise<string | undefined> {
    const interaction = await (await this.#load()).Interaction.find(uid);
    if (interaction === undefined) return undefined;
    return finish(interaction, { error: "access_denied", error_description: "the user said no" });
  }

  /** Whether the authorization request can still be finished. */
  async isOpen(uid: string): Promise<boolean> {
    const [client, interaction] = await Promise.all([this.#consents.answered(uid), (await this.#load()).Interaction.find(uid)]);
    return client !== undefined && interaction !== undefined;
  }

  /**
   * The user who consented has signed in: the client gets a login session of its own, or the one that needed this sign-in.
   * Gives the address to send the browser to; undefined: the request is over, and so is the login. Throws what `Logins` throws.
   */
  async complete(uid: string, login: VerifiedLogin): Promise<string | undefined> {
    const provider = await this.#load();
    const { records, clock, logout } = this.#options;
    const client = await this.#consents.answered(uid);
    const record = await this.#signIn(client, login);
    const interaction = await provider.Interaction.find(uid);
    if (interaction === undefined || client === undefined) {
      await logout.end(record.id, "grant_ended");
      return undefined;
    }
    // What the client held for this login session before is void: one grant, one login session.
    await records.removeByGrant(record.handle);
    const grant = new provider.Grant({ accountId: record.handle, clientId: client.clientId });
    grant.jti = record.handle;
    for (const resource of [interaction.params.resource].flat())
      grant.addResourceScope(String(resource ?? this.#resources.usual), mcpScope);
    const grantId = await grant.save();
    await this.#awaitClaim(record.handle);
    const registration = await records.get("Client", client.clientId, clock.now());
    if (registration !== undefined) await records.put({ ...registration, expiresAt: clock.now() + usedClientMs });
    return finish(interaction, { login: { accountId: record.handle, remember: false }, consent: { grantId } });
  }

  /** Stops following the login sessions. */
  close(): void {
    this.#stop();
  }

  async #signIn(client: ConsentClient | undefined, login: VerifiedLogin): Promise<LoginSession> {
    const { sessions, logins } = this.#options;
    const { clientId = "", clientName } = client ?? {};
    const { issuer, subject } = login.principal;
    const [waiting] = (await sessions.listByUser(issuer, subject)).filter(
      ({ state, origin, principal }) =>
        state === "login_required" &&
        origin.kind === "mcp_client" &&
        origin.clientId === clientId &&
        principal.clientId === login.principal.clientId,
    );
    if (waiting !== undefined) return logins.repair(waiting.handle, login);
    return logins.start(login, { kind: "mcp_client", clientId, clientName });
  }

  /** A browser may never come back with the code: nobody would ever use or end such a login session. */
  async #awaitClaim(handle: LoginSessionHandle): Promise<void> {
    const { records, clock, logger } = this.#options;
    await records.put({ kind: unclaimedKind, id: handle, grantId: handle, content: "", expiresAt: clock.now() + 2 * claimMs });
    clock.schedule(claimMs, () => {
      records
        .get(unclaimedKind, handle, clock.now())
        .then((unclaimed) => (unclaimed === undefined ? undefined : this.#endLogin(handle)))
        .catch((error: unknown) =>
          logger.warn("A login session that no client fetched lives on until it is idle.", { login: handle, error }),
        );
    });
  }

  #load(): Promise<Provider> {
    this.#provider ??= createProvider({
      ...this.#options,
      resources: this.#resources,
      keys: this.#keys,
      isUsable: (handle) => this.#isUsable(handle),
      endLogin: (handle) => this.#endLogin(handle),
    }).catch((error: unknown) => {
      this.#provider = undefined;
      throw error;
    });
    return this.#provider;
  }

  async #isUsable(handle: string): Promise<boolean> {
    const record = await this.#options.sessions.getByHandle(handle as LoginSessionHandle);
    return record !== undefined && record.state !== "ended" && record.state !== "login_required";
  }

  async #endLogin(handle: string): Promise<void> {
    const { sessions, logout, audit } = this.#options;
    const record = await sessions.getByHandle(handle as LoginSessionHandle);
    if (record?.origin.kind !== "mcp_client" || record.state === "ended") return;
    audit.record({ event: "client_grant_ended", login: record.handle, client: record.origin.clientId });
    await logout.end(record.id, "grant_ended");
  }

  #follow({ state, origin, handle }: LoginSession): void {
    if (state !== "ended" || origin.kind !== "mcp_client") return;
    this.#options.records.removeByGrant(handle).catch((error: unknown) => {
      // Nothing is to be had with it: the token endpoint looks at the login session.
      this.#options.logger.warn("The grant of a login session that ended stays in the store until it expires.", { login: handle, error });
    });
  }

  /** oidc-provider makes addresses and cookies from the request; they are to be those of the public origin. */
  #showPublicAddress(request: IncomingMessage): void {
    const { host, protocol } = new URL(this.#resources.issuer);
    request.headers["x-forwarded-host"] = host;
    request.headers["x-forwarded-proto"] = protocol.slice(0, -1);
    delete request.headers["x-forwarded-for"];
  }
}

async function finish(interaction: Interaction, result: Interaction["result"]): Promise<string> {
  interaction.result = result;
  await interaction.persist();
  return interaction.returnTo;
}
