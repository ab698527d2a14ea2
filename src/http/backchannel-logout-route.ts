import { asLatchkeyError, LatchkeyError } from "../errors.ts";
import { isOurFault } from "./problem.ts";
import { isForm, readFields } from "./request-body.ts";
import type { Route } from "./route.ts";
import { json } from "./route.ts";
import type { WebServices } from "./web-services.ts";

const retryAfterSeconds = 5;

/**
 * `POST /backchannel-logout` (OIDC Back-Channel Logout 1.0, sections 2.5 and 2.8): 200 when all that the logout token names has ended, 400
 * when it is refused, 503 with Retry-After when it should come again.
 */
export function backchannelLogoutRoute({ backchannelLogout, logger }: Pick<WebServices, "backchannelLogout" | "logger">): Route {
  return {
    method: "POST",
    path: "/backchannel-logout",
    handle: async (context) => {
      try {
        const logoutToken = isForm(context) ? (await readFields(context)).get("logout_token") : undefined;
        if (logoutToken === undefined || logoutToken === "")
          throw new LatchkeyError("invalid_request", "The body must be a form (application/x-www-form-urlencoded) with a logout_token.");
        await backchannelLogout.receive(logoutToken);
        return new Response(null, { status: 200, headers: { "cache-control": "no-store" } });
      } catch (thrown) {
        const error = asLatchkeyError(thrown);
        if (!isOurFault(error)) return json({ error: "invalid_request", error_description: error.message }, 400);
        logger.warn("A back-channel logout could not be taken; the authorization server has to send it again.", { error });
        const body = { error: "temporarily_unavailable", error_description: error.message };
        return json(body, 503, { "retry-after": String(retryAfterSeconds) });
      }
    },
  };
}
