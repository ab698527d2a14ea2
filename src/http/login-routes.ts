import { asLatchkeyError, LatchkeyError } from "../errors.ts";
import type { LoginSession, LoginSessionHandle } from "../session/login-session.ts";
import type { LoginTransaction } from "../session/login-transaction.ts";
import { sha256 } from "../session/random.ts";
import { type BrowserSessions, browserSessionSeconds } from "./browser-sessions.ts";
import { staleConsentPage } from "./consent-page.ts";
import type { Cookies } from "./cookies.ts";
import { isHandle } from "./handle.ts";
import { htmlPage } from "./html-page.ts";
import { localAddress } from "./local-path.ts";
import { loginFailurePage, staleLoginPage } from "./login-pages.ts";
import { type LoginStarts, loginCookieName } from "./login-starts.ts";
import type { Route, RouteContext } from "./route.ts";
import { seeOther } from "./route.ts";
import type { WebServices, WebSettings } from "./web-services.ts";
import type { Windows } from "./windows.ts";

/** What a link may ask of the authorization server: to show its sign-in page although it knows a user already. */
const prompts: readonly string[] = ["login", "select_account"];

interface LoginRequest {
  readonly authorizationServer: string;
  readonly repair: LoginSessionHandle | undefined;
  readonly returnTo: string | undefined;
  readonly prompt: string | undefined;
}

/** `GET /login` and `GET /login/callback`: the browser's login, by authorization code (RFC 6749, section 4.1) with PKCE. */
export class LoginRoutes {
  readonly #settings: WebSettings;
  readonly #services: WebServices;
  readonly #publicUrl: URL;
  readonly #cookies: Cookies;
  readonly #browserSessions: BrowserSessions;
  readonly #windows: Windows;
  readonly #starts: LoginStarts;

  constructor(
    settings: WebSettings,
    services: WebServices,
    parts: { publicUrl: URL; cookies: Cookies; browserSessions: BrowserSessions; windows: Windows; starts: LoginStarts },
  ) {
    this.#settings = settings;
    this.#services = services;
    this.#publicUrl = parts.publicUrl;
    this.#cookies = parts.cookies;
    this.#browserSessions = parts.browserSessions;
    this.#windows = parts.windows;
    this.#starts = parts.starts;
  }

  routes(): readonly Route[] {
    return [
      { method: "GET", path: "/login", page: true, handle: (context) => this.#pageOnError(context, () => this.#begin(context)) },
      { method: "GET", path: "/login/callback", handle: (context) => this.#pageOnError(context, () => this.#complete(context)) },
    ];
  }

  async #begin(context: RouteContext): Promise<Response> {
    const request = await this.#readRequest(context);
    if (request === "ask which server") return this.#serverChoice(context);
    const prompt = request.prompt ?? (await this.#promptFor(context, request));
    const { url, cookies } = await this.#starts.begin(context, { ...request, prompt });
    return seeOther(url, cookies);
  }

  /** Whoever signs in beside somebody else wants to be asked: the authorization server would otherwise give the same user again. */
  async #promptFor(context: RouteContext, request: LoginRequest): Promise<string | undefined> {
    if (request.repair !== undefined) return undefined;
    const open = await this.#windows.browser(context);
    const held = open === undefined ? [] : await this.#browserSessions.loginSessionsOf(open);
    return held.some((each) => each.state !== "ended") ? "login" : undefined;
  }

  async #complete(context: RouteContext): Promise<Response> {
    const transaction = await this.#takeTransaction(context);
    if (transaction === undefined) return staleLoginPage();
    const { loginServers, logins } = this.#services;
    const { authorization } = transaction;
    if (authorization !== undefined && !(await this.#services.clientAuthorization.isOpen(authorization))) return staleConsentPage();
    const open = await this.#windows.browser(context);
    const login = await loginServers.completeLogin(transaction.authorizationServer, {
      callbackUrl: new URL(`/login/callback${new URL(context.req.url).search}`, this.#publicUrl),
      redirectUri: transaction.redirectUri,
      state: transaction.state,
      nonce: transaction.nonce,
      codeVerifier: transaction.codeVerifier,
    });
    if (authorization !== undefined) {
      const address = await this.#services.clientAuthorization.complete(authorization, login);
      return address === undefined ? staleConsentPage() : seeOther(address);
    }
    const record: LoginSession =
      transaction.repair === undefined ? await logins.start(login, { kind: "browser" }) : await logins.repair(transaction.repair, login);
    const { all } = this.#cookies.readLogins(loginCookieName(transaction.state), context.req.header("cookie"));
    const cookie = await this.#browserSessions.addLogin(open, record, all);
    const target = transaction.returnTo ?? new URL(`/s/${record.handle}`, this.#publicUrl).href;
    return seeOther(target, [this.#cookies.writeBrowser(cookie, browserSessionSeconds)]);
  }

  /** The login that this redirect finishes. Undefined: unknown, used or expired, or begun in another browser (B7). */
  async #takeTransaction(context: RouteContext): Promise<LoginTransaction | undefined> {
    const { store, clock, audit, clientAddress } = this.#services;
    const state = context.req.query("state");
    const transaction = state === undefined || state === "" ? undefined : await store.loginTransactions.take(state, clock.now());
    const { own } = this.#cookies.readLogins(loginCookieName(state ?? ""), context.req.header("cookie"));
    const isOurs = transaction !== undefined && own !== undefined && sha256(own) === transaction.browserBinding;
    if (isOurs) return transaction;
    const code = transaction === undefined ? "unknown_state" : "another_browser";
    audit.record({ event: "login_refused", code, address: clientAddress(context.env.incoming) });
    return undefined;
  }

  async #readRequest(context: RouteContext): Promise<LoginRequest | "ask which server"> {
    const returnTo = this.#readReturnTo(context.req.query("return_to"));
    const prompt = context.req.query("prompt");
    if (prompt !== undefined && !prompts.includes(prompt)) throw invalid(`prompt must be one of ${prompts.join(", ")}.`);
    const repair = context.req.query("repair");
    if (repair !== undefined) return { ...(await this.#readRepair(repair)), returnTo, prompt };
    const [first, ...others] = this.#settings.authorizationServers;
    const name = context.req.query("server") ?? (others.length === 0 ? first?.name : undefined);
    if (name === undefined) return "ask which server";
    if (!this.#settings.authorizationServers.some((each) => each.name === name))
      throw new LatchkeyError("not_found", "There is no authorization server of this name in the configuration.");
    return { authorizationServer: name, repair: undefined, returnTo, prompt };
  }

  #readReturnTo(path: string | undefined): string | undefined {
    if (path === undefined) return undefined;
    const address = localAddress(path, this.#publicUrl);
    if (address === undefined) throw invalid("return_to must be a path on this server, like /s/HANDLE.");
    return address;
  }

  async #readRepair(handle: string): Promise<Pick<LoginRequest, "authorizationServer" | "repair">> {
    const found = isHandle(handle) ? await this.#services.sessions.getByHandle(handle) : undefined;
    if (found === undefined || found.state === "ended")
      throw new LatchkeyError("not_found", "The login session that this link repairs has ended. Sign in for a new one.");
    return { authorizationServer: found.authorizationServer, repair: found.handle };
  }

  #serverChoice(context: RouteContext): Response {
    const links = this.#settings.authorizationServers.map(({ name, issuer }) => {
      const query = new URLSearchParams(context.req.query());
      query.set("server", name);
      return { href: `/login?${query}`, text: `${name} (${new URL(issuer).host})` };
    });
    return htmlPage({ status: 200, title: "Where do you want to sign in?", text: ["Choose the service that knows you."], links });
  }

  async #pageOnError(context: RouteContext, answer: () => Promise<Response>): Promise<Response> {
    try {
      return await answer();
    } catch (thrown) {
      return loginFailurePage(thrown, { again: this.#again(context, thrown), logger: this.#services.logger });
    }
  }

  /**
   * The link of "try again": the same login for `/login`, a new one after a callback, whose parameters are spent, and
   * where there is nothing to repair.
   */
  #again(context: RouteContext, thrown: unknown): string {
    const isOver = context.req.path !== "/login" || asLatchkeyError(thrown).code === "not_found";
    const repair = isOver ? undefined : context.req.query("repair");
    return repair !== undefined && isHandle(repair) ? `/login?repair=${repair}` : "/login";
  }
}

function invalid(message: string): LatchkeyError {
  return new LatchkeyError("invalid_request", message);
}
