import type { AccessToken, RefreshToken } from "../session/login-session.ts";
import type { RevocableToken } from "./ports.ts";

/** The tokens in the body of a token reply (RFC 6749, section 5.1), for revoking them; none when it cannot be read. */
export function tokensOf(body: string): readonly RevocableToken[] {
  let reply: unknown;
  try {
    reply = JSON.parse(body);
  } catch {
    return [];
  }
  if (typeof reply !== "object" || reply === null) return [];
  const found: RevocableToken[] = [];
  if ("refresh_token" in reply && typeof reply.refresh_token === "string" && reply.refresh_token !== "")
    found.push({ kind: "refresh_token", token: reply.refresh_token as RefreshToken });
  if ("access_token" in reply && typeof reply.access_token === "string" && reply.access_token !== "")
    found.push({ kind: "access_token", token: reply.access_token as AccessToken });
  return found;
}
