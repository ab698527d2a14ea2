import type { Clock } from "../clock.ts";
import { type Config, configSchema } from "../config/schema.ts";
import { type DemoAuthorizationServer, startDemoAuthorizationServer } from "../demo/authorization-server.ts";
import { type SampleApi, startSampleApi } from "../demo/sample-api.ts";
import { signInByForm } from "../demo/scripted-browser.ts";
import { demoTools } from "../demo/tools.ts";
import type { Logger } from "../logger.ts";
import type { LoginSession } from "../session/login-session.ts";
import { hashConnectionKey } from "../session/random.ts";
import type { Core } from "./core.ts";
import { demoControls } from "./demo-controls.ts";
import { type HttpServer, openListener, startHttpServer } from "./http-server.ts";

export interface DemoSettings {
  /** The server's port; the authorization server and the API take the next two. 0: three free ones. */
  readonly port: number;
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
  /** Where the authorization server keeps its state; undefined: in memory. */
  readonly stateDirectory: string | undefined;
  readonly heartbeatIntervalSeconds: number;
  readonly log: Config["log"];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The outside of Latchkey in the demo: an authorization server and a protected API. */
export interface DemoSurroundings {
  readonly authorizationServer: DemoAuthorizationServer;
  readonly api: SampleApi;
  close(): Promise<void>;
}

/** The running demo. */
export interface Demo extends DemoSurroundings {
  readonly server: HttpServer;
}

/** Who is signed in from the start, each with a connection key of a fixed value: nobody but this demo, on loopback, honours them. */
const users = ["alice", "bob"] as const;
const serverName = "demo";

/** Starts the authorization server and the API. Throws LatchkeyError `configuration_invalid` when a port cannot be had. */
export async function startDemoSurroundings(settings: Omit<DemoSettings, "heartbeatIntervalSeconds" | "log">): Promise<DemoSurroundings> {
  const { port, clock, logger } = settings;
  const authorizationServer = await startDemoAuthorizationServer({ ...settings, port: port === 0 ? 0 : port + 1 });
  try {
    const api = await startSampleApi({ port: port === 0 ? 0 : port + 2, issuer: authorizationServer.issuer, clock, logger });
    authorizationServer.register({ apiUrl: api.url });
    return {
      authorizationServer,
      api,
      close: async () => {
        await Promise.all([api.close(), authorizationServer.close()]);
      },
    };
  } catch (error) {
    await authorizationServer.close();
    throw error;
  }
}

/** The configuration that a user would write for these surroundings. */
export function demoConfig(settings: DemoSettings, { authorizationServer, api }: DemoSurroundings): Config {
  return configSchema.parse({
    server: { port: settings.port },
    authorizationServers: {
      [serverName]: {
        issuer: authorizationServer.issuer,
        clientId: authorizationServer.clientId,
        clientSecret: authorizationServer.clientSecret,
        resource: api.url,
        accessTokenLifetimeSeconds: settings.accessTokenSeconds,
        refreshTokenLifetimeSeconds: settings.refreshTokenSeconds,
        rotation: "always",
        // Each login has a grant of its own there.
        sharedGrant: "revoke",
      },
    },
    apis: { notes: { baseUrl: api.url } },
    tools: demoTools("notes"),
    // Its authorization server keeps the logins; Latchkey's own are made anew at each start.
    store: { type: "memory" },
    heartbeat: { intervalSeconds: settings.heartbeatIntervalSeconds },
    log: settings.log,
  });
}

/** Starts everything in one process, alice and bob signed in. Throws LatchkeyError `configuration_invalid` when a port cannot be had. */
export async function startDemo(settings: DemoSettings): Promise<Demo> {
  const { clock, logger } = settings;
  // The server's own port first: if it is taken, nothing else has been touched.
  const listener = await openListener(configSchema.parse({ server: { port: settings.port }, authorizationServers: placeholder }), clock);
  let surroundings: DemoSurroundings | undefined;
  let server: HttpServer | undefined;
  try {
    surroundings = await startDemoSurroundings(settings);
    const { authorizationServer } = surroundings;
    const origins = [listener.url, `http://localhost:${listener.port}`];
    authorizationServer.register({
      redirectUris: origins.map((origin) => `${origin}/login/callback`),
      postLogoutRedirectUris: origins.map((origin) => `${origin}/`),
    });
    const demo = demoControls(authorizationServer);
    server = await startHttpServer({ config: demoConfig(settings, surroundings), clock, logger, demo, listener });
    const { core } = server;
    await Promise.all(users.map((user) => signInWithKey(core, user, `${listener.url}/login/callback`, clock)));
    return { ...surroundings, server, close: closer(server, surroundings) };
  } catch (error) {
    await (server?.close() ?? listener.close(0));
    await surroundings?.close();
    throw error;
  }
}

/** Signs a user in as a browser would: the whole code flow over HTTP. */
export async function signInAtDemo(core: Core, user: string, redirectUri: string): Promise<LoginSession> {
  const { url, state, nonce, codeVerifier } = await core.authorizationServers.beginLogin(serverName, { redirectUri });
  const callbackUrl = await signInByForm(url, user);
  const login = await core.authorizationServers.completeLogin(serverName, { callbackUrl, redirectUri, state, nonce, codeVerifier });
  return core.logins.start(login, { kind: "demo" });
}

async function signInWithKey(core: Core, user: string, redirectUri: string, clock: Clock): Promise<void> {
  const { id } = await signInAtDemo(core, user, redirectUri);
  const key = { id: `demo-${user}`, hash: hashConnectionKey(`lk_demo_${user}`), loginSessionId: id, name: "demo", createdAt: clock.now() };
  await core.store.connectionKeys.insert(key, 1);
}

function closer(server: HttpServer, surroundings: DemoSurroundings): () => Promise<void> {
  return async () => {
    // Refreshes and revocations that are under way need the authorization server until they are done.
    await server.close();
    await surroundings.close();
  };
}

/** Only the listener is made of it; the real one follows when the issuer's port is known. */
const placeholder = { [serverName]: { issuer: "http://127.0.0.1", clientId: "demo" } };
