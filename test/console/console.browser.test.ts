import type { IncomingMessage, ServerResponse } from "node:http";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ConnectionKeyAuthenticator } from "../../src/session/authenticator.ts";
import { startWebBench, type WebBench } from "../http/web-bench.ts";
import { launchChromium, noChromium } from "./chromium.ts";
import { startSignInPage } from "./sign-in-page.ts";

type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean;

let chromium: Browser;
let signInPage: Awaited<ReturnType<typeof startSignInPage>>;
let bench: WebBench;
let context: BrowserContext;
/** What the pages complained about: errors, refusals of the content security policy. */
let complaints: string[];
let intercept: Intercept;

beforeAll(async () => {
  if (noChromium !== undefined) return;
  chromium = await launchChromium();
  signInPage = await startSignInPage();
});

afterAll(async () => {
  await chromium?.close();
  await signInPage?.close(0);
});

beforeEach(async () => {
  intercept = () => false;
  bench = await startWebBench({ authorizeUrl: signInPage?.authorizeUrl, intercept: (request, response) => intercept(request, response) });
  complaints = [];
  context = await chromium.newContext();
  context.on("weberror", (error) => complaints.push(error.error().message));
  context.on("console", (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text());
  });
});

afterEach(async () => {
  await context?.close();
  await bench?.close();
  expect(complaints).toEqual([]);
});

async function signIn(user: string, link = "Sign in"): Promise<Page> {
  const page = await context.newPage();
  await page.goto(bench.url);
  await page.getByRole("link", { name: link, exact: true }).click();
  await page.locator("input[name=name]").fill(user);
  await page.getByRole("button", { name: "Go" }).click();
  await page.getByRole("heading", { name: user, exact: true }).waitFor();
  return page;
}

function handleOf(page: Page): string {
  return new URL(page.url()).pathname.replace("/s/", "");
}

function own(page: Page): ReturnType<Page["locator"]> {
  return page.locator("article.own");
}

/** Answers these requests with a problem until it is lifted. */
function failing(method: string, path: string): { lift(): void } {
  let active = true;
  intercept = (request, response) => {
    if (!active || request.method !== method || request.url?.startsWith(path) !== true) return false;
    response.writeHead(503, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ status: 503, code: "store_unavailable", detail: "The store does not answer." }));
    return true;
  };
  return {
    lift() {
      active = false;
    },
  };
}

describe.skipIf(noChromium !== undefined)(`the console in a browser${noChromium === undefined ? "" : ` (skipped: ${noChromium})`}`, () => {
  it("signs a user in and shows the login session live, with the access token's countdown (S1)", async () => {
    const page = await signIn("alice");
    await page.locator("#connection", { hasText: "Live" }).waitFor();
    await own(page).getByText("Live", { exact: true }).waitFor();
    const countdown = own(page).getByRole("timer");
    const first = await countdown.textContent();
    expect(first).toMatch(/^0:(2\d|30)$/);
    await expect.poll(() => countdown.textContent(), { timeout: 5_000 }).not.toBe(first);
    const elsewhere = await bench.browser().signIn("alice");
    await page.locator(`article[data-login="${elsewhere.handle}"]`).waitFor();
  });

  it("shows that a refresh has failed, and that it works again, without a reload (R18)", async () => {
    const page = await signIn("alice");
    await page.locator("#connection", { hasText: "Live" }).waitFor();
    const { id } = await bench.mustGet(handleOf(page));
    bench.server.outage = { kind: "not_sent", cause: new Error("refused") };
    await bench.clock.advance(25_000);
    await bench.replica.maintenance.maintain(id);
    await own(page).getByText("Refresh failing").waitFor();
    await own(page).getByText("the authorization server cannot be reached").waitFor();
    bench.server.outage = undefined;
    await bench.clock.advance(120_000);
    await bench.replica.maintenance.maintain(id);
    await own(page).getByText("Live", { exact: true }).waitFor();
    expect(await own(page).getByText("Refresh failing").count()).toBe(0);
  });

  it("shows why a new sign-in is needed, and the link repairs the same login session", async () => {
    const page = await signIn("alice");
    const handle = handleOf(page);
    const { id } = await bench.mustGet(handle);
    bench.server.faults.push({ kind: "answer", outcome: { kind: "grant_dead", cause: new Error("invalid_grant") } });
    await bench.clock.advance(25_000);
    await bench.replica.maintenance.maintain(id);
    await own(page).getByText("Sign-in needed").waitFor();
    await own(page).getByText("it expired there, or was revoked").waitFor();
    await own(page).getByRole("link", { name: "Sign in again" }).click();
    await page.locator("input[name=name]").fill("alice");
    await page.getByRole("button", { name: "Go" }).click();
    await own(page).getByText("Live", { exact: true }).waitFor();
    expect(handleOf(page)).toBe(handle);
  });

  it("polls while the events fail, says so, and says when the server is away (R18)", async () => {
    const page = await signIn("alice");
    await page.locator("#connection", { hasText: "Live" }).waitFor();
    intercept = (request, response) => {
      if (request.url?.startsWith("/api/events") !== true) return false;
      response.writeHead(503).end();
      return true;
    };
    // The hour of the stream is over: the page has to come back, and cannot.
    await bench.clock.advance(3_606_000);
    await page.locator("#connection", { hasText: "Polling" }).waitFor();
    await bench.replica.logins.start(bench.server.signIn("alice"), { kind: "demo" });
    await page.getByText("Demo", { exact: true }).first().waitFor();
    intercept = (_request, response) => {
      response.destroy();
      return true;
    };
    await page.locator("#connection", { hasText: "Offline" }).waitFor();
    intercept = () => false;
    await page.locator("#connection", { hasText: "Live" }).waitFor();
  });

  it("shows signed out only once the server has confirmed; otherwise it says so and retries (R16)", async () => {
    const page = await signIn("alice");
    const handle = handleOf(page);
    const store = failing("DELETE", "/api/sessions/");
    await own(page).getByRole("button", { name: "Sign out" }).click();
    const alert = own(page).getByRole("alert");
    await alert.getByText("You are still signed in: the server did not confirm. The store does not answer.").waitFor();
    expect(await page.evaluate("sessionStorage.getItem('latchkey-login')")).toBe(handle);
    expect(await own(page).getByRole("button", { name: "Sign out" }).isVisible()).toBe(true);
    expect((await bench.mustGet(handle)).state).toBe("live");
    store.lift();
    await alert.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
    await page.getByText("Its tokens are revoked at the authorization server.").waitFor();
    expect((await bench.mustGet(handle)).state).toBe("ended");
    expect(await page.evaluate("sessionStorage.getItem('latchkey-login')")).toBeNull();
  });

  it("says that the user is still signed in when the server is gone altogether (R16)", async () => {
    const page = await signIn("alice");
    intercept = (request, response) => {
      if (request.method === "DELETE") response.destroy();
      return request.method === "DELETE";
    };
    await own(page).getByRole("button", { name: "Sign out" }).click();
    await own(page).getByText("You are still signed in: the server did not confirm. The server cannot be reached.").waitFor();
  });

  it("keeps two users in two windows of one browser apart (S2)", async () => {
    const alice = await signIn("alice");
    const bob = await signIn("bob", "Sign in as another user");
    expect(handleOf(bob)).not.toBe(handleOf(alice));
    await alice.getByLabel("Name of the key").fill("alice's laptop");
    // The cookie has changed since this window was opened: it fetches the new CSRF token by itself.
    await alice.getByRole("button", { name: "Make a key" }).click();
    await alice.getByRole("heading", { name: "copy it now" }).waitFor();
    await bob.reload();
    await bob.getByText("There are no keys yet.").waitFor();
    await own(bob).getByRole("button", { name: "Sign out" }).click();
    await bob.getByRole("heading", { name: "You are signed out" }).waitFor();
    expect((await bench.mustGet(handleOf(alice))).state).toBe("live");
    await alice.reload();
    await alice.getByRole("heading", { name: "alice", exact: true }).waitFor();
  });

  it("makes a key that works, shows it once with entries to paste, and removes it", async () => {
    const page = await signIn("alice");
    await page.getByLabel("Name of the key").fill("laptop");
    await page.getByLabel("Valid").selectOption("1 day");
    await page.getByRole("button", { name: "Make a key" }).click();
    const key = (await page.getByLabel("The key", { exact: true }).textContent()) ?? "";
    const authenticator = new ConnectionKeyAuthenticator(bench.store.connectionKeys, bench.clock);
    expect(await authenticator.authenticate(`Bearer ${key}`)).toMatchObject({ kind: "authenticated" });
    const entry = await page.getByLabel("Streamable HTTP (mcpServers)", { exact: true }).textContent();
    expect(JSON.parse(entry ?? "")).toEqual({
      mcpServers: { latchkey: { type: "http", url: `${bench.url}/mcp`, headers: { Authorization: `Bearer ${key}` } } },
    });
    const command = await page.locator("pre", { hasText: "claude mcp add" }).textContent();
    expect(command).toBe(`claude mcp add --transport http latchkey ${bench.url}/mcp --header "Authorization: Bearer ${key}"`);
    await page.getByRole("button", { name: "I have copied it" }).click();
    expect(await page.content()).not.toContain(key);
    await page.reload();
    await page.getByRole("rowheader", { name: "laptop" }).waitFor();
    expect(await page.content()).not.toContain(key);
    await page.getByRole("button", { name: "Remove the key laptop" }).click();
    await page.getByText("There are no keys yet.").waitFor();
    expect(await authenticator.authenticate(`Bearer ${key}`)).toMatchObject({ kind: "invalid" });
  });

  it("ends another login session of the user, and notices when its own is ended elsewhere", async () => {
    const page = await signIn("alice");
    const other = await bench.browser().signIn("alice");
    const card = page.locator(`article[data-login="${other.handle}"]`);
    await card.getByRole("button", { name: "End this session" }).click();
    await card.getByText("Ended", { exact: true }).waitFor();
    const third = await bench.browser().signIn("alice");
    await third.delete(`/api/sessions/${handleOf(page)}`);
    await page.getByRole("heading", { name: "This login session has ended" }).waitFor();
    await page.getByText("It was signed out.").waitFor();
  });

  it("says in plain words that a window is not signed in", async () => {
    const page = await context.newPage();
    await page.goto(`${bench.url}/s/ls_of_somebody_else`);
    await page.getByRole("heading", { name: "This window is not signed in" }).waitFor();
    await page.getByRole("link", { name: "Sign in", exact: true }).waitFor();
  });

  it("holds no token (B10)", async () => {
    const page = await signIn("alice");
    const record = await bench.mustGet(handleOf(page));
    const storage = await page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])");
    expect(storage).toBe(JSON.stringify([{}, { "latchkey-login": record.handle }, ""]));
    const content = await page.content();
    for (const secret of [record.id, record.refreshToken, record.idToken, record.accessTokens[0]?.accessToken])
      expect(content).not.toContain(String(secret));
  });
});
