import type { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { errors, JWK, KoaContextWithOIDC } from "oidc-provider";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { arrangeSession, finishLogout } from "./browser-sessions.ts";
import type { DemoClients } from "./demo-clients.ts";
import { sendJson, sendProblem } from "./http-exchange.ts";
import { createJwtUserinfo } from "./jwt-userinfo.ts";
import { createLoginForm, loginPath } from "./login-form.ts";
import { html, page } from "./page.ts";
import { recordTokenEvents } from "./protocol-watch.ts";
import { createProviderAdapter } from "./provider-adapter.ts";
import { providerConfiguration } from "./provider-configuration.ts";
import type { ProviderRecords } from "./provider-records.ts";
import type { TokenEvents } from "./token-events.ts";

export interface ProtocolOptions {
  readonly issuer: string;
  readonly keys: readonly JWK[];
  readonly clients: DemoClients;
  readonly records: ProviderRecords;
  readonly events: TokenEvents;
  /** Resolves when the records are safe. */
  readonly persist: () => Promise<void>;
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Serves one request. `dropReply`: carry it out, then cut the connection instead of answering. */
export type Protocol = (
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  fault: { readonly dropReply: boolean },
) => Promise<void>;

/** OAuth and OpenID Connect: oidc-provider with the login form and the demo's bookkeeping around it. */
export async function createProtocol(options: ProtocolOptions): Promise<Protocol> {
  const { issuer, keys, clients, records, events, persist, clock, logger } = options;
  // Only who needs it pays for it: it takes longer to load than everything else here.
  const { default: Provider, errors: providerErrors } = await import("oidc-provider");
  const isProviderError = (error: unknown): error is errors.OIDCProviderError => error instanceof providerErrors.OIDCProviderError;
  const { host, port } = new URL(issuer);
  const configuration = providerConfiguration({
    ...options,
    adapter: createProviderAdapter({
      records,
      findClient: (id) => clients.find(id),
      usedBefore: () => new providerErrors.InvalidGrant("already used"),
    }),
    cookiePrefix: `latchkey_demo_${port}`,
    invalidTarget: () => new providerErrors.InvalidTarget(),
  });
  const provider = new Provider(issuer, configuration);
  const unanswered = new WeakSet<IncomingMessage>();

  provider.use(async (context, next) => {
    await next();
    if (hasOidc(context)) {
      await finishLogout(context);
      recordTokenEvents(context, records, events);
      // Before the answer: whoever holds the new refresh token must find it known after a crash.
      if (context.oidc.route === "token" || context.oidc.route === "revocation") await persist();
    }
    if (!unanswered.has(context.req)) return;
    context.respond = false;
    context.req.socket.destroy();
  });
  provider.on("server_error", (_context, cause) => logger.error("The demo's authorization server failed at a request", { cause }));
  // Without a listener koa prints to the console. These are clients that went away. Its types leave this event out.
  const koa: EventEmitter = provider;
  koa.on("error", (cause: unknown) => logger.debug("A request to the demo's authorization server broke off", { cause }));

  const answer = provider.callback();
  const serveLoginForm = createLoginForm({ provider, isProviderError });
  const jwtUserinfo = createJwtUserinfo({ issuer, keys, clock });
  const sessionCookie = provider.cookieName("session");

  return async (request, response, url, { dropReply }) => {
    if (request.headers.host === `localhost:${port}`) {
      // A browser has to stay with one name, for its cookies; anything else does not mind.
      if (request.method === "GET" && request.headers.accept?.includes("text/html"))
        return redirect(response, `${issuer}${url.pathname}${url.search}`);
      request.headers.host = host;
    }
    if (request.headers.host !== host) return sendProblem(response, { status: 403, code: "forbidden", detail: `Ask at ${issuer}.` });
    if (url.pathname.startsWith(loginPath)) {
      const { origin = issuer } = request.headers;
      if (origin !== issuer)
        return sendProblem(response, { status: 403, code: "forbidden", detail: "The form belongs to this server's page." });
      return serveLoginForm(request, response);
    }
    if (url.pathname === "/" && request.method === "GET") return welcome(response);
    if (url.pathname === "/me") {
      const claims = await jwtUserinfo(request.headers.authorization);
      if (claims !== undefined) return sendJson(response, 200, claims);
    }
    arrangeSession(request, url, sessionCookie, records);
    if (dropReply) unanswered.add(request);
    await answer(request, response);
  };
}

function hasOidc(context: object): context is KoaContextWithOIDC {
  return "oidc" in context;
}

/** For whoever follows the issuer's address out of curiosity. */
function welcome(response: ServerResponse): void {
  const { text, headers } = page(
    "Nothing to do here",
    html`<p>Latchkey's demo signs its users in here. Go to Latchkey's own page to sign in.</p>
<p>What happened to tokens so far: <a href="/demo/events">/demo/events</a></p>`,
  );
  response.writeHead(200, headers);
  response.end(text);
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(307, { location, "cache-control": "no-store" });
  response.end();
}
