import type { ConsentRequest } from "../authorization-server/consents.ts";
import { LatchkeyError } from "../errors.ts";
import { consentPage, onwardPage, staleConsentPage } from "./consent-page.ts";
import type { CsrfGuard } from "./csrf.ts";
import { loginFailurePage } from "./login-pages.ts";
import type { LoginStarts } from "./login-starts.ts";
import { readFields } from "./request-body.ts";
import type { Route, RouteContext } from "./route.ts";
import type { WebServices, WebSettings } from "./web-services.ts";

const path = "/oauth/consent/:uid";

/**
 * `/oauth/consent/…`: the user is asked whether an MCP client may act for her, before the browser goes on to the company's
 * authorization server. That one may know the user already and ask nothing: consent given to one client must not serve another.
 */
export class ConsentRoutes {
  readonly #settings: WebSettings;
  readonly #services: WebServices;
  readonly #guard: CsrfGuard;
  readonly #starts: LoginStarts;

  constructor(settings: WebSettings, services: WebServices, parts: { readonly guard: CsrfGuard; readonly starts: LoginStarts }) {
    this.#settings = settings;
    this.#services = services;
    this.#guard = parts.guard;
    this.#starts = parts.starts;
  }

  routes(): readonly Route[] {
    return [
      { method: "GET", path, page: true, handle: (context) => this.#pageOnError(() => this.#ask(context)) },
      { method: "POST", path, handle: (context) => this.#pageOnError(() => this.#answer(context)) },
    ];
  }

  async #ask(context: RouteContext): Promise<Response> {
    const consent = await this.#find(context);
    if (consent === undefined) return staleConsentPage();
    return consentPage(
      consent,
      this.#settings.authorizationServers.map(({ name, issuer }) => ({ name, host: new URL(issuer).host })),
    );
  }

  async #answer(context: RouteContext): Promise<Response> {
    const { clientAuthorization } = this.#services;
    this.#guard.checkOrigin(context);
    const fields = await readFields(context);
    const consent = await this.#find(context);
    if (consent === undefined) return staleConsentPage();
    const isGiven = fields.get("decision") !== "refuse";
    const server = fields.get("server");
    if (isGiven && !this.#settings.authorizationServers.some(({ name }) => name === server))
      throw new LatchkeyError("invalid_request", "The form names no authorization server of the configuration. Go back and choose one.");
    if (!(await clientAuthorization.takeConsent(consent, fields.get("csrf_token") ?? "", isGiven))) return staleConsentPage();
    if (!isGiven || server === undefined) {
      const address = await clientAuthorization.refuse(consent.uid);
      return address === undefined ? staleConsentPage() : onwardPage(address);
    }
    const { url, cookies } = await this.#starts.begin(context, { authorizationServer: server, authorization: consent.uid });
    const page = onwardPage(url);
    for (const cookie of cookies) page.headers.append("set-cookie", cookie);
    return page;
  }

  #find(context: RouteContext): Promise<ConsentRequest | undefined> {
    const { incoming, outgoing } = context.env;
    // Only http/1 is listened to.
    if (!("assignSocket" in outgoing)) return Promise.resolve(undefined);
    return this.#services.clientAuthorization.findConsent(context.req.param("uid") ?? "", incoming as never, outgoing);
  }

  async #pageOnError(answer: () => Promise<Response>): Promise<Response> {
    try {
      return await answer();
    } catch (thrown) {
      return loginFailurePage(thrown, { again: "/", logger: this.#services.logger });
    }
  }
}
