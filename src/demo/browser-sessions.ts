import type { IncomingMessage } from "node:http";
import { decodeJwt } from "jose";
import type { KoaContextWithOIDC } from "oidc-provider";
import type { ProviderRecords } from "./provider-records.ts";

/**
 * Makes oidc-provider's browser sessions follow logins, one for one: two windows of one browser sign in as two users,
 * and neither login may end, rename or reuse the other's session. Called before oidc-provider reads the cookies.
 */
export function arrangeSession(request: IncomingMessage, url: URL, cookieName: string, records: ProviderRecords): void {
  const isLogout = url.pathname === "/session/end";
  const isFresh = url.pathname === "/auth" || url.pathname.startsWith("/auth/") || (url.pathname === "/device" && request.method === "GET");
  if (!isFresh && !isLogout) return;
  // A device's sign-in goes on at /device/..., in the session that its code was typed in.
  const others = (request.headers.cookie ?? "").split("; ").filter((pair) => pair !== "" && !pair.startsWith(`${cookieName}=`));
  if (isLogout) {
    const hint = url.searchParams.get("id_token_hint");
    // Without a hint it is the browser's newest session that is asked about.
    if (hint === null) return;
    const session = findSession(hint, records);
    if (session !== undefined) others.push(`${cookieName}=${session}`);
  }
  request.headers.cookie = others.join("; ");
}

/**
 * Finishes an RP-initiated logout (OIDC RP-Initiated Logout 1.0) that came with an ID token: it names the one login that
 * is meant, so there is nothing to ask the user. oidc-provider has validated hint and address by then.
 */
export async function finishLogout(context: KoaContextWithOIDC): Promise<void> {
  const { oidc } = context;
  if (oidc.route !== "end_session" || context.status !== 200 || oidc.entities.IdTokenHint === undefined) return;
  await oidc.session?.destroy();
  // The browser's own cookie may be that of another login, which goes on.
  context.remove("set-cookie");
  const { post_logout_redirect_uri: target, state } = oidc.params ?? {};
  const next = new URL(typeof target === "string" ? target : oidc.urlFor("end_session_success"));
  if (typeof target === "string" && typeof state === "string") next.searchParams.set("state", state);
  context.status = 303;
  context.redirect(next.href);
}

function findSession(idToken: string, records: ProviderRecords): string | undefined {
  const sid = sidOf(idToken);
  if (sid === undefined) return undefined;
  const session = records.findWhere("Session", ({ authorizations = {} }) => Object.values(authorizations).some((one) => one.sid === sid));
  return session?.jti;
}

function sidOf(idToken: string): string | undefined {
  try {
    const { sid } = decodeJwt(idToken);
    return typeof sid === "string" ? sid : undefined;
  } catch {
    // oidc-provider says what is wrong with it.
    return undefined;
  }
}
