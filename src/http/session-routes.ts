import type { LoginSession } from "../session/login-session.ts";
import type { BrowserLogout } from "./browser-logout.ts";
import { csrfTokenOf } from "./csrf.ts";
import { isHandle } from "./handle.ts";
import type { ImportAccess } from "./import-access.ts";
import { noSuchLoginSession } from "./problem.ts";
import type { Route, RouteContext } from "./route.ts";
import { json } from "./route.ts";
import { type SessionJson, sessionJson } from "./session-json.ts";
import type { WebServices } from "./web-services.ts";
import { describeSignedIn, type Windows } from "./windows.ts";

/** `/api/me` and the login sessions of the window's user. */
export function sessionRoutes(
  services: WebServices,
  parts: { readonly windows: Windows; readonly logout: BrowserLogout; readonly importAccess: ImportAccess },
): readonly Route[] {
  const { windows, logout, importAccess } = parts;
  const show = (record: LoginSession): SessionJson =>
    sessionJson(record, services.connectionsOf(record.id), services.loginServers.clockNote?.(record.authorizationServer));
  const serverTime = (): string => new Date(services.clock.now()).toISOString();

  /** The backend reads and ends what it imported, and nothing else. */
  const mustGetImported = async (context: RouteContext): Promise<LoginSession> => {
    importAccess.mustBeBackend(context);
    const handle = context.req.param("id") ?? "";
    const found = isHandle(handle) ? await services.sessions.getByHandle(handle) : undefined;
    if (found === undefined || found.origin.kind !== "import") throw noSuchLoginSession();
    return found;
  };

  return [
    {
      method: "GET",
      path: "/api/me",
      handle: async (context) => {
        const { browser, login, all } = await windows.mustGet(context);
        const standing = all.filter((each) => each.state !== "ended");
        const { issuer, subject } = login.principal;
        return json({
          user: { issuer, subject, name: login.profile.name, email: login.profile.email },
          login: login.handle,
          logins: standing.map((each) => each.handle),
          signedIn: standing.map(describeSignedIn),
          csrfToken: csrfTokenOf(browser),
          demo: services.demo !== undefined,
          serverTime: serverTime(),
        });
      },
    },
    {
      method: "GET",
      path: "/api/sessions",
      handle: async (context) => {
        const { login } = await windows.mustGet(context);
        const records = await services.sessions.listByUser(login.principal.issuer, login.principal.subject);
        return json({ sessions: records.map(show), serverTime: serverTime() });
      },
    },
    {
      method: "GET",
      path: "/api/sessions/:id",
      handle: async (context) => {
        if (importAccess.isClaimed(context)) return json(show(await mustGetImported(context)));
        const window = await windows.mustGet(context);
        return json(show(await windows.mustGetVisible(window, context.req.param("id") ?? "")));
      },
    },
    {
      method: "DELETE",
      path: "/api/sessions/:id",
      handle: async (context) => {
        if (importAccess.isClaimed(context)) return json(await logout.end(await mustGetImported(context), "import_owner"));
        const window = await windows.mustGetForEnd(context);
        const record = await windows.mustGetVisible(window, context.req.param("id") ?? "");
        const answer = await logout.end(record, "logout");
        return json({ ...answer, endSessionUrl: await logout.endSessionUrl(record) });
      },
    },
  ];
}
