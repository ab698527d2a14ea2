import { setImmediate } from "node:timers/promises";
import type { z } from "zod";
import { type HttpServer, startHttpServer } from "../../src/composition/http-server.ts";
import { configSchema } from "../../src/config/schema.ts";
import { createLogger } from "../../src/logger.ts";
import type { AccessToken, LoginSession, LoginSessionId, RefreshToken } from "../../src/session/login-session.ts";
import type { WatchedLoginSession } from "../../src/session/login-sessions.ts";
import { hashConnectionKey, newConnectionKey } from "../../src/session/random.ts";
import { type Behaviour, type FaultServer, startFaultServer } from "../../src/testing/index.ts";
import type { VerifiedLogin } from "../../src/token/ports.ts";
import { type HttpTransport, McpClient } from "../support/e2e-clients.ts";
import { type Fields, parseFields } from "../support/e2e-json.ts";
import { eventually } from "../support/e2e-wait.ts";
import type { AtEnd } from "../support/e2e-world.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { Hold } from "../support/token-bench.ts";
import { type Counted, countIn } from "./ledger-counts.ts";

type ConfigInput = z.input<typeof configSchema>;

export interface FaultWorldOptions {
  /** What the authorization server is like, besides what it always is here. */
  readonly server?: readonly Behaviour[];
  /** What the configuration says of it. */
  readonly policy?: Partial<ConfigInput["authorizationServers"][string]>;
  /** The rest of the configuration. */
  readonly config?: Partial<ConfigInput>;
}

export interface FaultUser {
  readonly subject: string;
  readonly key: string;
  readonly login: WatchedLoginSession;
  /** The login session as it is now. */
  record(): LoginSession;
}

const stepMs = 250;
const clientId = "client";

/** Strict rotation, access tokens of 30 s, and no introspection. */
const usual: readonly Behaviour[] = [
  { kind: "access_token_life", seconds: 30 },
  { kind: "discovery_fields", fields: { introspection_endpoint: undefined, end_session_endpoint: undefined } },
];

/** It has introspection as well. */
export const introspects: Behaviour = { kind: "discovery_fields", fields: { end_session_endpoint: undefined } };
/** A consumed refresh token is answered once more, with its successor. */
export const forgives30Seconds: Behaviour = { kind: "grace_rotation", seconds: 30, answer: "same_successor" };
export const keepsRefreshToken: Behaviour = { kind: "no_rotation", reply: "same_token" };

/** What a backend hands over to import a login. */
export type HandedOver = Readonly<Record<"id_token" | "access_token" | "refresh_token", string>> & { readonly expires_in: number };

/**
 * All of Latchkey over real HTTP, in front of it real MCP clients, behind it an authorization server that can be made to fail
 * in any way. Only the time is not real: both sides have the same clock, which stands still until it is moved.
 */
export class FaultWorld {
  readonly clock: ManualClock;
  readonly server: FaultServer;
  readonly latchkey: HttpServer;
  /** The log, each line as it was written. */
  readonly lines: readonly string[];
  readonly users: FaultUser[] = [];
  /** Where `holds` lets presentations wait. Time goes by beside them; for every other one it waits. */
  readonly hold = new Hold();
  readonly #clients: McpClient[] = [];

  private constructor(clock: ManualClock, server: FaultServer, latchkey: HttpServer, lines: readonly string[]) {
    this.clock = clock;
    this.server = server;
    this.latchkey = latchkey;
    this.lines = lines;
  }

  static async start(atEnd: AtEnd, options: FaultWorldOptions = {}): Promise<FaultWorld> {
    const clock = new ManualClock(Math.floor(Date.now() / 1000) * 1000);
    const server = await startFaultServer({ clock, clients: [{ clientId }], behaviours: [...usual, ...(options.server ?? [])] });
    const config = configSchema.parse({
      server: { port: 0 },
      authorizationServers: { main: { issuer: server.issuer, clientId, ...options.policy } },
      store: { type: "memory" },
      apis: { sample: { baseUrl: `${server.origin}/` } },
      tools: [{ name: "me", description: "Who the API takes the access token for.", api: "sample", path: "/userinfo" }],
      ...options.config,
    });
    const lines: string[] = [];
    const logger = createLogger({ level: "debug", format: "json", write: (line) => lines.push(line), now: () => clock.now() });
    const world = new FaultWorld(clock, server, await startHttpServer({ config, clock, logger }), lines);
    atEnd(() => world.#close());
    return world;
  }

  /** Signs a user in by the code flow, with a connection key. */
  async signIn(subject = "alice"): Promise<FaultUser> {
    const { core, publicUrl } = this.latchkey;
    const redirectUri = `${publicUrl}/login/callback`;
    const { url, state, nonce, codeVerifier } = await core.authorizationServers.beginLogin("main", { redirectUri });
    const callbackUrl = await this.#approve(url, subject);
    const login = await core.authorizationServers.completeLogin("main", { callbackUrl, redirectUri, state, nonce, codeVerifier });
    return this.#admit(login, subject);
  }

  /** A login session whose tokens did not come through the configured token endpoint. */
  async signInElsewhere(subject = "alice"): Promise<FaultUser> {
    const { accessToken, refreshToken, expiresInSeconds } = await this.server.issue({ subject });
    const tokens = { accessToken: accessToken as AccessToken, refreshToken: refreshToken as RefreshToken, expiresInSeconds };
    const principal = { issuer: this.server.issuer, subject, clientId };
    return this.#admit({ authorizationServer: "main", principal, profile: {}, tokens, obtainedAt: this.clock.now() }, subject);
  }

  /** A login that did not come through Latchkey: what a backend imports. */
  async handedOver(subject: string): Promise<HandedOver> {
    const { idToken, accessToken, refreshToken, expiresInSeconds } = await this.server.issue({ subject });
    return { id_token: idToken, access_token: accessToken, refresh_token: refreshToken, expires_in: expiresInSeconds };
  }

  /** As another client process would that has the same refresh token. */
  async refreshElsewhere(refreshToken: string | undefined): Promise<Fields> {
    const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: refreshToken ?? "", client_id: clientId });
    return parseFields(await (await fetch(`${this.server.issuer}/token`, { method: "POST", body })).text());
  }

  /** Ends the grant of this refresh token behind Latchkey's back. */
  async revokeBehind(refreshToken: string | undefined): Promise<void> {
    const body = new URLSearchParams({ token: refreshToken ?? "", client_id: clientId });
    await fetch(`${this.server.issuer}/revoke`, { method: "POST", body });
  }

  /** How often it happened at the authorization server, to one user where one is named. */
  count(kind: Counted, subject?: string): number {
    return countIn(this.server.ledger, kind, subject);
  }

  /** Whether this refresh token would be accepted as the newest of its grant. */
  isCurrent(refreshToken: string | undefined): boolean {
    return refreshToken !== undefined && this.server.isActive(refreshToken);
  }

  /** When the last presentation came, milliseconds since the epoch. */
  get lastPresentedAt(): number {
    return this.server.ledger.refreshes.at(-1)?.receivedAt ?? 0;
  }

  /** Signs this user in at the authorization server, and gives where the browser is sent back to. */
  async #approve(authorizationUrl: string, subject: string): Promise<URL> {
    const url = new URL(authorizationUrl);
    url.searchParams.set("login_hint", subject);
    const response = await fetch(url, { redirect: "manual" });
    return new URL(response.headers.get("location") ?? "");
  }

  async #admit(login: VerifiedLogin, subject: string): Promise<FaultUser> {
    const { id } = await this.latchkey.core.logins.start(login, { kind: "browser" });
    return this.admit(id, subject);
  }

  /** A login session that is there, with a connection key. Time waits for its presentations from now on. */
  async admit(id: LoginSessionId | undefined, subject: string): Promise<FaultUser> {
    if (id === undefined) throw new Error("There is no such login session.");
    const { core } = this.latchkey;
    const key = newConnectionKey();
    const record = { id, hash: hashConnectionKey(key), loginSessionId: id, name: "test", createdAt: this.clock.now() };
    await core.store.connectionKeys.insert(record, 2);
    const watched = await core.sessions.watch(id);
    if (watched === undefined) throw new Error("The login session is gone.");
    const user: FaultUser = { subject, key, login: watched, record: () => watched.current() };
    this.users.push(user);
    return user;
  }

  /** A real MCP client with the user's connection key; closed at the end. */
  async connect({ key }: FaultUser, kind: HttpTransport = "http"): Promise<McpClient> {
    const client = await McpClient.connectHttp(kind, this.latchkey.publicUrl, key);
    this.#clients.push(client);
    return client;
  }

  /** Lets time go by, the heartbeat and everything else running. Presentations that are answered at all are answered within a step. */
  async pass(seconds: number): Promise<void> {
    for (let left = seconds * 1000; left > 0; left -= stepMs) {
      await this.clock.advance(Math.min(left, stepMs));
      await this.#quiet();
    }
  }

  /** Lets time go by until it is so, at most `withinSeconds`, and gives what was looked for. */
  async until<T>(what: string, look: () => T | undefined | false, withinSeconds = 60): Promise<T> {
    for (let left = withinSeconds * 1000; left >= 0; left -= stepMs) {
      const found = look();
      if (found !== undefined && found !== false) return found;
      await this.pass(stepMs / 1000);
    }
    throw new Error(`${withinSeconds} s went by in vain: ${what}. ${JSON.stringify(this.users.map((user) => statusOf(user.record())))}`);
  }

  /** The security events of one kind, and of one user where one is given. */
  audit(event: string, user?: FaultUser): readonly Fields[] {
    return this.lines
      .filter((line) => line.includes('"audit":true'))
      .map(parseFields)
      .filter((fields) => fields.event === event && (user === undefined || fields.login === user.record().handle));
  }

  /** The reasons of the presentations of one user, in order. */
  reasons(user: FaultUser): readonly unknown[] {
    return this.audit("refresh_presented", user).map(({ reason }) => reason);
  }

  /** Until no presentation is on its way but those that are held. */
  async #quiet(): Promise<void> {
    await setImmediate();
    await eventually("the presentations are answered", () => this.#underWay() <= this.hold.size);
  }

  #underWay(): number {
    return this.users.filter(({ record }) => record().state === "refreshing" && record().pending === undefined).length;
  }

  async #close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close().catch(() => {})));
    for (const { login } of this.users) login.release();
    this.hold.open();
    await this.server.close();
    // Whatever it waits for now is a matter of time.
    let closed = false;
    const closing = this.latchkey.close().finally(() => {
      closed = true;
    });
    while (!closed) {
      await this.clock.advance(1_000);
      await setImmediate();
    }
    await closing;
  }
}

function statusOf({ state, reason, generation, attempts, health }: LoginSession): unknown {
  return { state, reason, generation, attempts: attempts.length, lastFailure: health.lastFailure?.kind };
}
