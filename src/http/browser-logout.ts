import type { LoginSession } from "../session/login-session.ts";
import type { WebServices } from "./web-services.ts";

/** How long an answer waits for the first try of the revocation, so that it can say `done`. */
const waitForRevocationMs = 2_000;

/** What a logout answers. The same again when it is repeated, but for a revocation that has gone on since. */
export interface LogoutAnswer {
  readonly id: string;
  readonly state: string;
  readonly revocation: string;
}

/** Ends login sessions for those who may, and says where the browser can sign out of the authorization server too. */
export class BrowserLogout {
  readonly #services: WebServices;
  readonly #publicUrl: URL;

  constructor(services: WebServices, publicUrl: URL) {
    this.#services = services;
    this.#publicUrl = publicUrl;
  }

  /** Throws what `Logout.end` throws; then nothing was ended. */
  async end(record: LoginSession, reason: "logout" | "import_owner"): Promise<LogoutAnswer> {
    const result = await this.#services.logout.end(record.id, reason, { waitForRevocationMs });
    const { handle, state } = result.loginSession;
    return { id: handle, state, revocation: result.revocation };
  }

  /**
   * The end-session address of the authorization server (OpenID Connect RP-Initiated Logout 1.0). It is made without
   * `id_token_hint`: an address is no place for a token (B10), so the authorization server asks its user itself.
   */
  async endSessionUrl(record: LoginSession): Promise<string | undefined> {
    const postLogoutRedirectUri = new URL("/", this.#publicUrl).href;
    try {
      return await this.#services.loginServers.endSessionUrl(record.authorizationServer, { idToken: undefined, postLogoutRedirectUri });
    } catch (error) {
      // The logout here has been done; that the authorization server cannot be asked for its address does not undo it.
      this.#services.logger.info("No end-session address for a logout.", { login: record.handle, error });
      return undefined;
    }
  }
}
