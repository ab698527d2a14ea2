import { nonEmptyString } from "./json.ts";
import type { AuthorizationServerSettings } from "./settings.ts";

/** Stands for the one grant that all logins of a user share. No authorization server gives it: a space cannot begin a `sid` worth its name. */
const userGrant = " user";

/**
 * Which grant of its user a login belongs to, as the `sid` of its principal: the authorization server's own session id
 * (OIDC Back-Channel Logout 1.0), or one for all, where revoking one login's tokens ends the user's other logins too (F23).
 */
export function grantSid(settings: Pick<AuthorizationServerSettings, "oneGrantPerUser">, sid: unknown): string | undefined {
  return settings.oneGrantPerUser === true ? userGrant : nonEmptyString(sid);
}
