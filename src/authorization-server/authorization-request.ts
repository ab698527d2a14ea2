import { mcpScope } from "./resources.ts";

/** What an MCP client may say in an authorization request. Everything else is left out. */
const understood: ReadonlySet<string> = new Set([
  "client_id",
  "redirect_uri",
  "response_type",
  "state",
  "code_challenge",
  "code_challenge_method",
  "resource",
  "request",
  "request_uri",
]);

/**
 * The authorization request as this server understands it. Clients ask for scopes that they read somewhere, for `openid`,
 * or for none: each gets the one scope there is, and is told so in the answer (RFC 6749, section 5.1).
 */
export function simplifyAuthorizationRequest(search: URLSearchParams): URLSearchParams {
  const simple = new URLSearchParams([...search].filter(([name]) => understood.has(name)));
  simple.set("scope", mcpScope);
  // Any other would be answered by the consent page in any case; this one asks not to see a page.
  if (search.get("prompt") === "none") simple.set("prompt", "none");
  return simple;
}
