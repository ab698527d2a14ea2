import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Answer, HttpBrowser } from "../support/e2e-http-browser.ts";
import { mustString, parseFields } from "../support/e2e-json.ts";
import { answerConsent, csrfTokenOf, follow, onwardOf, openConsent } from "../support/oauth-client.ts";
import { startWebBench, type WebBench } from "./web-bench.ts";

let bench: WebBench;
const page = "https://page.example";
beforeEach(async () => {
  bench = await startWebBench({ corsOrigins: [page] });
});
afterEach(() => bench.close());

const redirectUri = "http://localhost:33418/callback";

async function register(name = "Client <b>One</b>", uri = redirectUri): Promise<string> {
  const response = await fetch(`${bench.url}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_name: name, redirect_uris: [uri], token_endpoint_auth_method: "none" }),
  });
  return mustString(parseFields(await response.text()), "client_id");
}

function authorizationUrl(clientId: string, uri = redirectUri): URL {
  const url = new URL("/oauth/authorize", bench.url);
  const challenge = createHash("sha256").update("v".repeat(43)).digest("base64url");
  url.search = new URLSearchParams({
    client_id: clientId,
    redirect_uri: uri,
    response_type: "code",
    state: "the client's state",
    code_challenge: challenge,
    code_challenge_method: "S256",
  }).toString();
  return url;
}

async function ask(browser: HttpBrowser, name?: string): Promise<Answer> {
  return openConsent(browser, authorizationUrl(await register(name)));
}

/** The company's authorization server knows the user and asks nothing. */
function callbackOf(companyAddress: URL, user: string): URL {
  return new URL(`/login/callback?state=${companyAddress.searchParams.get("state")}&code=${user}`, bench.url);
}

async function loginSessions(): Promise<number> {
  const { issuer } = bench.server;
  return (await Promise.all(["alice", "mallory"].map((user) => bench.store.loginSessions.listByUser(issuer, user)))).flat().length;
}

describe("the consent page", () => {
  test("says who asks, where the answer goes, and that a program on this machine may be anybody; names are escaped", async () => {
    const { text, headers, url } = await ask(new HttpBrowser(bench.url));
    expect(text).toContain("Client &#60;b&#62;One&#60;/b&#62;");
    expect(text).toContain("localhost:33418");
    expect(text).toContain("nobody has checked it");
    expect(text).toContain("a program on your own machine, and nothing says which one");
    expect(text).toContain("using the tools as you");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(url.search).toBe("");
  });

  test("comes before anything is asked of the company's authorization server, and consent leads there", async () => {
    const browser = new HttpBrowser(bench.url);
    const asked = await ask(browser);
    expect(bench.begun).toEqual([]);
    const onward = onwardOf(await answerConsent(browser, asked, "allow"));
    expect(onward.origin).toBe("https://as.example");
    expect(bench.begun).toEqual([{ name: "main", prompt: undefined }]);
    const answer = await follow(browser, callbackOf(onward, "alice"));
    expect(answer.href.startsWith(`${redirectUri}?`)).toBe(true);
    expect(Object.fromEntries(answer.searchParams)).toEqual({
      code: expect.any(String),
      state: "the client's state",
      iss: bench.url,
    });
    expect(await loginSessions()).toBe(1);
  });

  test("that is refused tells the client so, and nobody signs in", async () => {
    const browser = new HttpBrowser(bench.url);
    const answer = await follow(browser, onwardOf(await answerConsent(browser, await ask(browser), "refuse")));
    expect(Object.fromEntries(answer.searchParams)).toMatchObject({ error: "access_denied", state: "the client's state", iss: bench.url });
    expect(bench.begun).toEqual([]);
    expect(await loginSessions()).toBe(0);
  });
});

describe("a consent", () => {
  test("is given once: a second answer, and the way back, lead nowhere (B7)", async () => {
    const browser = new HttpBrowser(bench.url);
    const asked = await ask(browser);
    const onward = onwardOf(await answerConsent(browser, asked, "allow"));
    expect((await answerConsent(browser, asked, "allow")).status).toBe(400);
    expect((await browser.get(asked.url)).status).toBe(400);
    await follow(browser, callbackOf(onward, "alice"));
    const replayed = await browser.get(callbackOf(onward, "alice"));
    expect(replayed.status).toBe(400);
    expect(await loginSessions()).toBe(1);
  });

  test.each<[string, (asked: Answer, browser: HttpBrowser) => Promise<Answer>, number]>([
    ["a page of another origin", (asked, browser) => answerConsent(browser, asked, "allow", { origin: "https://evil.example" }), 403],
    ["a page of a configured origin", (asked, browser) => answerConsent(browser, asked, "allow", { origin: page }), 403],
    ["another browser", (asked) => answerConsent(new HttpBrowser(bench.url), asked, "allow"), 400],
    [
      "a form without its token",
      (asked, browser) => browser.request("POST", asked.url, { body: new URLSearchParams({ server: "main" }) }),
      400,
    ],
    [
      "a form with another's token",
      async (asked, browser) => {
        const other = await ask(new HttpBrowser(bench.url));
        const fields = { server: "main", csrf_token: csrfTokenOf(other) };
        return browser.request("POST", asked.url, { body: new URLSearchParams(fields) });
      },
      400,
    ],
  ])("is not given by %s", async (_name, attempt, status) => {
    const browser = new HttpBrowser(bench.url);
    const asked = await ask(browser);
    expect((await attempt(asked, browser)).status).toBe(status);
    expect(bench.begun).toEqual([]);
    // And the user can still answer.
    expect((await answerConsent(browser, asked, "allow")).status).toBe(200);
  });

  test("of one client serves no other: the second is asked about too, although the company asks nothing any more", async () => {
    const browser = new HttpBrowser(bench.url);
    const onward = onwardOf(await answerConsent(browser, await ask(browser, "good"), "allow"));
    await follow(browser, callbackOf(onward, "alice"));
    const asked = await ask(browser, "evil");
    expect(asked.text).toContain("evil");
    expect(bench.begun).toHaveLength(1);
    expect(await loginSessions()).toBe(1);
  });

  test("that an attacker gave in a browser of his own does not make a victim's sign-in his (confused deputy)", async () => {
    const attacker = new HttpBrowser(bench.url);
    const onward = onwardOf(await answerConsent(attacker, await ask(attacker, "evil"), "allow"));
    // The victim follows the attacker's link to the company's server, which knows her, and comes back with her code.
    const victim = new HttpBrowser(bench.url);
    const back = await victim.get(callbackOf(onward, "alice"));
    expect(back.status).toBe(400);
    expect(await loginSessions()).toBe(0);
    // The state is spent: it does not work for the attacker either.
    expect((await attacker.get(callbackOf(onward, "mallory"))).status).toBe(400);
    expect(await loginSessions()).toBe(0);
  });

  test("of which the request is over gives no login session", async () => {
    const browser = new HttpBrowser(bench.url);
    const onward = onwardOf(await answerConsent(browser, await ask(browser), "allow"));
    // Somebody takes the end of the authorization away, as its time limit does.
    await bench.clock.advance(16 * 60_000);
    expect((await browser.get(callbackOf(onward, "alice"))).status).toBe(400);
    expect(await loginSessions()).toBe(0);
  });
});

describe("pages of configured foreign origins", () => {
  test("may use metadata, registration and token endpoint, and not the authorization endpoint", async () => {
    for (const path of ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp"]) {
      const answer = await fetch(bench.url + path, { headers: { origin: page } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("access-control-allow-origin")).toBe(page);
    }
    for (const path of ["/oauth/token", "/oauth/register", "/oauth/revoke"]) {
      const preflight = await fetch(bench.url + path, { method: "OPTIONS", headers: { origin: page } });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
    }
    expect((await fetch(`${bench.url}/oauth/authorize`, { headers: { origin: page } })).status).toBe(403);
    expect((await fetch(`${bench.url}/oauth/token`, { method: "POST", headers: { origin: "https://other.example" } })).status).toBe(403);
  });
});

describe("the metadata", () => {
  test("of the resource is at each of its addresses, and names this server as the authorization server (RFC 9728)", async () => {
    for (const path of ["", "/mcp", "/sse"]) {
      const answer = await fetch(`${bench.url}/.well-known/oauth-protected-resource${path}`);
      expect(await answer.json()).toMatchObject({
        resource: bench.url + path,
        authorization_servers: [bench.url],
        scopes_supported: ["mcp"],
        bearer_methods_supported: ["header"],
      });
    }
  });

  test("of the authorization server knows every scope of the resource, and says nothing of OpenID Connect (RFC 8414)", async () => {
    const document: unknown = await (await fetch(`${bench.url}/.well-known/oauth-authorization-server`)).json();
    expect(document).toEqual({
      issuer: bench.url,
      authorization_endpoint: `${bench.url}/oauth/authorize`,
      token_endpoint: `${bench.url}/oauth/token`,
      registration_endpoint: `${bench.url}/oauth/register`,
      revocation_endpoint: `${bench.url}/oauth/revoke`,
      jwks_uri: `${bench.url}/oauth/jwks`,
      scopes_supported: ["mcp"],
      response_types_supported: ["code"],
      response_modes_supported: ["query"],
      grant_types_supported: ["authorization_code", "refresh_token"],
      code_challenge_methods_supported: ["S256"],
      token_endpoint_auth_methods_supported: ["none", "client_secret_basic", "client_secret_post"],
      authorization_response_iss_parameter_supported: true,
      client_id_metadata_document_supported: true,
    });
  });
});
