import { syncClock } from "./time.js";

const timeoutMs = 20_000;

/** What the server answered when it did not do what was asked, or that it did not answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? "The server gave no reason.");
    this.status = status;
    this.code = problem.code ?? "unknown";
    this.problem = problem;
  }

  /** True when nothing can be concluded about the login session: the server is away, or has trouble of its own. */
  get isOutage() {
    return this.status === 0 || this.status >= 500 || this.status === 429;
  }
}

/** The API, for one window: each call names the window's login session. */
export class Api {
  #handle;
  #csrfToken;

  /** `handle`: undefined for a window that speaks for no login session (the start page). */
  constructor(handle) {
    this.#handle = handle;
  }

  get handle() {
    return this.#handle;
  }

  /** Who this window is, and a fresh CSRF token. */
  async me() {
    const me = await this.get("/api/me");
    this.#csrfToken = me.csrfToken;
    return me;
  }

  get(path) {
    return this.#send("GET", path);
  }

  post(path, body) {
    return this.#change("POST", path, body);
  }

  delete(path) {
    return this.#change("DELETE", path);
  }

  /** When another window of this browser signs in, the cookie changes, and the CSRF token with it: ask once more. */
  async #change(method, path, body) {
    if (this.#csrfToken === undefined) await this.me();
    try {
      return await this.#send(method, path, body);
    } catch (error) {
      if (!(error instanceof ApiError) || error.problem.reason !== "csrf_token") throw error;
      await this.me();
      return this.#send(method, path, body);
    }
  }

  async #send(method, path, body) {
    const headers = { accept: "application/json" };
    if (this.#handle !== undefined) headers["x-latchkey-login"] = this.#handle;
    if (method !== "GET") headers["x-csrf-token"] = this.#csrfToken;
    if (body !== undefined) headers["content-type"] = "application/json";
    let response;
    let text;
    try {
      response = await fetch(path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch {
      throw new ApiError(0, { code: "unreachable", detail: "The server cannot be reached." });
    }
    const document = parse(text);
    if (!response.ok) throw new ApiError(response.status, document ?? { detail: `The server answered with status ${response.status}.` });
    if (document?.serverTime !== undefined) syncClock(document.serverTime);
    return document;
  }
}

function parse(text) {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}
