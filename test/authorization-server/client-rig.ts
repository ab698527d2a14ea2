import { createHash, randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { McpAuthorizationServer } from "../../src/authorization-server/mcp-authorization-server.ts";
import type { ProviderFetch } from "../../src/authorization-server/metadata-document-fetch.ts";
import { AuthorizationServerPaths } from "../../src/http/authorization-server-paths.ts";
import { type Listener, listen } from "../../src/http/listen.ts";
import type { LoginSession, LoginSessionHandle } from "../../src/session/login-session.ts";
import type { AuthorizationServerRecordStore } from "../../src/session/store.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { HttpBrowser } from "../support/e2e-http-browser.ts";
import { type Fields, mustString, parseFields } from "../support/e2e-json.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { ModelAuthorizationServer } from "../support/model-authorization-server.ts";
import { makeReplica, type Replica } from "../support/token-bench.ts";

export interface ClientRigOptions {
  /** How many processes share the store. Default 1. */
  readonly replicas?: number;
  readonly fetch?: ProviderFetch;
  /** What browsers and clients are told; default: the first process's own address. */
  readonly publicUrl?: string;
  /** Where the authorization server's state is; default: in memory. */
  readonly records?: AuthorizationServerRecordStore;
  /** Before and after each access to the store. Default: others get their turn. */
  readonly pause?: () => Promise<void>;
}

export interface TokenAnswer {
  readonly status: number;
  readonly json: Fields;
}

const redirectUri = "http://127.0.0.1:1/callback";

/** The authorization server of MCP clients over real HTTP, once or several times on one store; consent and login are given from code. */
export class ClientRig {
  readonly clock = new ManualClock(Date.now());
  readonly company = new ModelAuthorizationServer({ now: () => this.clock.now() });
  readonly store = new MemoryStore(() => this.clock.now());
  readonly replica: Replica = makeReplica({ clock: this.clock, server: this.company, store: this.store });
  readonly servers: McpAuthorizationServer[] = [];
  readonly records: AuthorizationServerRecordStore;
  readonly #listeners: Listener[] = [];

  constructor(records?: AuthorizationServerRecordStore) {
    this.records = records ?? this.store.authorizationServerRecords;
  }

  static async start(options: ClientRigOptions = {}): Promise<ClientRig> {
    const rig = new ClientRig(options.records);
    const { clock, store, replica } = rig;
    for (let index = 0; index < (options.replicas ?? 1); index += 1) {
      const listener = await listen({ host: "127.0.0.1", port: 0, clock });
      rig.#listeners.push(listener);
      const { core, logins, logout } = replica;
      const server = new McpAuthorizationServer({
        publicUrl: options.publicUrl ?? rig.url,
        records: remote(rig.records, options.pause ?? (() => setImmediate())),
        usedIds: store.usedIds,
        sessions: core.sessions,
        logins,
        logout,
        lifetimes: { accessTokenSeconds: 300, refreshTokenSeconds: 3600 },
        clock,
        logger: core.logger,
        audit: core.audit,
        errorPage: (problem, code) => `${code}: ${problem}`,
        fetch: options.fetch,
      });
      const paths = new AuthorizationServerPaths(server, core.logger);
      listener.serve((request, response) => void paths.handle(request, response, (request.url ?? "").split("?")[0] ?? "", "none"));
      rig.servers.push(server);
    }
    return rig;
  }

  get url(): string {
    return this.#listeners[0]?.url ?? "";
  }

  get server(): McpAuthorizationServer {
    const [server] = this.servers;
    if (server === undefined) throw new Error("The rig has no server.");
    return server;
  }

  async register(metadata: Fields = {}): Promise<TokenAnswer> {
    return this.#post(
      "/oauth/register",
      JSON.stringify({ redirect_uris: [redirectUri], token_endpoint_auth_method: "none", ...metadata }),
      {
        "content-type": "application/json",
      },
    );
  }

  async clientId(metadata: Fields = {}): Promise<string> {
    return mustString((await this.register(metadata)).json, "client_id");
  }

  /** Opens an authorization request in a browser of its own. Gives where it leads. */
  async authorize(clientId: string, more: Readonly<Record<string, string>> = {}) {
    const browser = new HttpBrowser(this.url);
    const verifier = randomBytes(32).toString("base64url");
    const query = new URLSearchParams({
      client_id: clientId,
      redirect_uri: redirectUri,
      response_type: "code",
      state: "s",
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
      ...more,
    });
    const answer = await browser.get(`/oauth/authorize?${query}`, { accept: "text/html" });
    return { browser, verifier, answer, uid: /\/oauth\/consent\/([\w-]+)$/.exec(answer.headers.get("location") ?? "")?.[1] ?? "" };
  }

  /** Consents and signs in as this user; gives the code and its verifier. */
  async code(clientId: string, user: string, more: Readonly<Record<string, string>> = {}) {
    const { browser, verifier, uid } = await this.authorize(clientId, more);
    await this.records.put({
      kind: "Consent",
      id: uid,
      content: JSON.stringify({ clientId, csrfToken: "c" }),
      consumedAt: this.clock.now(),
      expiresAt: this.clock.now() + 900_000,
    });
    const onward = await this.server.complete(uid, this.company.signIn(user));
    const answer = new URL((await browser.get(onward ?? "")).headers.get("location") ?? "");
    return { code: answer.searchParams.get("code") ?? "", verifier, answer };
  }

  exchange(clientId: string, { code, verifier }: { readonly code: string; readonly verifier: string }, more: Fields = {}, index = 0) {
    return this.token(
      { grant_type: "authorization_code", client_id: clientId, code, redirect_uri: redirectUri, code_verifier: verifier, ...more },
      index,
    );
  }

  /** A client with tokens for this user. */
  async grant(user: string, metadata: Fields = {}) {
    const clientId = await this.clientId(metadata);
    const { json } = await this.exchange(clientId, await this.code(clientId, user));
    return { clientId, accessToken: mustString(json, "access_token"), refreshToken: mustString(json, "refresh_token") };
  }

  refresh(clientId: string, refreshToken: string, more: Fields = {}, index = 0): Promise<TokenAnswer> {
    return this.token({ grant_type: "refresh_token", client_id: clientId, refresh_token: refreshToken, ...more }, index);
  }

  token(fields: Fields, index = 0): Promise<TokenAnswer> {
    return this.#post("/oauth/token", form(fields), {}, index);
  }

  revoke(fields: Fields): Promise<TokenAnswer> {
    return this.#post("/oauth/revoke", form(fields), {});
  }

  /** The login session of an access token. */
  async loginOf(accessToken: string): Promise<LoginSession | undefined> {
    const payload = parseFields(Buffer.from(accessToken.split(".")[1] ?? "", "base64url").toString());
    return this.store.loginSessions.getByHandle(mustString(payload, "sub") as LoginSessionHandle);
  }

  /** The security events of one kind. */
  events(event: string) {
    return this.replica.events.filter((each) => each.event === event);
  }

  async stop(): Promise<void> {
    for (const server of this.servers) server.close();
    await Promise.all(this.#listeners.map((listener) => listener.close(0)));
  }

  async #post(path: string, body: string | URLSearchParams, headers: Record<string, string>, index = 0): Promise<TokenAnswer> {
    const response = await fetch(`${this.#listeners[index]?.url}${path}`, { method: "POST", body, headers });
    return { status: response.status, json: parseFields(await response.text()) };
  }
}

function form(fields: Fields): URLSearchParams {
  return new URLSearchParams(Object.entries(fields).map(([name, value]): [string, string] => [name, String(value)]));
}

/** The store as it is when it is far away: others get their turn before each answer. */
function remote(records: AuthorizationServerRecordStore, pause: () => Promise<void>): AuthorizationServerRecordStore {
  const far = async <T>(run: () => Promise<T>): Promise<T> => {
    await pause();
    const result = await run();
    await pause();
    return result;
  };
  return {
    put: (record) => far(() => records.put(record)),
    get: (kind, id, now) => far(() => records.get(kind, id, now)),
    getByUid: (kind, uid, now) => far(() => records.getByUid(kind, uid, now)),
    getByUserCode: (kind, userCode, now) => far(() => records.getByUserCode(kind, userCode, now)),
    consume: (kind, id, now) => far(() => records.consume(kind, id, now)),
    remove: (kind, id) => far(() => records.remove(kind, id)),
    removeByGrant: (grantId) => far(() => records.removeByGrant(grantId)),
  };
}
