import type { IncomingMessage, ServerResponse } from "node:http";
import { McpAuthorizationServer } from "../../src/authorization-server/mcp-authorization-server.ts";
import { isHandle } from "../../src/http/handle.ts";
import { htmlDocument } from "../../src/http/html-page.ts";
import { listen } from "../../src/http/listen.ts";
import { createWebApp } from "../../src/http/web-server.ts";
import type { DemoControls, LoginServers, WebServices, WebSettings } from "../../src/http/web-services.ts";
import type { Logger } from "../../src/logger.ts";
import type { LoginSession, LoginSessionId } from "../../src/session/login-session.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { createClientAddress } from "../../src/transport/client-address.ts";
import { createHostCheck } from "../../src/transport/host-check.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { ModelAuthorizationServer } from "../support/model-authorization-server.ts";
import { makeReplica, type Replica } from "../support/token-bench.ts";
import { TestBrowser } from "./test-browser.ts";

export interface WebBenchOptions {
  readonly settings?: Partial<WebSettings>;
  readonly loginServers?: Partial<LoginServers>;
  readonly demo?: DemoControls;
  readonly backchannelLogout?: WebServices["backchannelLogout"];
  readonly logger?: Logger;
  readonly corsOrigins?: readonly string[];
  /** Where `beginLogin` sends the browser. */
  readonly authorizeUrl?: string;
  /** Looks at each request before the web app; true: it has answered. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface WebBench {
  readonly url: string;
  readonly port: number;
  readonly clock: ManualClock;
  readonly server: ModelAuthorizationServer;
  readonly store: MemoryStore;
  readonly replica: Replica;
  /** How many connections each login session has, as the web server is told. */
  readonly connections: Map<LoginSessionId, number>;
  /** The keys whose connections were to be closed. */
  readonly closedKeys: string[];
  /** What `beginLogin` was asked for. */
  readonly begun: { name: string; prompt: string | undefined }[];
  /** Aborts the signal that the server closes. */
  readonly closing: AbortController;
  browser(): TestBrowser;
  /** A new login session, in no browser. */
  signIn(user: string): Promise<LoginSession>;
  mustGet(handle: string): Promise<LoginSession>;
  close(): Promise<void>;
}

/** The web server over real HTTP on a free port, with a strict authorization server in memory; a code is a user's name. */
export async function startWebBench(options: WebBenchOptions = {}): Promise<WebBench> {
  const clock = new ManualClock();
  const server = new ModelAuthorizationServer({ now: () => clock.now() });
  const store = new MemoryStore(() => clock.now());
  const replica = makeReplica({ clock, server, store });
  const connections = new Map<LoginSessionId, number>();
  const closedKeys: string[] = [];
  const begun: WebBench["begun"] = [];
  const closing = new AbortController();
  const listener = await listen({ host: "127.0.0.1", port: 0, clock });
  let serial = 0;
  const loginServers: LoginServers = {
    async beginLogin(name, { prompt, redirectUri }) {
      begun.push({ name, prompt });
      const state = `state-${++serial}`;
      const url = new URL(options.authorizeUrl ?? "https://as.example/authorize");
      url.search = new URLSearchParams({ state, redirect_uri: redirectUri }).toString();
      return { url: url.href, state, nonce: `nonce-${serial}`, codeVerifier: `verifier-${serial}` };
    },
    completeLogin: async (name, { callbackUrl }) => server.signIn(callbackUrl.searchParams.get("code") ?? "nobody", name),
    endSessionUrl: async (_name, { postLogoutRedirectUri }) =>
      `https://as.example/end-session?${new URLSearchParams({ post_logout_redirect_uri: postLogoutRedirectUri })}`,
    probe: async () => ({ ok: true }),
    ...options.loginServers,
  };
  const app = createWebApp({
    settings: { publicUrl: listener.url, authorizationServers: [{ name: "main", issuer: server.issuer }], ...options.settings },
    services: {
      clock,
      logger: options.logger ?? replica.core.logger,
      audit: replica.core.audit,
      sessions: replica.core.sessions,
      store,
      logins: replica.logins,
      imports: replica.imports,
      logout: replica.logout,
      backchannelLogout: options.backchannelLogout ?? { receive: async () => {} },
      loginServers,
      clientAuthorization: new McpAuthorizationServer({
        publicUrl: listener.url,
        records: store.authorizationServerRecords,
        usedIds: store.usedIds,
        sessions: replica.core.sessions,
        logins: replica.logins,
        logout: replica.logout,
        lifetimes: { accessTokenSeconds: 300, refreshTokenSeconds: 3600 },
        clock,
        logger: options.logger ?? replica.core.logger,
        audit: replica.core.audit,
        errorPage: (problem, code) => htmlDocument({ title: code, text: [problem], links: [] }),
      }),
      connectionsOf: (id) => connections.get(id) ?? 0,
      closeConnectionsOfKey: (_id, keyId) => void closedKeys.push(keyId),
      mcp: {
        handles: (pathname) => pathname === "/mcp",
        handle: async (_request, response) => void response.writeHead(202).end("mcp"),
      },
      clientAddress: createClientAddress([]),
      hostCheck: createHostCheck({ publicUrl: listener.url, allowedHosts: [], corsOrigins: options.corsOrigins ?? [] }),
      closing: closing.signal,
      demo: options.demo,
    },
  });
  listener.serve((request, response) => {
    if (options.intercept?.(request, response) !== true) app(request, response);
  });
  return {
    url: listener.url,
    port: listener.port,
    clock,
    server,
    store,
    replica,
    connections,
    closedKeys,
    begun,
    closing,
    browser: () => new TestBrowser(listener.url),
    signIn: (user) => replica.logins.start(server.signIn(user), { kind: "browser" }),
    async mustGet(handle) {
      const found = isHandle(handle) ? await replica.core.sessions.getByHandle(handle) : undefined;
      if (found === undefined) throw new Error(`there is no login session ${handle}`);
      return found;
    },
    async close() {
      closing.abort();
      await listener.close(0);
    },
  };
}
