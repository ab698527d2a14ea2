/** What came back, with the body read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The members of a JSON body; empty for anything else. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** A browser as far as HTTP goes: one cookie jar, no redirects followed, Origin on what changes something. */
export class TestBrowser {
  readonly #url: string;
  readonly cookies = new Map<string, string>();

  constructor(url: string) {
    this.#url = url;
  }

  get cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** The value of the one cookie whose name begins like this. */
  cookie(prefix: string): string | undefined {
    return [...this.cookies].find(([name]) => name.startsWith(prefix))?.[1];
  }

  async request(method: string, path: string, options: { headers?: Record<string, string>; body?: string } = {}): Promise<Answer> {
    const origin: Record<string, string> = method === "GET" ? {} : { origin: this.#url };
    const cookie: Record<string, string> = this.cookies.size === 0 ? {} : { cookie: this.cookieHeader };
    const response = await fetch(new URL(path, this.#url), {
      method,
      redirect: "manual",
      headers: { ...cookie, ...origin, ...options.headers },
      ...(options.body === undefined ? {} : { body: options.body }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [name = "", value = ""] = line.split(";", 1)[0]?.split("=") ?? [];
      this.cookies.set(name, value);
    }
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parseJson(text) };
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.request("GET", path, { headers });
  }

  /** Begins a login and gives the state that the authorization server will send back. */
  async beginLogin(path = "/login"): Promise<string> {
    const { headers, status } = await this.get(path);
    if (status !== 303) throw new Error(`the login did not begin: ${status}`);
    return new URL(headers.get("location") ?? "").searchParams.get("state") ?? "";
  }

  /** Signs in and gives the window of the new login session. */
  async signIn(user: string, path = "/login"): Promise<TestWindow> {
    const state = await this.beginLogin(path);
    const { headers, status, text } = await this.get(`/login/callback?state=${state}&code=${user}`);
    if (status !== 303) throw new Error(`the login did not finish: ${status} ${text}`);
    return this.window(new URL(headers.get("location") ?? "").pathname.replace("/s/", ""));
  }

  window(handle: string): TestWindow {
    return new TestWindow(this, handle);
  }
}

/** One window: each call names its login session, and changing ones bring the CSRF token of the moment. */
export class TestWindow {
  readonly browser: TestBrowser;
  readonly handle: string;

  constructor(browser: TestBrowser, handle: string) {
    this.browser = browser;
    this.handle = handle;
  }

  get(path: string): Promise<Answer> {
    return this.browser.get(path, { "x-latchkey-login": this.handle });
  }

  async csrfToken(): Promise<string> {
    return String((await this.get("/api/me")).json.csrfToken);
  }

  async post(path: string, body: unknown, csrfToken?: string): Promise<Answer> {
    const headers = { "content-type": "application/json", ...(await this.#changing(csrfToken)) };
    return this.browser.request("POST", path, { headers, body: JSON.stringify(body) });
  }

  async delete(path: string, csrfToken?: string): Promise<Answer> {
    return this.browser.request("DELETE", path, { headers: await this.#changing(csrfToken) });
  }

  async #changing(csrfToken: string | undefined): Promise<Record<string, string>> {
    return { "x-latchkey-login": this.handle, "x-csrf-token": csrfToken ?? (await this.csrfToken()) };
  }
}

/** The members of a JSON object; empty for anything else. */
export function parseJson(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
