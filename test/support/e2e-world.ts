import { systemClock } from "../../src/clock.ts";
import { type DemoSettings, type DemoSurroundings, demoConfig, startDemo, startDemoSurroundings } from "../../src/composition/demo.ts";
import { type HttpServer, openListener, startHttpServer } from "../../src/composition/http-server.ts";
import type { Config } from "../../src/config/schema.ts";
import type { TokenEvent } from "../../src/demo/token-events.ts";
import { createLogger } from "../../src/logger.ts";
import type { LoginSession, LoginSessionHandle } from "../../src/session/login-session.ts";
import { type HttpTransport, McpClient } from "./e2e-clients.ts";
import { HttpBrowser, type HttpWindow } from "./e2e-http-browser.ts";
import { type Fields, parseFields } from "./e2e-json.ts";

/** Registers what is to be closed when the test is over: vitest's `onTestFinished`, or a list of one's own. */
export type AtEnd = (close: () => Promise<void>) => void;

export interface WorldOptions {
  /** Default 10. */
  readonly accessTokenSeconds?: number;
  /** Default 600. */
  readonly refreshTokenSeconds?: number;
  /** Default 0.05. */
  readonly heartbeatIntervalSeconds?: number;
  /** Changes the demo's configuration, as a user might; then alice and bob are not signed in from the start. */
  readonly configure?: (config: Config) => Config;
}

/** A signed-in user with a window of the console and a connection key. */
export interface User {
  readonly name: string;
  readonly handle: string;
  readonly key: string;
  readonly window: HttpWindow;
}

/** The whole demo over real HTTP on free ports: Latchkey, the authorization server with reuse detection, the API. */
export class World {
  readonly server: HttpServer;
  readonly authorizationServer: DemoSurroundings["authorizationServer"];
  readonly api: DemoSurroundings["api"];
  /** Where it listens; what users and clients are told is `url`. */
  readonly listenUrl: string;
  /** The log of everything, each line as it was written. */
  readonly lines: readonly string[];
  readonly #close: () => Promise<void>;
  readonly #clients: McpClient[] = [];

  constructor(parts: DemoSurroundings & { readonly server: HttpServer; readonly listenUrl?: string }, lines: readonly string[]) {
    this.server = parts.server;
    this.authorizationServer = parts.authorizationServer;
    this.api = parts.api;
    this.listenUrl = parts.listenUrl ?? parts.server.publicUrl;
    this.lines = lines;
    this.#close = parts.close;
  }

  static async start(atEnd: AtEnd, options: WorldOptions = {}): Promise<World> {
    const lines: string[] = [];
    const settings: DemoSettings = {
      port: 0,
      accessTokenSeconds: options.accessTokenSeconds ?? 10,
      refreshTokenSeconds: options.refreshTokenSeconds ?? 600,
      stateDirectory: undefined,
      heartbeatIntervalSeconds: options.heartbeatIntervalSeconds ?? 0.05,
      log: { level: "debug", format: "json" },
      clock: systemClock,
      logger: createLogger({ level: "debug", format: "json", write: (line) => lines.push(line), now: systemClock.now }),
    };
    const { configure } = options;
    const world = new World(configure === undefined ? await startDemo(settings) : await startConfigured(settings, configure), lines);
    atEnd(() => world.close());
    return world;
  }

  get url(): string {
    return this.server.publicUrl;
  }

  browser(): HttpBrowser {
    return new HttpBrowser(this.url);
  }

  /** Signs a user in by the authorization server's form, in a browser of its own or in this one, and makes a connection key. */
  async signIn(name: string, browser = this.browser()): Promise<User> {
    const window = await browser.signIn(name);
    return { name, handle: window.handle, key: await window.makeKey(), window };
  }

  /** A real SDK client with this connection key; closed at the end. */
  async connect(kind: HttpTransport, { key }: { readonly key: string }, name?: string): Promise<McpClient> {
    const client = await McpClient.connectHttp(kind, this.url, key, name);
    this.#clients.push(client);
    return client;
  }

  /** What the authorization server saw of tokens, of one user or of all. */
  events(user?: string): readonly TokenEvent[] {
    const events = this.authorizationServer.events();
    return user === undefined ? events : events.filter((event) => event.user === user);
  }

  /** How often the authorization server refreshed a user's tokens. */
  refreshes(user: string): number {
    return this.events(user).filter(({ kind }) => kind === "refreshed").length;
  }

  /** The security events in the log, of one kind, and of one login session where a handle is given. */
  audit(event: string, login?: string): readonly Fields[] {
    return this.lines
      .filter((line) => line.includes('"audit":true'))
      .map(parseFields)
      .filter((fields) => fields.event === event && (login === undefined || fields.login === login));
  }

  /** The record behind a handle. */
  async record(handle: string): Promise<LoginSession> {
    const found = await this.server.core.store.loginSessions.getByHandle(handle as LoginSessionHandle);
    if (found === undefined) throw new Error(`There is no login session ${handle}.`);
    return found;
  }

  /** Ends a user's refresh-token family at the authorization server, behind Latchkey's back. */
  async killGrant(handle: string): Promise<void> {
    const { issuer, clientId, clientSecret } = this.authorizationServer;
    const { refreshToken = "" } = await this.record(handle);
    const response = await fetch(`${issuer}/token/revocation`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString("base64")}` },
      body: new URLSearchParams({ token: refreshToken }),
    });
    if (response.status !== 200) throw new Error(`The grant could not be revoked: ${response.status} ${await response.text()}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close().catch(() => {})));
    await this.#close();
  }
}

/** The demo's parts around a server with a configuration of one's own, as `latchkey serve` would run it. */
async function startConfigured(settings: DemoSettings, configure: (config: Config) => Config) {
  const { clock, logger } = settings;
  const surroundings = await startDemoSurroundings(settings);
  try {
    const config = configure(demoConfig(settings, surroundings));
    const listener = await openListener(config, clock);
    const publicUrl = config.server.publicUrl ?? listener.url;
    surroundings.authorizationServer.register({
      redirectUris: [`${publicUrl}/login/callback`],
      postLogoutRedirectUris: [`${publicUrl}/`],
    });
    const server = await startHttpServer({ config, clock, logger, listener });
    const close = async (): Promise<void> => {
      await server.close();
      await surroundings.close();
    };
    return { ...surroundings, server, listenUrl: listener.url, close };
  } catch (error) {
    await surroundings.close();
    throw error;
  }
}
