import { loginFields, loginPath } from "./login-form.ts";

/** A browser without a screen: cookies and redirects, and nothing else. It leaves its server's origin for nobody. */
export class ScriptedBrowser {
  readonly #origin: string;
  readonly #cookies = new Map<string, { readonly value: string; readonly path: string }>();

  constructor(origin: string) {
    this.#origin = origin;
  }

  get(url: string | URL): Promise<BrowserStop> {
    return this.#follow(new URL(url), undefined);
  }

  submit(url: string | URL, fields: Readonly<Record<string, string>>): Promise<BrowserStop> {
    return this.#follow(new URL(url), new URLSearchParams(fields));
  }

  /** Goes on until a page, or until an address that is not the server's (its /demo/callback stands for one), which is not fetched. */
  async #follow(start: URL, form: URLSearchParams | undefined): Promise<BrowserStop> {
    let url = start;
    let body = form;
    for (let hops = 0; hops < 20; hops++) {
      const response = await fetch(url, {
        method: body === undefined ? "GET" : "POST",
        redirect: "manual",
        headers: { cookie: this.#cookiesFor(url), ...(body === undefined ? {} : { origin: this.#origin }) },
        ...(body === undefined ? {} : { body }),
      });
      this.#keepCookies(response);
      const location = response.headers.get("location");
      if (location === null) return { kind: "page", url, status: response.status, text: await response.text() };
      await response.body?.cancel();
      url = new URL(location, url);
      body = undefined;
      if (url.origin !== this.#origin || url.pathname.startsWith("/demo/")) return { kind: "left", url };
    }
    throw new Error(`${this.#origin} redirects in a circle.`);
  }

  #keepCookies(response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
      const [name = "", value = ""] = split(pair);
      const [, path = "/"] = split(attributes.find((attribute) => attribute.toLowerCase().startsWith("path=")) ?? "path=/");
      if (value === "") this.#cookies.delete(`${name} ${path}`);
      else this.#cookies.set(`${name} ${path}`, { value: pair, path });
    }
  }

  #cookiesFor(url: URL): string {
    return [...this.#cookies.values()].flatMap(({ value, path }) => (isUnder(url.pathname, path) ? value : [])).join("; ");
  }
}

/** Where the browser came to rest. */
export type BrowserStop =
  | { readonly kind: "page"; readonly url: URL; readonly status: number; readonly text: string }
  /** It was sent away, to an address that it did not fetch. */
  | { readonly kind: "left"; readonly url: URL };

/**
 * Signs a demo user in as the login page would: opens the authorization request, fills the form, follows the redirects.
 * Gives the address that the browser is sent back to, with code and state or with an error, without fetching it.
 * `browser`: the one to use, for logins that share its cookies. Throws when the server shows something else than its form.
 */
export async function signInByForm(authorizationUrl: string, user: string, browser?: ScriptedBrowser): Promise<URL> {
  const window = browser ?? new ScriptedBrowser(new URL(authorizationUrl).origin);
  const form = await window.get(authorizationUrl);
  if (form.kind === "left") return form.url;
  if (form.status !== 200 || !form.url.pathname.startsWith(loginPath)) throw refused(user, form);
  const done = await window.submit(form.url, { [loginFields.name]: user, [loginFields.password]: user });
  if (done.kind === "left") return done.url;
  throw refused(user, done);
}

function refused(user: string, { url, status }: { readonly url: URL; readonly status: number }): Error {
  return new Error(`The demo's authorization server did not sign ${user} in: status ${status} at ${url.origin}${url.pathname}.`);
}

function split(pair: string): readonly [string, string] {
  const at = pair.indexOf("=");
  return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
}

function isUnder(pathname: string, path: string): boolean {
  return pathname === path || pathname.startsWith(path.endsWith("/") ? path : `${path}/`);
}
