import type { LoginSessionHandle } from "../session/login-session.ts";
import { randomSecret, sha256 } from "../session/random.ts";
import type { Cookies } from "./cookies.ts";
import type { RouteContext } from "./route.ts";
import type { WebServices } from "./web-services.ts";

/** How long a user may take to sign in at the authorization server. */
const transactionSeconds = 600;

/** What a sign-in is for, and where. */
export interface LoginStart {
  readonly authorizationServer: string;
  readonly prompt?: string | undefined;
  readonly repair?: LoginSessionHandle | undefined;
  readonly returnTo?: string | undefined;
  /** The authorization request of an MCP client. */
  readonly authorization?: string | undefined;
}

/** Begins sign-ins: keeps what must come back, and binds it to the browser that begins (B7). */
export class LoginStarts {
  readonly #services: WebServices;
  readonly #publicUrl: URL;
  readonly #cookies: Cookies;

  constructor(services: WebServices, publicUrl: URL, cookies: Cookies) {
    this.#services = services;
    this.#publicUrl = publicUrl;
    this.#cookies = cookies;
  }

  /** Gives where to send the browser, and the cookies to send with it. Throws LatchkeyError `authorization_server_unavailable`. */
  async begin(context: RouteContext, start: LoginStart): Promise<{ readonly url: string; readonly cookies: readonly string[] }> {
    const { loginServers, store, clock, audit, clientAddress } = this.#services;
    const { authorizationServer, prompt, repair, returnTo, authorization } = start;
    const redirectUri = new URL("/login/callback", this.#publicUrl).href;
    const begun = await loginServers.beginLogin(authorizationServer, { redirectUri, ...(prompt === undefined ? {} : { prompt }) });
    const binding = randomSecret();
    await store.loginTransactions.insert({
      state: begun.state,
      authorizationServer,
      nonce: begun.nonce,
      codeVerifier: begun.codeVerifier,
      redirectUri,
      browserBinding: sha256(binding),
      repair,
      returnTo,
      authorization,
      expiresAt: clock.now() + transactionSeconds * 1000,
    });
    audit.record({ event: "login_started", login: repair, authorizationServer, address: clientAddress(context.env.incoming) });
    const cookies = this.#cookies.writeLogin(loginCookieName(begun.state), binding, transactionSeconds, context.req.header("cookie"));
    return { url: begun.url, cookies };
  }
}

/** What a login's cookie is called after. The state itself is in addresses already; its hash tells nobody more. */
export function loginCookieName(state: string): string {
  return sha256(state).slice(0, 12);
}
