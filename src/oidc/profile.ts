import type { Profile } from "../session/login-session.ts";
import type { Claims } from "./id-token-signature.ts";
import { safeText } from "./safe-text.ts";

/** Name and email of the user in claims of an ID token or of userinfo (OIDC Core 5.1), for display. Only what is there has a key. */
export function profileOf(claims: Claims): Profile {
  const full = [safeText(claims.given_name), safeText(claims.family_name)].filter((part) => part !== undefined).join(" ");
  const name = safeText(claims.name) ?? safeText(full) ?? safeText(claims.preferred_username) ?? safeText(claims.nickname);
  const email = safeText(claims.email);
  return { ...(name === undefined ? {} : { name }), ...(email === undefined ? {} : { email }) };
}
