import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { loadConsole } from "../console/console-files.ts";
import { asLatchkeyError, LatchkeyError } from "../errors.ts";
import { AuthorizationServerPaths } from "./authorization-server-paths.ts";
import { backchannelLogoutRoute } from "./backchannel-logout-route.ts";
import { BrowserLogout } from "./browser-logout.ts";
import { BrowserSessions } from "./browser-sessions.ts";
import { canonicalAddress } from "./canonical-address.ts";
import { ConsentRoutes } from "./consent-routes.ts";
import { consoleRoutes } from "./console-routes.ts";
import { Cookies } from "./cookies.ts";
import { CsrfGuard } from "./csrf.ts";
import { demoRoutes } from "./demo-routes.ts";
import { eventRoute } from "./event-route.ts";
import { healthRoutes } from "./health-routes.ts";
import { htmlPage } from "./html-page.ts";
import { ImportAccess } from "./import-access.ts";
import { importRoute } from "./import-route.ts";
import { keyRoutes } from "./key-routes.ts";
import { LoginRoutes } from "./login-routes.ts";
import { LoginStarts } from "./login-starts.ts";
import { logoutRoute } from "./logout-route.ts";
import { isOurFault, problemOf, problemResponse } from "./problem.ts";
import type { Route, RouteContext } from "./route.ts";
import { securityHeaders } from "./security-headers.ts";
import { sessionRoutes } from "./session-routes.ts";
import type { WebServices, WebSettings } from "./web-services.ts";
import { Windows } from "./windows.ts";

export interface WebServerOptions {
  readonly settings: WebSettings;
  readonly services: WebServices;
}

/**
 * The handler of the web server: the check of Host and Origin first, then the MCP paths and those of the authorization server of MCP
 * clients on node:http, then the routes of login, logout, API, health and console. It never throws; what fails is answered with a problem document.
 */
export function createWebApp(options: WebServerOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const { services } = options;
  // Global objects stay node's own: others in this process compare with them.
  const listener = getRequestListener(createApp(options).fetch, {
    overrideGlobalObjects: false,
    errorHandler: () => problemResponse(new LatchkeyError("invalid_request", "The address or the headers of the request are malformed.")),
  });
  const authorization = new AuthorizationServerPaths(services.clientAuthorization, services.logger);
  return (request, response) => {
    const verdict = services.hostCheck(request);
    if (verdict.kind === "refused") return refuse(response, verdict.problem);
    const [pathname = "/"] = (request.url ?? "/").split("?");
    if (services.mcp.handles(pathname)) void services.mcp.handle(request, response);
    else if (authorization.handles(pathname)) void authorization.handle(request, response, pathname, verdict.origin);
    // Foreign pages may call the MCP paths and what a client needs to sign in at most.
    else if (verdict.origin === "cors") refuse(response, "Pages of this origin may call the MCP endpoint and what belongs to it alone.");
    else void listener(request, response);
  };
}

function createApp({ settings, services }: WebServerOptions): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  const headers = Object.entries(securityHeaders(settings.authorizationServers.map(({ issuer }) => new URL(issuer).origin)));
  app.use(async (context, next) => {
    await next();
    for (const [name, value] of headers) context.header(name, value);
  });
  addRoutes(app, allRoutes(settings, services), new URL(settings.publicUrl));
  app.notFound((context) => notFound(context));
  app.onError((thrown, context) => {
    const error = asLatchkeyError(thrown);
    if (isOurFault(error)) services.logger.warn("A web request failed.", { method: context.req.method, code: error.code, error });
    return problemResponse(error);
  });
  return app;
}

function allRoutes(settings: WebSettings, services: WebServices): readonly Route[] {
  const publicUrl = new URL(settings.publicUrl);
  const cookies = new Cookies(publicUrl);
  const browserSessions = new BrowserSessions(services.store.browserSessions, services.sessions, services.clock);
  const guard = new CsrfGuard(publicUrl, services);
  const windows = new Windows(cookies, browserSessions, services.sessions, guard);
  const logout = new BrowserLogout(services, publicUrl);
  const starts = new LoginStarts(services, publicUrl, cookies);
  const keyLimit = settings.keysPerLogin ?? 20;
  const importAccess = new ImportAccess(settings.importSecret, services);
  return [
    ...consoleRoutes(loadConsole(), { demo: services.demo !== undefined }),
    ...new LoginRoutes(settings, services, { publicUrl, cookies, browserSessions, windows, starts }).routes(),
    ...new ConsentRoutes(settings, services, { guard, starts }).routes(),
    logoutRoute(windows, logout),
    backchannelLogoutRoute(services),
    ...sessionRoutes(services, { windows, logout, importAccess }),
    importRoute(services, importAccess, keyLimit),
    ...keyRoutes(services, windows, keyLimit),
    eventRoute(services, windows),
    ...healthRoutes(settings, services),
    ...(services.demo === undefined ? [] : demoRoutes(services.demo, windows)),
  ];
}

/** Registers all routes, and 405 with Allow for every other method of their paths (RFC 9110, section 15.5.6). */
function addRoutes(app: Hono<{ Bindings: HttpBindings }>, routes: readonly Route[], publicUrl: URL): void {
  for (const { method, path, page, handle } of routes)
    app.on(method, path, (context) => {
      const canonical = page === true ? canonicalAddress(context, publicUrl) : undefined;
      return canonical === undefined ? handle(context) : redirect(canonical);
    });
  for (const [path, methods] of Map.groupBy(routes, (route) => route.path)) {
    const allow = methods.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
    app.all(path, (context) =>
      problemResponse(new LatchkeyError("invalid_request", `${context.req.method.slice(0, 20)} is not possible here; ${allow} is.`), {
        status: 405,
        headers: { allow },
      }),
    );
  }
}

function redirect(location: string): Response {
  return new Response(null, { status: 307, headers: { location, "cache-control": "no-store" } });
}

/** People get a page, programs a problem document. */
function notFound(context: RouteContext): Response {
  const wantsPage = context.req.method === "GET" && (context.req.header("accept") ?? "").includes("text/html");
  if (!wantsPage) return problemResponse(new LatchkeyError("not_found", "There is nothing at this address."));
  const links = [{ href: "/", text: "To the start" }];
  return htmlPage({ status: 404, title: "Nothing here", text: ["There is nothing at this address."], links });
}

function refuse(response: ServerResponse, problem: string): void {
  const { status, headers, document } = problemOf(new LatchkeyError("forbidden", problem));
  response.writeHead(status, { ...headers, ...securityHeaders([]), connection: "close" });
  response.end(JSON.stringify(document));
}
