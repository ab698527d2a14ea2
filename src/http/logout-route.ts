import type { BrowserLogout } from "./browser-logout.ts";
import { isForm, readFields } from "./request-body.ts";
import type { Route } from "./route.ts";
import { json, seeOther } from "./route.ts";
import type { Windows } from "./windows.ts";

/** `POST /logout`: ends the window's login session. A form is sent on to the authorization server's own logout, a script is told where that is. */
export function logoutRoute(windows: Windows, logout: BrowserLogout): Route {
  return {
    method: "POST",
    path: "/logout",
    handle: async (context) => {
      const fields = await readFields(context);
      const { login } = await windows.mustGetForEnd(context, { named: fields.get("login"), csrfToken: fields.get("csrf_token") });
      const answer = await logout.end(login, "logout");
      const endSessionUrl = await logout.endSessionUrl(login);
      return isForm(context) ? seeOther(endSessionUrl ?? "/") : json({ ...answer, endSessionUrl });
    },
  };
}
