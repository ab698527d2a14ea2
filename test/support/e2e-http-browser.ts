import { loginFields, loginPath } from "../../src/demo/login-form.ts";
import { type Fields, mustList, mustString, parseFields } from "./e2e-json.ts";

/** What came back, with the body read. */
export interface Answer {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The members of a JSON body; empty for anything else. */
  readonly json: Fields;
}

export interface Sending {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | URLSearchParams;
}

interface Cookie {
  readonly pair: string;
  readonly path: string;
}

/** A browser without a screen: one cookie jar for all ports of this host, as cookies have it, and Origin on what changes something. */
export class HttpBrowser {
  readonly origin: string;
  readonly #jar = new Map<string, Cookie>();
  /** Every address that it was sent to, in order: authorization codes stand in some. */
  readonly visited: URL[] = [];

  constructor(origin: string) {
    this.origin = origin;
  }

  /** Values of cookies whose name begins like this. */
  cookies(prefix = ""): readonly string[] {
    return [...this.#jar.values()].flatMap(({ pair }) => (pair.startsWith(prefix) ? [pair.slice(pair.indexOf("=") + 1)] : []));
  }

  cookieHeader(url: URL): string {
    return [...this.#jar.values()].flatMap(({ pair, path }) => (isUnder(url.pathname, path) ? [pair] : [])).join("; ");
  }

  /** One request; no redirect is followed. */
  async request(method: string, address: string | URL, { headers = {}, body }: Sending = {}): Promise<Answer> {
    const url = new URL(address, this.origin);
    this.visited.push(url);
    const response = await fetch(url, {
      method,
      redirect: "manual",
      headers: { cookie: this.cookieHeader(url), ...(method === "GET" ? {} : { origin: url.origin }), ...headers },
      ...(body === undefined ? {} : { body }),
    });
    for (const line of response.headers.getSetCookie()) this.keep(line);
    const text = await response.text();
    return { url, status: response.status, headers: response.headers, text, json: parseFields(text) };
  }

  get(address: string | URL, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.request("GET", address, { headers });
  }

  /** Goes where it is sent, until a page. */
  async open(address: string | URL, first: Sending & { readonly method?: string } = {}): Promise<Answer> {
    let answer = await this.request(first.method ?? "GET", address, first);
    for (let hops = 0; hops < 20; hops += 1) {
      const location = answer.headers.get("location");
      if (location === null) return answer;
      answer = await this.get(new URL(location, answer.url));
    }
    throw new Error(`${this.origin} redirects in a circle.`);
  }

  /** Follows the login link to the authorization server's form. */
  async openLoginForm(path = "/login"): Promise<Answer> {
    const form = await this.open(path);
    if (form.status !== 200 || !form.url.pathname.startsWith(loginPath))
      throw new Error(`No login form, but ${form.status} at ${form.url}`);
    return form;
  }

  /** Fills in the authorization server's form. Gives the address that it sends back to, with the code, unvisited. */
  async submitLoginForm(form: Answer, user: string): Promise<URL> {
    let answer = await this.request("POST", form.url, {
      body: new URLSearchParams({ [loginFields.name]: user, [loginFields.password]: user }),
    });
    for (let hops = 0; hops < 5; hops += 1) {
      const location = new URL(answer.headers.get("location") ?? "", answer.url);
      if (location.origin === this.origin) return location;
      answer = await this.get(location);
    }
    throw new Error(`The form of the authorization server did not lead back to ${this.origin}.`);
  }

  /** Signs in by the form and gives the window of the new login session. */
  async signIn(user: string, path = "/login"): Promise<HttpWindow> {
    const callback = await this.submitLoginForm(await this.openLoginForm(path), user);
    const page = await this.open(callback);
    const handle = /^\/s\/(ls_\w+)$/.exec(page.url.pathname)?.[1];
    if (page.status !== 200 || handle === undefined)
      throw new Error(`The login ended with ${page.status} at ${page.url.pathname}: ${page.text}`);
    return new HttpWindow(this, handle);
  }

  /** Takes a cookie, as a Set-Cookie header has it. */
  keep(line: string): void {
    const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
    const [name = "", value = ""] = pair.split("=", 2);
    const path = attributes.find((each) => /^path=/i.test(each))?.slice("path=".length) ?? "/";
    if (value === "") this.#jar.delete(`${name} ${path}`);
    else this.#jar.set(`${name} ${path}`, { pair, path });
  }
}

/** One window of the console: each call names its login session, and changing ones bring the CSRF token of the moment. */
export class HttpWindow {
  readonly browser: HttpBrowser;
  readonly handle: string;

  constructor(browser: HttpBrowser, handle: string) {
    this.browser = browser;
    this.handle = handle;
  }

  get(path: string): Promise<Answer> {
    return this.browser.get(path, { "x-latchkey-login": this.handle });
  }

  /** Its own login session as the API shows it. */
  async health(): Promise<Fields> {
    return (await this.get(`/api/sessions/${this.handle}`)).json;
  }

  async list(): Promise<readonly Fields[]> {
    return mustList((await this.get("/api/sessions")).json, "sessions");
  }

  async csrfToken(): Promise<string> {
    return mustString((await this.get("/api/me")).json, "csrfToken");
  }

  async post(path: string, body: unknown, csrfToken?: string): Promise<Answer> {
    const headers = { "content-type": "application/json", ...(await this.#changing(csrfToken)) };
    return this.browser.request("POST", path, { headers, body: JSON.stringify(body) });
  }

  async delete(path: string, csrfToken?: string): Promise<Answer> {
    return this.browser.request("DELETE", path, { headers: await this.#changing(csrfToken) });
  }

  /** Makes a connection key and gives its value. */
  async makeKey(name = "test"): Promise<string> {
    const answer = await this.post(`/api/sessions/${this.handle}/keys`, { name });
    if (answer.status !== 201) throw new Error(`No connection key, but ${answer.status}: ${answer.text}`);
    return mustString(answer.json, "key");
  }

  /** Ends the window's own login session. */
  signOut(csrfToken?: string): Promise<Answer> {
    return this.delete(`/api/sessions/${this.handle}`, csrfToken);
  }

  async #changing(csrfToken: string | undefined): Promise<Record<string, string>> {
    return { "x-latchkey-login": this.handle, "x-csrf-token": csrfToken ?? (await this.csrfToken()) };
  }
}

function isUnder(pathname: string, path: string): boolean {
  return pathname === path || pathname.startsWith(path.endsWith("/") ? path : `${path}/`);
}
