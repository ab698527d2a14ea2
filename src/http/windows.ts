import { LatchkeyError } from "../errors.ts";
import type { LoginSession } from "../session/login-session.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import type { BrowserSessions, OpenBrowserSession } from "./browser-sessions.ts";
import type { Cookies } from "./cookies.ts";
import type { CsrfGuard } from "./csrf.ts";
import { isHandle } from "./handle.ts";
import { noSuchLoginSession } from "./problem.ts";
import type { RouteContext } from "./route.ts";

/** One window of a browser: the browser session and the one login session that the window speaks for. */
export interface BrowserWindow {
  readonly browser: OpenBrowserSession;
  readonly login: LoginSession;
  /** All login sessions of the browser, of whichever user. */
  readonly all: readonly LoginSession[];
}

export interface WindowRequest {
  /** The name that the window gave, where it is not in the header: EventSource and forms cannot set one. */
  readonly named?: string | undefined;
  /** The CSRF token from a form field, where it is not in the header. */
  readonly csrfToken?: string | undefined;
}

/** Finds out which window a request comes from. There is no "current" login session: the window names its own. */
export class Windows {
  readonly #cookies: Cookies;
  readonly #browserSessions: BrowserSessions;
  readonly #sessions: LoginSessions;
  readonly #guard: CsrfGuard;

  constructor(cookies: Cookies, browserSessions: BrowserSessions, sessions: LoginSessions, guard: CsrfGuard) {
    this.#cookies = cookies;
    this.#browserSessions = browserSessions;
    this.#sessions = sessions;
    this.#guard = guard;
  }

  /** The browser session of the request's cookie, if it has one. */
  browser(context: RouteContext): Promise<OpenBrowserSession | undefined> {
    return this.#browserSessions.open(this.#cookies.readBrowser(context.req.header("cookie")));
  }

  /**
   * The window that asks. Its login session may be `login_required`, not ended. Throws LatchkeyError `unauthorized`
   * (nobody is signed in), `login_ended`, `not_found` (the name is not one of this browser's), or `conflict` with
   * `details.logins` (no name, and several are signed in).
   */
  async mustGet(context: RouteContext, request: WindowRequest = {}): Promise<BrowserWindow> {
    const window = await this.#resolve(context, await this.#mustOpen(context), request, false);
    if (window.login.state === "ended") throw endedError(window.login);
    return window;
  }

  /** The same for a changing call: Origin and CSRF token are checked first. */
  async mustGetForChange(context: RouteContext, request: WindowRequest = {}): Promise<BrowserWindow> {
    const window = await this.mustGetForEnd(context, request);
    if (window.login.state === "ended") throw endedError(window.login);
    return window;
  }

  /** The same for ending a login session: the window's own may have ended already, so that a repeat can be answered. */
  async mustGetForEnd(context: RouteContext, request: WindowRequest = {}): Promise<BrowserWindow> {
    const browser = await this.#mustOpen(context);
    this.#guard.check(context, browser, context.req.header("x-csrf-token") ?? request.csrfToken);
    return this.#resolve(context, browser, request, true);
  }

  /**
   * The login session with this handle, if it belongs to the window's user (issuer and subject). Throws LatchkeyError
   * `not_found`, the same for an unknown handle and for somebody else's.
   */
  async mustGetVisible(window: BrowserWindow, handle: string): Promise<LoginSession> {
    const own = window.login;
    if (own.handle === handle) return own;
    // A window whose own login session has ended sees nothing else any more.
    if (own.state === "ended") throw endedError(own);
    const found = isHandle(handle) ? await this.#sessions.getByHandle(handle) : undefined;
    if (found === undefined || !isSameUser(found, own)) throw noSuchLoginSession();
    return found;
  }

  async #mustOpen(context: RouteContext): Promise<OpenBrowserSession> {
    const browser = await this.browser(context);
    if (browser === undefined) throw nobody();
    return browser;
  }

  async #resolve(
    context: RouteContext,
    browser: OpenBrowserSession,
    request: WindowRequest,
    acceptOnlyEnded: boolean,
  ): Promise<BrowserWindow> {
    const all = await this.#browserSessions.loginSessionsOf(browser);
    const named = context.req.header("x-latchkey-login") ?? request.named;
    if (named !== undefined && named !== "") {
      const login = all.find((each) => each.handle === named);
      if (login === undefined) throw noSuchLoginSession();
      return { browser, login, all };
    }
    const standing = all.filter((each) => each.state !== "ended");
    const [login, another] = standing.length === 0 && acceptOnlyEnded && all.length === 1 ? all : standing;
    if (login === undefined) throw nobody();
    if (another !== undefined)
      throw new LatchkeyError("conflict", "Several users are signed in in this browser. Name the login session in x-latchkey-login.", {
        details: { logins: standing.map((each) => each.handle), signedIn: standing.map(describeSignedIn) },
      });
    return { browser, login, all };
  }
}

/** One of a browser's login sessions, for the choice between them. */
export function describeSignedIn(record: LoginSession): Readonly<Record<string, unknown>> {
  return {
    id: record.handle,
    issuer: record.principal.issuer,
    subject: record.principal.subject,
    name: record.profile.name,
    email: record.profile.email,
    state: record.state,
    created: new Date(record.createdAt).toISOString(),
  };
}

function isSameUser(a: LoginSession, b: LoginSession): boolean {
  return a.principal.issuer === b.principal.issuer && a.principal.subject === b.principal.subject;
}

function nobody(): LatchkeyError {
  return new LatchkeyError("unauthorized", "Nobody is signed in in this browser. Sign in at /login.", { details: { signIn: "/login" } });
}

function endedError(login: LoginSession): LatchkeyError {
  return new LatchkeyError("login_ended", "This login session has ended. Sign in again at /login.", {
    details: { login: login.handle, reason: login.reason?.code, signIn: "/login" },
  });
}
