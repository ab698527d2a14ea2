import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Clock, sleep, systemClock } from "../clock.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { DemoClients, nativeClientId, type Registration, webClientId } from "./demo-clients.ts";
import { serveDemoEndpoint } from "./demo-endpoints.ts";
import { type DirectTokens, signInDirectly } from "./direct-sign-in.ts";
import { type ActiveFault, type FaultSettings, Faults } from "./faults.ts";
import { sendProblem } from "./http-exchange.ts";
import { LoopbackListener } from "./loopback-listener.ts";
import { createProtocol, type Protocol } from "./protocol.ts";
import { ProviderRecords } from "./provider-records.ts";
import { canSign, generateSigningKey } from "./signing-keys.ts";
import { type SavedState, StateFile } from "./state-file.ts";
import { type TokenEvent, TokenEvents } from "./token-events.ts";

export interface DemoAuthorizationServerOptions extends Registration {
  /** Port on 127.0.0.1; 0 (the default) takes a free one. */
  readonly port?: number | undefined;
  /** Where the state is kept (a directory of its own); undefined: in memory only. */
  readonly stateDirectory?: string | undefined;
  /** Default 30. */
  readonly accessTokenSeconds?: number | undefined;
  /** Counted from the last rotation; default 600. */
  readonly refreshTokenSeconds?: number | undefined;
  /** For faults, events and the state; the times inside tokens are the system's. */
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
}

/**
 * A strict authorization server for demo and tests: code flow with PKCE, device flow, rotation at each refresh, reuse
 * detection that ends the family, revocation, introspection of refresh tokens, RP-initiated logout. Any name signs in.
 */
export interface DemoAuthorizationServer {
  readonly issuer: string;
  readonly port: number;
  readonly clientId: string;
  readonly clientSecret: string;
  /** A public client for programs on this machine: redirect to http://127.0.0.1:ANY/callback, or a device code. */
  readonly nativeClientId: string;
  /** Makes parts known that were started later. */
  register(registration: Registration): void;
  /** A whole login of this user, outside Latchkey: tokens to import, or to present by hand. */
  signIn(user: string): Promise<DirectTokens>;
  /** The token events since the start, or from index `since` on. */
  events(since?: number): readonly TokenEvent[];
  /** Throws LatchkeyError `invalid_request`. */
  setFault(settings: FaultSettings): void;
  faults(): readonly ActiveFault[];
  /** As if the process were gone: connections are cut and new ones refused. Everything is kept. */
  pause(): Promise<void>;
  /** Back on the same port. Throws LatchkeyError `configuration_invalid` when somebody else took it. */
  resume(): Promise<void>;
  /** Stops and writes what is left to the state directory. */
  close(): Promise<void>;
}

/** Starts it. Throws LatchkeyError `configuration_invalid` when the port or the state directory cannot be used. */
export async function startDemoAuthorizationServer(options: DemoAuthorizationServerOptions = {}): Promise<DemoAuthorizationServer> {
  const { clock = systemClock, logger = silentLogger, accessTokenSeconds = 30, refreshTokenSeconds = 600 } = options;
  const faults = new Faults(clock);
  const events = new TokenEvents(clock);
  let protocol: Protocol | undefined;
  const listener = new LoopbackListener(options.port ?? 0, (request, response) => {
    serve(request, response).catch((cause: unknown) => {
      logger.error("The demo's authorization server failed at a request", { path: pathOf(request), cause });
      response.destroy();
    });
  });
  // The port first: it is what tells two demos apart, before one touches the other's state.
  await listener.start();
  const issuer = `http://127.0.0.1:${listener.port}`;
  const file = options.stateDirectory === undefined ? undefined : new StateFile(options.stateDirectory, { clock, logger });
  try {
    const saved = await load(file);
    const state = saved ?? { clientSecret: randomBytes(32).toString("base64url"), keys: [await generateSigningKey()], records: [] };
    const records = new ProviderRecords(clock, () => file?.changed(), state.records);
    const clients = new DemoClients(state.clientSecret);
    const ownRedirectUri = `${issuer}/demo/callback`;
    clients.register({ redirectUris: [ownRedirectUri] });
    clients.register(options);
    const persist = async (): Promise<void> => file?.flush();
    const { keys } = state;
    protocol = await createProtocol({
      issuer,
      keys,
      clients,
      records,
      events,
      persist,
      accessTokenSeconds,
      refreshTokenSeconds,
      clock,
      logger,
    });
    file?.begin(() => ({ clientSecret: state.clientSecret, keys, records: records.snapshot() }));
    return {
      issuer,
      port: listener.port,
      clientId: webClientId,
      clientSecret: state.clientSecret,
      nativeClientId,
      register: (registration) => clients.register(registration),
      signIn: (user) =>
        signInDirectly({ issuer, clientId: webClientId, clientSecret: state.clientSecret, redirectUri: ownRedirectUri }, user),
      events: (since) => events.page(since).events,
      setFault: (settings) => faults.set(settings),
      faults: () => faults.active(),
      pause: () => listener.stop(),
      resume: () => listener.start(),
      async close() {
        await listener.stop();
        await file?.close();
      },
    };
  } catch (error) {
    await listener.stop();
    throw error;
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(request.url ?? "/", issuer);
    if (url === null || protocol === undefined) return sendProblem(response, { status: 503, code: "starting", detail: "Not ready yet." });
    if (url.pathname.startsWith("/demo/")) return serveDemoEndpoint(request, response, url, { events, faults, issuer });
    const plan = faults.plan(url.pathname === "/token" && request.method === "POST" ? "token" : "other");
    switch (plan.kind) {
      case "cut":
        request.socket.destroy();
        return;
      case "unavailable": {
        const detail = "The demo's authorization server was told to be unavailable.";
        return sendProblem(response, { status: 503, code: "unavailable", detail }, { "retry-after": String(plan.retryAfterSeconds) });
      }
      case "serve":
        if (plan.delayMs > 0) await sleep(clock, plan.delayMs);
        // Nobody waits any more: it never arrived, as far as anyone can tell.
        if (request.socket.destroyed) return;
        return protocol(request, response, url, { dropReply: plan.dropReply });
    }
  }
}

async function load(file: StateFile | undefined): Promise<SavedState | undefined> {
  const saved = await file?.load();
  if (saved === undefined || (await canSign(saved.keys))) return saved;
  await file?.putAside("its signing keys cannot be used");
  return undefined;
}

/** Without the query: it may hold codes and hints. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?")[0] ?? "";
}
