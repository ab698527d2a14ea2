import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import type { LogFields, Logger } from "../../src/logger.ts";
import { silentLogger } from "../../src/logger.ts";
import type { TestBrowser } from "./test-browser.ts";
import { startWebBench, type WebBench } from "./web-bench.ts";

let bench: WebBench;
let browser: TestBrowser;

beforeEach(async () => {
  bench = await startWebBench();
  browser = bench.browser();
});

afterEach(() => bench.close());

function refusals(): unknown[] {
  return bench.replica.events.filter(({ event }) => event === "login_refused").map(({ code }) => code);
}

describe("a login in a browser", () => {
  it("leads to the authorization server, back, and to the window of the new login session", async () => {
    const begun = await browser.get("/login");
    expect(begun.status).toBe(303);
    const address = new URL(begun.headers.get("location") ?? "");
    expect(address.searchParams.get("redirect_uri")).toBe(`${bench.url}/login/callback`);
    const state = address.searchParams.get("state");
    const finished = await browser.get(`/login/callback?state=${state}&code=alice`);
    expect(finished.status).toBe(303);
    expect(finished.headers.get("location")).toMatch(new RegExp(`^${bench.url}/s/ls_[0-9a-f]+$`));
    const me = await browser.get("/api/me");
    expect(me.json).toMatchObject({ user: { issuer: bench.server.issuer, subject: "alice", name: "alice" }, demo: false });
  });

  it("sets HttpOnly, SameSite=Lax cookies whose names carry purpose and port over http", async () => {
    const begun = await browser.get("/login");
    expect(begun.headers.getSetCookie()).toEqual([
      expect.stringMatching(
        new RegExp(`^latchkey_login_${bench.port}_[\\w-]{12}=[\\w-]{43}; Path=/; Max-Age=600; HttpOnly; SameSite=Lax$`),
      ),
    ]);
    const state = new URL(begun.headers.get("location") ?? "").searchParams.get("state");
    const finished = await browser.get(`/login/callback?state=${state}&code=alice`);
    expect(finished.headers.getSetCookie()).toEqual([
      expect.stringMatching(new RegExp(`^latchkey_browser_${bench.port}=[\\w-]{43}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax$`)),
    ]);
  });

  it("sets __Host- cookies with Secure when the public address is https", async () => {
    await bench.close();
    bench = await startWebBench({ settings: { publicUrl: "https://latchkey.example" } });
    const { headers } = await bench.browser().get("/login");
    expect(headers.getSetCookie()).toEqual([
      expect.stringMatching(/^__Host-latchkey_login_[\w-]{12}=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/),
    ]);
  });

  it("keeps both users when two windows of a fresh browser sign in side by side, whichever answer comes last (S2)", async () => {
    const begun = await Promise.all([browser.beginLogin(), browser.beginLogin()]);
    const before = browser.cookieHeader;
    const finished: string[] = [];
    for (const [index, user] of ["carol", "dave"].entries()) {
      // Both redirects leave the browser before either answer has come back.
      const answer = await bench.browser().get(`/login/callback?state=${begun[index]}&code=${user}`, { cookie: before });
      expect(answer.status).toBe(303);
      finished.push(answer.headers.getSetCookie()[0]?.split(";")[0] ?? "");
    }
    for (const cookie of finished) {
      const me = await bench.browser().get("/api/me", { cookie });
      expect(me.status).toBe(409);
      expect(me.json).toMatchObject({ logins: [expect.any(String), expect.any(String)] });
    }
  });

  it("voids the cookie that the browser showed at a sign-in, also within a moment (B7)", async () => {
    await browser.signIn("alice");
    const old = browser.cookieHeader;
    await browser.signIn("bob");
    expect((await bench.browser().get("/api/me", { cookie: old })).status).toBe(401);
  });

  it("refuses a state that was used before, and signs nobody in (F34, B7)", async () => {
    const state = await browser.beginLogin();
    await browser.get(`/login/callback?state=${state}&code=alice`);
    const replayed = await browser.get(`/login/callback?state=${state}&code=mallory`);
    expect(replayed.status).toBe(400);
    expect(replayed.headers.get("content-type")).toContain("text/html");
    expect(replayed.text).toContain('href="/login"');
    expect(refusals()).toEqual(["unknown_state"]);
    expect(await bench.replica.core.sessions.listByUser(bench.server.issuer, "mallory")).toEqual([]);
  });

  it("refuses a login that another browser began, and that browser cannot use it afterwards (F34)", async () => {
    const attacker = bench.browser();
    const state = await attacker.beginLogin();
    await browser.beginLogin();
    const answer = await browser.get(`/login/callback?state=${state}&code=mallory`);
    expect(answer.status).toBe(400);
    expect(browser.cookie("latchkey_browser")).toBeUndefined();
    expect((await attacker.get(`/login/callback?state=${state}&code=mallory`)).status).toBe(400);
    expect(refusals()).toEqual(["another_browser", "unknown_state"]);
  });

  it("refuses a redirect to a browser without a login cookie, without a state, and with an unknown one (F34)", async () => {
    const state = await browser.beginLogin();
    expect((await bench.browser().get(`/login/callback?state=${state}&code=alice`)).status).toBe(400);
    expect((await browser.get("/login/callback?code=alice")).status).toBe(400);
    expect((await browser.get("/login/callback?state=made-up&code=alice")).status).toBe(400);
    expect(refusals()).toEqual(["another_browser", "unknown_state", "unknown_state"]);
  });

  it("refuses a login that took longer than ten minutes", async () => {
    const state = await browser.beginLogin();
    await bench.clock.advance(600_001);
    expect((await browser.get(`/login/callback?state=${state}&code=alice`)).status).toBe(400);
  });

  it("gives the browser a new cookie at each login, and the old one is void (B7)", async () => {
    await browser.signIn("alice");
    const first = browser.cookieHeader;
    await browser.signIn("bob");
    expect(browser.cookieHeader).not.toBe(first);
    const stale = await bench.browser().get("/api/me", { cookie: first });
    expect(stale.status).toBe(401);
  });

  it("ignores a cookie value that was planted, and makes its own", async () => {
    browser.cookies.set(`latchkey_browser_${bench.port}`, "A".repeat(43));
    await browser.signIn("alice");
    expect(browser.cookie("latchkey_browser")).not.toBe("A".repeat(43));
  });

  it("lets two windows of one browser sign in at the same time", async () => {
    const first = await browser.beginLogin();
    const second = await browser.beginLogin();
    expect((await browser.get(`/login/callback?state=${second}&code=bob`)).status).toBe(303);
    expect((await browser.get(`/login/callback?state=${first}&code=alice`)).status).toBe(303);
    expect((await browser.get("/api/me")).json.logins).toHaveLength(2);
  });

  it("asks the authorization server to show its sign-in page when the browser holds a login already", async () => {
    await browser.signIn("alice");
    await browser.beginLogin();
    await browser.beginLogin("/login?prompt=select_account");
    expect(bench.begun.map(({ prompt }) => prompt)).toEqual([undefined, "login", "select_account"]);
    expect((await browser.get("/login?prompt=none")).status).toBe(400);
  });

  it("shows what the authorization server refused, with a way on, and signs nobody in", async () => {
    await bench.close();
    bench = await startWebBench({
      loginServers: {
        completeLogin: async () => {
          throw new LatchkeyError("login_failed", "The user <b>cancelled</b> the sign-in. Begin again.");
        },
      },
    });
    browser = bench.browser();
    const state = await browser.beginLogin();
    const answer = await browser.get(`/login/callback?state=${state}&error=access_denied`);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain("The user &#60;b&#62;cancelled&#60;/b&#62; the sign-in.");
    expect(answer.text).toContain("login_failed");
    expect(browser.cookie("latchkey_browser")).toBeUndefined();
  });

  it("says so when the authorization server cannot be reached, and logs the cause", async () => {
    const warned: LogFields[] = [];
    const logger: Logger = { ...silentLogger, warn: (_message, fields = {}) => void warned.push(fields) };
    await bench.close();
    bench = await startWebBench({
      logger,
      loginServers: {
        beginLogin: async () => {
          throw new LatchkeyError("authorization_server_unavailable", "https://as.example does not answer.");
        },
      },
    });
    const answer = await bench.browser().get("/login");
    expect(answer.status).toBe(503);
    expect(answer.text).toContain("https://as.example does not answer.");
    expect(warned).toEqual([expect.objectContaining({ code: "authorization_server_unavailable" })]);
  });
});

describe("return_to", () => {
  it("leads to a path of ours after the login", async () => {
    const state = await browser.beginLogin(`/login?return_to=${encodeURIComponent("/s/x?a=1#b")}`);
    const answer = await browser.get(`/login/callback?state=${state}&code=alice`);
    expect(answer.headers.get("location")).toBe(`${bench.url}/s/x?a=1#b`);
  });

  it("leads to our own origin even where a browser would read the path as a host", async () => {
    const state = await browser.beginLogin(`/login?return_to=${encodeURIComponent("/.//evil.example")}`);
    const answer = await browser.get(`/login/callback?state=${state}&code=alice`);
    expect(new URL(answer.headers.get("location") ?? "").origin).toBe(bench.url);
  });

  it.each([
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/",
    "/\t/evil.example",
    "/a\nb",
    "javascript:alert(1)",
    "evil",
    "",
  ])("is refused when it is %j", async (path) => {
    const answer = await browser.get(`/login?return_to=${encodeURIComponent(path)}`);
    expect(answer.status).toBe(400);
    expect(answer.headers.get("location")).toBeNull();
    expect(bench.begun).toEqual([]);
  });
});

describe("several authorization servers", () => {
  beforeEach(async () => {
    await bench.close();
    const authorizationServers = [
      { name: "main", issuer: "https://as.example" },
      { name: "partner", issuer: "https://partner.example/realm" },
    ];
    bench = await startWebBench({ settings: { authorizationServers } });
    browser = bench.browser();
  });

  it("are offered for choice, keeping what else was asked for", async () => {
    const { status, text } = await browser.get("/login?return_to=/s/x");
    expect(status).toBe(200);
    expect(text).toContain('href="/login?return_to=%2Fs%2Fx&#38;server=partner"');
    expect(text).toContain("partner (partner.example)");
  });

  it("are chosen by ?server=", async () => {
    await browser.beginLogin("/login?server=partner");
    expect(bench.begun).toEqual([{ name: "partner", prompt: undefined }]);
  });

  it("must be in the configuration", async () => {
    const { status, text } = await browser.get("/login?server=unknown");
    expect(status).toBe(404);
    expect(text).toContain("no authorization server of this name");
  });
});

describe("repair", () => {
  it("signs the same login session in again, at its own authorization server, and keeps its handle", async () => {
    const { handle } = await browser.signIn("alice");
    const other = bench.browser();
    const repaired = await other.signIn("alice", `/login?repair=${handle}`);
    expect(repaired.handle).toBe(handle);
    expect((await bench.mustGet(handle)).epoch).toBe(2);
    expect((await other.get("/api/me")).json.login).toBe(handle);
  });

  it("by another user is refused, revokes the new tokens, and leaves everything as it was", async () => {
    const { handle } = await browser.signIn("alice");
    const before = await bench.mustGet(handle);
    const other = bench.browser();
    const state = await other.beginLogin(`/login?repair=${handle}`);
    const answer = await other.get(`/login/callback?state=${state}&code=mallory`);
    expect(answer.status).toBe(403);
    expect(answer.text).toContain("belongs to another user");
    expect(other.cookie("latchkey_browser")).toBeUndefined();
    expect(await bench.mustGet(handle)).toEqual(before);
    expect(bench.server.revoked).toHaveLength(2);
  });

  it("of an unknown or ended login session is not begun", async () => {
    const { handle } = await browser.signIn("alice");
    await browser.window(handle).delete(`/api/sessions/${handle}`);
    for (const repair of [handle, "ls_unknown", "<script>"]) {
      const answer = await browser.get(`/login?repair=${encodeURIComponent(repair)}`);
      expect(answer.status).toBe(404);
      expect(answer.text).not.toContain("<script>");
      // "Try again" must not lead to this page once more.
      expect(answer.text).toContain('href="/login"');
      expect(answer.text).not.toContain("?repair=");
    }
    expect(bench.begun).toHaveLength(1);
  });
});
