import type { OAuthClientProvider } from "@modelcontextprotocol/sdk/client/auth.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { OAuthClientInformationMixed, OAuthClientMetadata, OAuthTokens } from "@modelcontextprotocol/sdk/shared/auth.js";
import { type HttpTransport, McpClient } from "./e2e-clients.ts";
import type { Answer, HttpBrowser } from "./e2e-http-browser.ts";

/** Where the answer goes. Nobody listens there: the code is read from the address. */
const usualRedirectUrl = "http://localhost:33418/callback";

/** An MCP client that knows nothing but the address of its server: the SDK's own client, with what it keeps in memory. */
export class OAuthClient implements OAuthClientProvider {
  readonly redirectUrl: string;
  readonly clientMetadata: OAuthClientMetadata;
  readonly #serverUrl: string;
  information: OAuthClientInformationMixed | undefined;
  saved: OAuthTokens | undefined;
  /** Where it wanted to send its user. */
  authorizationUrl: URL | undefined;
  #verifier = "";

  constructor(serverUrl: string, name = "test client", redirectUrl = usualRedirectUrl) {
    this.#serverUrl = serverUrl;
    this.redirectUrl = redirectUrl;
    this.clientMetadata = { client_name: name, redirect_uris: [redirectUrl], token_endpoint_auth_method: "none" };
  }

  clientInformation(): OAuthClientInformationMixed | undefined {
    return this.information;
  }

  saveClientInformation(information: OAuthClientInformationMixed): void {
    this.information = information;
  }

  tokens(): OAuthTokens | undefined {
    return this.saved;
  }

  saveTokens(tokens: OAuthTokens): void {
    this.saved = tokens;
  }

  redirectToAuthorization(url: URL): void {
    this.authorizationUrl = url;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    return this.#verifier;
  }

  state(): string {
    return "state-of-the-client";
  }

  invalidateCredentials(scope: "all" | "client" | "tokens" | "verifier" | "discovery"): void {
    if (scope === "all" || scope === "client") this.information = undefined;
    if (scope === "all" || scope === "tokens") this.saved = undefined;
  }

  get clientId(): string {
    return this.information?.client_id ?? "";
  }

  transport(kind: HttpTransport): StreamableHTTPClientTransport | SSEClientTransport {
    const options = { authProvider: this };
    return kind === "http"
      ? new StreamableHTTPClientTransport(new URL("/mcp", this.#serverUrl), options)
      : new SSEClientTransport(new URL("/sse", this.#serverUrl), options);
  }

  /** Tries to connect, is sent to sign in, and says where the browser has to go. */
  async begin(kind: HttpTransport = "http"): Promise<{ readonly url: URL; finish(code: string): Promise<void> }> {
    const transport = this.transport(kind);
    this.authorizationUrl = undefined;
    const error = await McpClient.connect(transport).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof UnauthorizedError) || this.authorizationUrl === undefined)
      throw new Error(`The client was not sent to sign in: ${String(error)}`);
    return { url: this.authorizationUrl, finish: (code) => transport.finishAuth(code) };
  }

  /** The whole way from nothing to tokens, as this user. */
  async signIn(browser: HttpBrowser, user: string, kind: HttpTransport = "http"): Promise<void> {
    const { url, finish } = await this.begin(kind);
    await finish(codeOf(await allow(browser, url, user)));
  }

  connect(kind: HttpTransport = "http"): Promise<McpClient> {
    return McpClient.connect(this.transport(kind));
  }

  /** A request to the token endpoint by hand. */
  async refresh(refreshToken = this.saved?.refresh_token ?? "", more: Readonly<Record<string, string>> = {}) {
    return tokenRequest(this.#serverUrl, {
      grant_type: "refresh_token",
      refresh_token: refreshToken,
      client_id: this.clientId,
      resource: `${this.#serverUrl}/mcp`,
      ...more,
    });
  }
}

export async function tokenRequest(serverUrl: string, fields: Readonly<Record<string, string>>) {
  const response = await fetch(`${serverUrl}/oauth/token`, { method: "POST", body: new URLSearchParams(fields) });
  return { status: response.status, json: (await response.json()) as Readonly<Record<string, unknown>> };
}

/** Opens the authorization request: the consent page. */
export async function openConsent(browser: HttpBrowser, authorizationUrl: URL): Promise<Answer> {
  const page = await browser.open(authorizationUrl);
  if (page.status !== 200 || !page.url.pathname.startsWith("/oauth/consent/"))
    throw new Error(`No consent page, but ${page.status} at ${page.url}: ${page.text}`);
  return page;
}

/** Posts the form of the consent page. */
export function answerConsent(browser: HttpBrowser, page: Answer, decision: "allow" | "refuse", headers = {}): Promise<Answer> {
  const server = /name="server" value="([^"]+)"/.exec(page.text)?.[1] ?? "";
  const fields = { csrf_token: csrfTokenOf(page), ...(decision === "allow" ? { server } : { decision }) };
  return browser.request("POST", page.url, { body: new URLSearchParams(fields), headers });
}

export function csrfTokenOf(page: Answer): string {
  return /name="csrf_token" value="([^"]+)"/.exec(page.text)?.[1] ?? "";
}

/** The link of a page that sends the browser on. */
export function onwardOf(page: Answer): URL {
  const href = /<a class="button primary" href="([^"]+)">Go on</.exec(page.text)?.[1];
  if (page.status !== 200 || href === undefined) throw new Error(`The page does not lead on: ${page.status} ${page.text}`);
  return new URL(href.replaceAll("&#38;", "&").replaceAll("&#39;", "'"));
}

/** Consents and signs in at the authorization server's form; gives the client's address with the answer, unvisited. */
export async function allow(browser: HttpBrowser, authorizationUrl: URL, user: string): Promise<URL> {
  const page = await answerConsent(browser, await openConsent(browser, authorizationUrl), "allow");
  const callback = await browser.submitLoginForm(await browser.open(onwardOf(page)), user);
  return follow(browser, callback);
}

/** Follows redirects until they leave this server; gives the address that they leave to. */
export async function follow(browser: HttpBrowser, address: URL): Promise<URL> {
  let next = address;
  for (let hops = 0; hops < 5 && next.origin === browser.origin; hops += 1) {
    const answer = await browser.get(next);
    const location = answer.headers.get("location");
    if (location === null) throw new Error(`It ends with ${answer.status} at ${answer.url}: ${answer.text}`);
    next = new URL(location, answer.url);
  }
  return next;
}

function codeOf(answer: URL): string {
  const code = answer.searchParams.get("code");
  if (code === null) throw new Error(`No code, but ${answer.search}`);
  return code;
}
